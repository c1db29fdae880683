"""The table of efficiency: how many times fewer labels one experiment needs than another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from emoscale.config.evidence import TrainedExperiment
from emoscale.evaluation.curves import Curve, increasing, labels_needed
from emoscale.evaluation.speakers import interval
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import schema_field

EFFICIENCY = pa.schema(
    [
        schema_field("experiment", pa.string(), "whose labels are counted"),
        schema_field("other", pa.string(), "whose unweighted accuracy (UA) is to be had"),
        schema_field("other_size", pa.string(), "training size of `other`, as asked for"),
        schema_field(
            "other_labels", pa.float64(), "labels that `other` learns from, mean over folds"
        ),
        schema_field("ua", pa.float64(), "UA that `other` has there on its curve, 0 to 1"),
        schema_field(
            "labels",
            pa.float64(),
            "labels at which `experiment` has this UA on its curve; by `range`: at least: its "
            "fewest, which are more than it needs; at most: its most, which are not enough; null: "
            "not reached",
            null=True,
        ),
        schema_field(
            "factor",
            pa.float64(),
            "other_labels / labels: above 1, `experiment` needs fewer; a bound by `range`; null: "
            "not reached",
            null=True,
        ),
        schema_field(
            "factor_low",
            pa.float64(),
            "lower end of its 95 % interval, from drawing speakers and trainings again; 0: "
            "`experiment` may need more labels than were measured, without bound; null: not known",
            null=True,
        ),
        schema_field(
            "factor_high",
            pa.float64(),
            "upper end; inf: `experiment` may need fewer labels than were measured, without bound; "
            "null: not known",
            null=True,
        ),
        schema_field(
            "bound",
            pa.string(),
            "measured; at least: `experiment` has more UA at its fewest labels; at most: it has "
            "less at its most labels, which are no fewer than other_labels; not reached: it has "
            "less at its most labels, and these are fewer than other_labels",
        ),
        schema_field("at_largest_size", pa.bool_(), "whether other_size is the largest of `other`"),
        schema_field("summary", pa.string(), "the row in words"),
    ]
)
"""A row an ordered pair of experiments and size of the second."""


AGAINST = pa.schema(
    [
        schema_field("experiment", pa.string(), "compared with the reference"),
        schema_field("counted", pa.string(), "whose labels are counted: one of the two"),
        *(
            EFFICIENCY.field(name)
            for name in ("ua", "factor", "factor_low", "factor_high", "bound", "summary")
        ),
    ]
)
"""A row an experiment: `factor` is above 1 where it saves labels against the reference."""


_HAND_ENGINEERED = ("logmel", "mfcc", "opensmile")


class _Fitted:
    """A curve that never falls, as it is and in every draw."""

    def __init__(self, curve: Curve) -> None:
        self.curve = curve
        self.ua = increasing(curve.ua)
        self.drawn = None if curve.drawn is None else increasing(curve.drawn)


def efficiency_table(curves: Sequence[Curve]) -> pl.DataFrame:
    """How many labels each experiment needs for what each other one has at each of its sizes.

    Both curves are made to never fall (`increasing`), and are lines over the logarithm of the
    labels between their sizes. An experiment of one size has no curve: it appears as `other` only
    (see `without_curve`). For intervals the whole computation is done for each draw, the same for
    all curves; what is beyond a curve in a draw stays a bound there. Curves without draws, as of a
    publication, have factors without intervals.
    """
    fitted = [_Fitted(curve) for curve in curves]
    rows = [
        row
        for own in fitted
        if own.curve.has_growth
        for other in fitted
        if other is not own
        for row in _rows(own, other)
    ]
    return dataframe_of(rows, EFFICIENCY)


def against(efficiency: pl.DataFrame, reference: str) -> pl.DataFrame:
    """What each experiment saves against `reference`, a row each (schema `AGAINST`).

    Of the two rows that answer this for a pair, the one that was measured better: how many labels
    the experiment needs for what the reference has at its most labels; or, where the experiment
    never has that (or has no curve), how many the reference needs for what the experiment has at
    its most labels, whose factor is turned over.
    """
    answers = efficiency.filter("at_largest_size")
    rows = []
    names = dict.fromkeys([*answers["experiment"], *answers["other"]])
    for name in names:
        own = answers.filter(experiment=name, other=reference)
        turned = answers.filter(experiment=reference, other=name)
        if len(own) and (own["bound"][0] in ("measured", "at least") or turned.is_empty()):
            row, counted = own.row(0, named=True), name
        elif len(turned):
            row, counted = turned.row(0, named=True), reference
            turn = {"at least": "at most", "at most": "at least"}
            ends = [row[end] for end in ("factor_high", "factor_low")]
            row |= {
                "bound": turn.get(row["bound"], row["bound"]),
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
                **{column: row[column] for column in AGAINST.names[2:]},
            }
        )
    return dataframe_of(rows, AGAINST)


def without_curve(curves: Iterable[Curve]) -> str:
    """Which experiments have no labels of their own to count, in a sentence; empty: none."""
    names = [curve.experiment for curve in curves if not curve.has_growth]
    if not names:
        return ""
    return (
        f"trained at one size only, so without a curve, and compared with but not counted: "
        f"{', '.join(names)}"
    )


def hand_engineered(experiments: Mapping[str, TrainedExperiment]) -> set[str]:
    """Those that read nothing but what signal processing gives."""
    return {
        name
        for name, experiment in experiments.items()
        if all(read["kind"] in _HAND_ENGINEERED for read in experiment.representations)
    }


def reference_of(
    curves: Sequence[Curve], hand_engineered: Collection[str], named: str | None
) -> str | None:
    """The experiment that the others' labels are compared with; null where there is no curve.

    That which is `named`, or else the hand-engineered one with the highest UA at its largest size,
    which is the hardest to beat; where none is hand-engineered, the experiment with the lowest.
    """
    grown = [curve for curve in curves if curve.has_growth]
    if named is not None or not grown:
        return named
    known = [curve for curve in grown if curve.experiment in hand_engineered]
    if known:
        return max(known, key=lambda curve: float(curve.ua[-1])).experiment
    return min(grown, key=lambda curve: float(curve.ua[-1])).experiment


def _rows(own: _Fitted, other: _Fitted) -> Iterable[dict[str, object]]:
    curve = own.curve
    fewest, most = float(curve.labels[0]), float(curve.labels[-1])
    for place, size in enumerate(other.curve.sizes):
        there = float(other.curve.labels[place])
        lower, upper = (
            float(bound[0])
            for bound in labels_needed(curve.labels, own.ua[None], other.ua[None, place])
        )
        labels: float | None
        if lower == upper:
            labels, kind = lower, "measured"
        elif lower == 0:
            labels, kind = fewest, "at least"
        elif there <= most:
            labels, kind = most, "at most"
        else:
            labels, kind = None, "not reached"
        factor = None if labels is None else there / labels
        low = high = None
        if own.drawn is not None and other.drawn is not None and curve.speakers > 1:
            bounds = labels_needed(curve.labels, own.drawn, other.drawn[:, place])
            with np.errstate(divide="ignore"):
                most_factor, least_factor = (there / bound for bound in bounds)
            low = interval(least_factor, curve.speakers)[0]
            high = interval(most_factor, curve.speakers)[1]
        yield {
            "experiment": curve.experiment,
            "other": other.curve.experiment,
            "other_size": size,
            "other_labels": there,
            "ua": float(other.ua[place]),
            "labels": labels,
            "factor": factor,
            "factor_low": low,
            "factor_high": high,
            "bound": kind,
            "at_largest_size": place == len(other.curve.sizes) - 1,
            "summary": _words(kind, factor, low, high, most),
        }


def _words(
    kind: str, factor: float | None, low: float | None, high: float | None, most: float
) -> str:
    """What a row says, such as `at least 8.0 times fewer labels`."""
    if factor is None:
        words = f"not reached with {most:,.0f} labels"
    else:
        fewer = f"{_number(factor)} times fewer labels"
        more = f"{_number(1 / factor)} times the labels"
        even = 0.95 < factor < 1.05
        if kind == "at least":
            words = f"at least {fewer}" if factor > 1 else f"no more than {more}"
            words = "as many labels or fewer" if even else words
        elif kind == "at most":
            words = "more labels, if ever" if even else f"more than {more}, if ever"
        else:
            words = fewer if factor > 1 else more
            words = "as many labels" if even else words
    if low is None or high is None:
        return words
    if low == 0:
        ends = "open on both sides" if high == np.inf else f"up to {_number(high)}"
    else:
        ends = (
            f"{_number(low)} and more" if high == np.inf else f"{_number(low)} to {_number(high)}"
        )
    return f"{words} (95 % interval of the factor: {ends})"


def _number(value: float) -> str:
    """With two or three digits that count.

    >>> _number(0.0562), _number(1.26), _number(8.0), _number(17.82)
    ('0.056', '1.3', '8.0', '18')
    """
    if value >= 9.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 0.995 else f"{value:.2g}"
