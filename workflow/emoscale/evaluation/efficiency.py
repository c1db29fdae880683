"""The table of label efficiency: how many times fewer labels one experiment needs than another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from emoscale.config.evidence import TrainedExperiment
from emoscale.evaluation.curves import LearningCurve, isotonic, labels_needed
from emoscale.evaluation.speakers import confidence_interval
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import schema_field
from emoscale.training.metrics import Floats

EFFICIENCY = pa.schema(
    [
        schema_field("experiment", pa.string(), "experiment whose labels are counted"),
        schema_field(
            "other", pa.string(), "experiment whose unweighted accuracy (UA) is to be reached"
        ),
        schema_field("other_size", pa.string(), "training size of `other`, as in the study"),
        schema_field(
            "ua", pa.float64(), "UA of `other` at this size, on its isotonic learning curve, 0 to 1"
        ),
        schema_field(
            "measured_ua",
            pa.float64(),
            "measured UA of `other` at this size; below `ua` where its measured UA falls",
        ),
        schema_field(
            "other_labels",
            pa.float64(),
            "fewest labels at which the isotonic learning curve of `other` has this UA: no more "
            "than the labels of other_size",
        ),
        schema_field(
            "labels",
            pa.float64(),
            "labels at which the isotonic learning curve of `experiment` reaches this UA; with "
            "bound `at least`: its smallest size, an upper bound; with `at most`: its largest "
            "size, a lower bound; null: not reached",
            null=True,
        ),
        schema_field(
            "factor",
            pa.float64(),
            "other_labels / labels; above 1: `experiment` needs fewer labels; a bound if `bound` "
            "says so; null: not reached",
            null=True,
        ),
        schema_field(
            "factor_low",
            pa.float64(),
            "lower end of the 95 % interval of the factor, bootstrap over speakers and trainings; "
            "0: unbounded, `experiment` may need more labels than its largest size; null: one "
            "speaker only, or published results",
            null=True,
        ),
        schema_field(
            "factor_high",
            pa.float64(),
            "upper end of the 95 % interval of the factor; inf: unbounded, `experiment` may need "
            "fewer labels than its smallest size; null: as in factor_low",
            null=True,
        ),
        schema_field(
            "bound",
            pa.string(),
            "measured: the UA is within the curve of `experiment`; at least: `experiment` exceeds "
            "the UA at its smallest size; at most: it is below the UA at its largest size, which "
            "has no fewer labels than other_labels; not reached: it is below the UA at its largest "
            "size, which has fewer labels than other_labels",
        ),
        schema_field(
            "at_largest_size", pa.bool_(), "whether other_size is the largest size of `other`"
        ),
        schema_field("summary", pa.string(), "the factor and its interval as a phrase"),
    ]
)
"""One row per ordered pair of experiments and training size of the second."""


EFFICIENCY_AGAINST = pa.schema(
    [
        schema_field("experiment", pa.string(), "experiment compared with the reference"),
        schema_field(
            "counted",
            pa.string(),
            "experiment whose labels are counted: this one, or the reference",
        ),
        *(
            EFFICIENCY.field(name)
            for name in ("ua", "factor", "factor_low", "factor_high", "bound", "summary")
        ),
    ]
)
"""One row per experiment; `factor` is above 1 if it needs fewer labels than the reference."""


MOST_EXPERIMENTS_IN_PAIRS = 50
"""A study of more experiments has only the pairs with its reference or its best experiment."""

_BELOW_CURVE = 0.0005
"""Difference in UA that reports show, which have one decimal of a percentage."""

_HAND_ENGINEERED_KINDS = ("logmel", "mfcc", "opensmile")


class _IsotonicCurve:
    """A learning curve with its isotonic regression, also of each bootstrap sample."""

    def __init__(self, curve: LearningCurve) -> None:
        self.curve = curve
        self.ua = isotonic(curve.ua)
        self.bootstrap_ua = None if curve.bootstrap_ua is None else isotonic(curve.bootstrap_ua)

    def labels_of(self, ua: Floats, index: int) -> Floats:
        """Return the fewest labels at which curves [rows, sizes] have their UA of a size.

        Both sides of a factor are read off a curve, so that a curve needs exactly as many labels as
        its copy, also where it is flat.
        """
        if not self.curve.has_several_sizes:
            return np.full(len(ua), self.curve.labels[index])
        fewest: Floats = labels_needed(self.curve.labels, ua, ua[:, index])[1]
        return fewest


def efficiency_table(
    curves: Sequence[LearningCurve], with_any_of: Collection[str] | None = None
) -> pl.DataFrame:
    """Compute how many labels each experiment needs to reach each UA of the other experiments.

    Both curves are made non-decreasing (`isotonic`), and are linear in the logarithm of the labels
    between their sizes. Of both, the fewest labels at which the curve has the UA are counted. An
    experiment of a single size has no curve and occurs as `other` only (see `single_size_note`).
    For intervals the whole computation is repeated in each bootstrap sample, which all curves
    share; what is beyond a curve in a sample stays a bound. Curves without bootstrap samples
    (published ones) have factors without intervals.

    Parameters
    ----------
    curves : sequence of LearningCurve
        The curves to compare.
    with_any_of : collection of str or None
        Names of experiments, one of which is in every pair; None: all pairs.

    Returns
    -------
    DataFrame
        One row per ordered pair and size of the second (schema `EFFICIENCY`).
    """
    isotonic_curves = [_IsotonicCurve(curve) for curve in curves]
    rows = [
        row
        for counted in isotonic_curves
        if counted.curve.has_several_sizes
        for other in isotonic_curves
        if other is not counted
        and (
            with_any_of is None
            or counted.curve.experiment in with_any_of
            or other.curve.experiment in with_any_of
        )
        for row in _rows(counted, other)
    ]
    return dataframe_of(rows, EFFICIENCY)


def efficiency_against(efficiency: pl.DataFrame, reference: str) -> pl.DataFrame:
    """Select one row per experiment that compares it with a reference experiment.

    Two rows compare a pair at the largest size. The first counts the labels that the experiment
    needs to reach the reference at its largest size. If the experiment never reaches it (or has no
    curve), the second is used: the labels that the reference needs to reach the experiment at its
    largest size, with the factor inverted.

    Parameters
    ----------
    efficiency : DataFrame
        Table of `efficiency_table`.
    reference : str
        Name of the reference experiment.

    Returns
    -------
    DataFrame
        One row per experiment (schema `EFFICIENCY_AGAINST`).
    """
    at_largest = efficiency.filter("at_largest_size")
    rows = []
    names = dict.fromkeys([*at_largest["experiment"], *at_largest["other"]])
    for name in names:
        direct = at_largest.filter(experiment=name, other=reference)
        inverse = at_largest.filter(experiment=reference, other=name)
        if len(direct) and (direct["bound"][0] in ("measured", "at least") or inverse.is_empty()):
            row, counted = direct.row(0, named=True), name
        elif len(inverse):
            row, counted = inverse.row(0, named=True), reference
            inverse_bound = {"at least": "at most", "at most": "at least"}
            ends = [row[end] for end in ("factor_high", "factor_low")]
            row |= {
                "bound": inverse_bound.get(row["bound"], row["bound"]),
                "factor": None if row["factor"] is None else 1 / row["factor"],
                "factor_low": None if ends[0] is None else 1 / ends[0],
                "factor_high": None if ends[1] is None else 1 / ends[1] if ends[1] else np.inf,
            }
        else:
            continue
        rows.append(
            {
                "experiment": name,
                "counted": counted,
                **{column: row[column] for column in EFFICIENCY_AGAINST.names[2:]},
            }
        )
    return dataframe_of(rows, EFFICIENCY_AGAINST)


def single_size_note(curves: Iterable[LearningCurve]) -> str:
    """Return a note that names the experiments trained at a single size.

    Parameters
    ----------
    curves : iterable of LearningCurve
        All learning curves of the study.

    Returns
    -------
    str
        The note; empty if every experiment was trained at several sizes.
    """
    names = [curve.experiment for curve in curves if not curve.has_several_sizes]
    if not names:
        return ""
    return (
        f"trained at one size only (no learning curve), so compared with but not counted: "
        f"{', '.join(names)}"
    )


def hand_engineered_experiments(experiments: Mapping[str, TrainedExperiment]) -> set[str]:
    """Select the experiments whose representations are all hand-engineered (signal processing).

    Parameters
    ----------
    experiments : mapping of str to TrainedExperiment
        The study's experiments by name.

    Returns
    -------
    set of str
        Names of the selected experiments.
    """
    return {
        name
        for name, experiment in experiments.items()
        if all(
            settings["kind"] in _HAND_ENGINEERED_KINDS for settings in experiment.representations
        )
    }


def reference_experiment(
    curves: Sequence[LearningCurve],
    ranking: Sequence[str],
    hand_engineered: Collection[str],
    configured: str | None,
) -> str | None:
    """Choose the experiment that all others are compared with.

    By default it is the hand-engineered one that ranks first, the hardest to beat; without
    hand-engineered experiments, the one that ranks last.

    Parameters
    ----------
    curves : sequence of LearningCurve
        All learning curves of the study.
    ranking : sequence of str
        Names of all experiments, the best first (`evaluation.comparisons.rank_experiments`).
    hand_engineered : collection of str
        Names of the hand-engineered experiments.
    configured : str or None
        The reference of the configuration, which has precedence.

    Returns
    -------
    str or None
        Name of the reference; None if no experiment was trained at several sizes.
    """
    with_curve = {curve.experiment for curve in curves if curve.has_several_sizes}
    candidates = [name for name in ranking if name in with_curve]
    if configured is not None or not candidates:
        return configured
    return next((name for name in candidates if name in hand_engineered), candidates[-1])


def _rows(counted: _IsotonicCurve, other: _IsotonicCurve) -> Iterable[dict[str, object]]:
    curve = counted.curve
    fewest, most = float(curve.labels[0]), float(curve.labels[-1])
    for index, size in enumerate(other.curve.sizes):
        (other_labels,) = other.labels_of(other.ua[None], index)
        lower, upper = (
            float(bound[0])
            for bound in labels_needed(curve.labels, counted.ua[None], other.ua[None, index])
        )
        labels: float | None
        if lower == upper:
            labels, kind = lower, "measured"
        elif lower == 0:
            labels, kind = fewest, "at least"
        elif other_labels <= most:
            labels, kind = most, "at most"
        else:
            labels, kind = None, "not reached"
        factor = None if labels is None else float(other_labels / labels)
        low = high = None
        if (
            counted.bootstrap_ua is not None
            and other.bootstrap_ua is not None
            and curve.speakers > 1
        ):
            bounds = labels_needed(curve.labels, counted.bootstrap_ua, other.bootstrap_ua[:, index])
            bootstrap_labels = other.labels_of(other.bootstrap_ua, index)
            with np.errstate(divide="ignore"):
                largest_factor, smallest_factor = (bootstrap_labels / bound for bound in bounds)
            low = confidence_interval(smallest_factor, curve.speakers)[0]
            high = confidence_interval(largest_factor, curve.speakers)[1]
        ua, measured_ua = float(other.ua[index]), float(other.curve.ua[index])
        summary = _summary(kind, factor, low, high, most)
        if ua - measured_ua > _BELOW_CURVE:
            summary += (
                f"; measured UA of {other.curve.experiment} at this size: {100 * measured_ua:.1f} %"
                f", below its curve ({100 * ua:.1f} %)"
            )
        yield {
            "experiment": curve.experiment,
            "other": other.curve.experiment,
            "other_size": size,
            "ua": ua,
            "measured_ua": measured_ua,
            "other_labels": float(other_labels),
            "labels": labels,
            "factor": factor,
            "factor_low": low,
            "factor_high": high,
            "bound": kind,
            "at_largest_size": index == len(other.curve.sizes) - 1,
            "summary": summary,
        }


def _summary(
    kind: str, factor: float | None, low: float | None, high: float | None, most: float
) -> str:
    """Return a phrase such as `at least 8.0 times fewer labels`, with the interval."""
    if factor is None:
        phrase = f"not reached with {most:,.0f} labels"
    else:
        fewer = f"{_number(factor)} times fewer labels"
        more = f"{_number(1 / factor)} times the labels"
        equal = 0.95 < factor < 1.05
        if kind == "at least":
            phrase = f"at least {fewer}" if factor > 1 else f"no more than {more}"
            phrase = "as many labels or fewer" if equal else phrase
        elif kind == "at most":
            phrase = "more labels, if ever" if equal else f"more than {more}, if ever"
        else:
            phrase = fewer if factor > 1 else more
            phrase = "as many labels" if equal else phrase
    if low is None or high is None:
        return phrase
    if low == 0:
        ends = "unbounded on both sides" if high == np.inf else f"up to {_number(high)}"
    else:
        ends = (
            f"{_number(low)} and more" if high == np.inf else f"{_number(low)} to {_number(high)}"
        )
    return f"{phrase} (95 % interval of the factor: {ends})"


def _number(value: float) -> str:
    """Format with two or three significant digits.

    >>> _number(0.0562), _number(1.26), _number(8.0), _number(17.82)
    ('0.056', '1.3', '8.0', '18')
    """
    if value >= 9.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 0.995 else f"{value:.2g}"
