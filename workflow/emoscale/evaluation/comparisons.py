"""The tables of comparisons: each pair of experiments over its learning curves, and by size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from emoscale.evaluation.speakers import PredictionCounts
from emoscale.evaluation.variance import (
    JackknifeValues,
    jackknife_values,
    stack,
    variance_components,
)
from emoscale.tables.schemas import schema_field
from emoscale.training.metrics import Floats

ALPHA = 0.05
"""Significance level of the corrected p-values; intervals have confidence 1 - ALPHA."""

POWER_DIFFERENCES = (0.05, 0.10, 0.15)
"""Differences in UA for which reports state the power."""

_TOLERANCE = 1e-9
_VALUES_AT_ONCE = 4_000_000

_PAIR = [
    schema_field("experiment", pa.string(), "name of the experiment (representation, model)"),
    schema_field("other", pa.string(), "name of the experiment that it is compared with"),
]
_INTERVAL = [
    schema_field("difference", pa.float64(), "ua - other_ua, -1 to 1"),
    schema_field(
        "difference_low",
        pa.float64(),
        "lower end of the 95 % interval of the difference, not corrected for multiple comparisons; "
        "null: one speaker only",
        null=True,
    ),
    schema_field(
        "difference_high",
        pa.float64(),
        "upper end of the 95 % interval of the difference; null: one speaker only",
        null=True,
    ),
    schema_field(
        "p_value",
        pa.float64(),
        "p-value of the null hypothesis of no difference in UA, not corrected: t test, paired by "
        "utterance and repeat, clustered by `clusters`, including the variance of trainings; 1 for "
        "one speaker",
    ),
]
_CLUSTERS = [
    schema_field(
        "clusters",
        pa.string(),
        "clusters of the t test: speakers; or folds, if the repeats of one of the two are "
        "identical and so do not show the variance of its trainings",
    ),
    schema_field(
        "degrees_of_freedom",
        pa.int32(),
        "degrees of freedom of the t test: number of clusters - 1",
    ),
]

COMPARISONS = pa.schema(
    [
        *_PAIR,
        schema_field("sizes", pa.string(), "training sizes that both have, separated by spaces"),
        schema_field(
            "ua",
            pa.float64(),
            "unweighted accuracy (UA) of `experiment`, mean over these sizes; folds pooled, mean "
            "over repeats, 0 to 1",
        ),
        schema_field("other_ua", pa.float64(), "the same of `other`"),
        *_INTERVAL,
        schema_field(
            "p_holm",
            pa.float64(),
            "p_value with Holm's correction for the `family`; null: not in the family",
            null=True,
        ),
        schema_field(
            "family",
            pa.int32(),
            "number of comparisons corrected together: all pairs, or, if `evidence.reference` is "
            "set, those with the reference; null: not in the family",
            null=True,
        ),
        schema_field(
            "winner",
            pa.string(),
            "the better experiment if p_holm < 0.05, otherwise none; null: not in the family",
            null=True,
        ),
        schema_field(
            "effect_size",
            pa.float64(),
            "difference in units of its standard deviation over clusters: Cohen's d_z; null: no "
            "variance, or one speaker",
            null=True,
        ),
        schema_field(
            "standard_error",
            pa.float64(),
            "standard error of the difference; null: one speaker only",
            null=True,
        ),
        schema_field("speakers", pa.int32(), "number of tested speakers"),
        *_CLUSTERS,
    ]
)
"""One row per pair of experiments that have a training size in common."""

COMPARISONS_BY_SIZE = pa.schema(
    [
        schema_field("size", pa.string(), "training size, as in the study"),
        *_PAIR,
        schema_field("labels", pa.float64(), "training labels, mean over folds"),
        schema_field(
            "ua",
            pa.float64(),
            "unweighted accuracy (UA) of `experiment`; folds pooled, mean over repeats, 0 to 1",
        ),
        schema_field("other_ua", pa.float64(), "the same of `other`"),
        *_INTERVAL,
        *_CLUSTERS,
    ]
)
"""One row per training size and pair of experiments: a description, not corrected."""


@dataclass(frozen=True)
class Differences:
    """Differences [...] in unweighted accuracy (UA) between experiments, with their t test."""

    value: Floats
    """Difference in UA, -1 to 1."""

    low: Floats
    """Lower end of the 95 % interval, -1 to 1; NaN for a single speaker."""

    high: Floats
    """Upper end of the 95 % interval, -1 to 1; NaN for a single speaker."""

    p_value: Floats
    """Of the t test; not corrected for multiple comparisons."""

    effect_size: Floats
    """Cohen's d_z; NaN without variance."""

    standard_error: Floats
    """Standard error of the difference; NaN for a single speaker."""

    by_folds: NDArray[np.bool_]
    """Whether folds are the clusters of the test, instead of speakers."""

    degrees_of_freedom: NDArray[np.int64]
    """Number of clusters - 1."""


class StudyValues:
    """The values of UA and its variance of all experiments and sizes of a study.

    Parameters
    ----------
    scores : DataFrame
        Columns `experiment, size, training_utterances_mean`.
    counts : iterable of tuple
        Experiment, size and confusion counts of each row of `scores`, in any order. All rows have
        the same speakers, folds and orders.
    """

    def __init__(
        self, scores: pl.DataFrame, counts: Iterable[tuple[str, str, PredictionCounts]]
    ) -> None:
        self.experiments = scores["experiment"].unique(maintain_order=True).to_list()
        self.sizes = scores["size"].unique(maintain_order=True).to_list()
        shape = (len(self.experiments), len(self.sizes))
        row_of = {name: number for number, name in enumerate(self.experiments)}
        column_of = {name: number for number, name in enumerate(self.sizes)}
        self.labels = np.full(shape, np.nan)
        for experiment, size, labels in scores.select(
            "experiment", "size", "training_utterances_mean"
        ).iter_rows():
            self.labels[row_of[experiment], column_of[size]] = labels
        self.trained = ~np.isnan(self.labels)
        cells: dict[tuple[int, int], JackknifeValues] = {}
        for experiment, size, each in counts:
            if not cells:
                self.speakers, self.in_fold = each.speakers, each.in_fold
                self.orders = each.orders or tuple(range(each.repeats))
            assert each.speakers == self.speakers, "all are tested on the same speakers"
            cells[row_of[experiment], column_of[size]] = jackknife_values(each)
        assert set(cells) == set(zip(*np.nonzero(self.trained), strict=True)), (
            "every cell is counted"
        )
        # A cell that was not trained has the values of another one, which no comparison selects.
        any_cell = next(iter(cells.values()))
        self.values = stack(
            [
                stack([cells.get((row, column), any_cell) for column in range(shape[1])])
                for row in range(shape[0])
            ]
        )

    def compare(self, values: JackknifeValues, pairs: NDArray[np.int64]) -> Differences:
        """Compare pairs of experiments.

        Parameters
        ----------
        values : JackknifeValues
            Values with the experiments as their only leading axis.
        pairs : ndarray
            Indices of experiments ``[2, pairs]``.

        Returns
        -------
        Differences
            The differences of the first of each pair to the second.
        """
        step = max(1, _VALUES_AT_ONCE // (values.without_speaker[0].size + 1))
        parts = [
            compare(
                values.select(first) - values.select(second),
                self.in_fold,
                self.orders,
            )
            for first, second in (
                pairs[:, begin : begin + step] for begin in range(0, pairs.shape[1], step)
            )
        ]
        return Differences(
            *(
                np.concatenate([getattr(part, field.name) for part in parts])
                for field in fields(Differences)
            )
        )


def compare(values: JackknifeValues, in_fold: Floats, orders: Iterable[int]) -> Differences:
    """Test differences in UA, paired by repeat and speaker.

    It is a t test over speakers whose variance includes that of trainings (`variance_components`).
    If all repeats of one of the two experiments predict alike, or there is only one, repeats do not
    show the variance of its trainings, and folds are the clusters. Without any variance, the
    p-value is 1 for a difference of 0, else that of the sign test of n clusters, 2 / 2^n. A single
    speaker allows no inference: the p-value is 1, and there is no interval.

    Parameters
    ----------
    values : JackknifeValues
        Values of the differences (`jackknife_values` of one experiment minus those of another).
    in_fold : ndarray
        ``[folds, speakers]``, 1 where the fold tests the speaker, else 0.
    orders : iterable of int
        The training order of each repeat.

    Returns
    -------
    Differences
        The differences with their intervals, p-values and effect sizes.
    """
    from scipy import stats  # 0.8 s to import

    folds, speakers = in_fold.shape
    components = variance_components(values, in_fold, tuple(orders))
    by_folds = values.identical_repeats & (folds > 1)
    clusters = np.where(by_folds, folds, speakers)
    freedom: NDArray[np.int64] = np.asarray(clusters) - 1
    error = np.sqrt(np.where(by_folds, components.between_folds, components.total))
    value = values.ua
    with np.errstate(divide="ignore", invalid="ignore"):
        t = value / error
        p_value = 2 * stats.t.sf(np.abs(t), freedom)
    constant = error < _TOLERANCE
    p_value = np.where(constant, np.where(np.abs(value) < _TOLERANCE, 1.0, 0.5**freedom), p_value)
    p_value = np.where(freedom == 0, 1.0, p_value)
    margin = stats.t.ppf(1 - ALPHA / 2, np.maximum(freedom, 1)) * error
    return Differences(
        value=value,
        low=(value - margin).clip(-1.0, 1.0),
        high=(value + margin).clip(-1.0, 1.0),
        p_value=p_value,
        effect_size=np.where(constant, np.nan, t / np.sqrt(clusters)),
        standard_error=error,
        by_folds=by_folds,
        degrees_of_freedom=freedom,
    )


def power(
    difference: float, standard_error: Floats, degrees_of_freedom: Floats, family: int
) -> Floats:
    """Compute the probability that a true difference in UA is significant.

    It is that of the first step of Holm's correction, so that it does not depend on the other
    comparisons.

    Parameters
    ----------
    difference : float
        True difference in UA, 0 to 1.
    standard_error : ndarray
        Standard errors of the measured differences, above 0.
    degrees_of_freedom : ndarray
        Degrees of freedom of their t tests, above 0.
    family : int
        Number of comparisons that are corrected together.

    Returns
    -------
    ndarray
        Probabilities, 0 to 1.

    Examples
    --------
    >>> power(0.10, np.array([0.03]), np.array([9]), family=1).round(2)
    array([0.84])
    """
    from scipy import stats  # 0.8 s to import

    critical = stats.t.ppf(1 - ALPHA / family / 2, degrees_of_freedom)
    noncentrality = difference / standard_error
    probability: Floats = stats.nct.sf(critical, degrees_of_freedom, noncentrality)
    return probability


def family_power(comparisons: pl.DataFrame) -> list[float]:
    """Compute the power of a typical comparison of the corrected family.

    Parameters
    ----------
    comparisons : DataFrame
        Table of `comparison_table`.

    Returns
    -------
    list of float
        Power for each of `POWER_DIFFERENCES`, at the median standard error of the family; empty if
        no comparison of the family has a standard error above 0.
    """
    family = comparisons.filter(pl.col("family").is_not_null(), pl.col("standard_error") > 0)
    if family.is_empty():
        return []
    row = family.sort("standard_error").row((len(family) - 1) // 2, named=True)
    error, freedom = np.array(row["standard_error"]), np.array(row["degrees_of_freedom"])
    return [
        float(power(difference, error, freedom, row["family"])) for difference in POWER_DIFFERENCES
    ]


def holm(p_values: Floats) -> Floats:
    """Correct p-values for multiple comparisons by Holm's method (family-wise error rate).

    Parameters
    ----------
    p_values : ndarray
        P-values ``[comparisons]``.

    Returns
    -------
    ndarray
        Corrected p-values ``[comparisons]``.

    References
    ----------
    Holm, "A simple sequentially rejective multiple test procedure", 1979.

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    steps = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(steps, 1.0)
    return corrected


def comparison_table(study: StudyValues, reference: str | None = None) -> pl.DataFrame:
    """Compare all pairs of experiments over the training sizes that both have.

    There is one comparison a pair: of the UA averaged over these sizes. The average is taken in
    each repeat first, so that what nested training subsets share between sizes is counted.

    Parameters
    ----------
    study : StudyValues
        The values of all experiments and sizes.
    reference : str or None
        The experiment that was declared beforehand as the one to compare with: the family is then
        of the pairs with it. None: all pairs.

    Returns
    -------
    DataFrame
        One row per pair (schema `COMPARISONS`), in the order of the experiments.
    """
    first, second = np.triu_indices(len(study.experiments), k=1)
    shared = study.trained[first] & study.trained[second]
    comparable = shared.any(axis=1)
    first, second, shared = first[comparable], second[comparable], shared[comparable]
    patterns, pattern_of = np.unique(shared, axis=0, return_inverse=True)
    parts = []
    for number, pattern in enumerate(patterns):
        rows = np.flatnonzero(pattern_of.ravel() == number)
        values = study.values.select((slice(None), pattern)).mean(axis=1)
        pairs = np.stack([first[rows], second[rows]])
        names = " ".join(name for name, has in zip(study.sizes, pattern, strict=True) if has)
        parts.append(
            _pair_columns(study, values, pairs).with_columns(
                row=pl.Series(rows), sizes=pl.lit(names)
            )
        )
    if not parts:
        return _empty(COMPARISONS)
    table = pl.concat(parts).sort("row")
    in_family = np.ones(len(table), bool)
    if reference is not None:
        in_family = ((table["experiment"] == reference) | (table["other"] == reference)).to_numpy()
    corrected = np.full(len(table), np.nan)
    corrected[in_family] = holm(table["p_value"].to_numpy()[in_family])
    better = pl.when(pl.col("difference") > 0).then("experiment").otherwise("other")
    return (
        table.with_columns(
            p_holm=pl.Series(corrected).fill_nan(None),
            family=pl.when(pl.Series(in_family)).then(pl.lit(int(in_family.sum()))).cast(pl.Int32),
            speakers=pl.lit(len(study.speakers), pl.Int32),
        )
        .with_columns(
            winner=pl.when(pl.col("p_holm") < ALPHA)
            .then(better)
            .when(pl.col("p_holm").is_not_null())
            .then(pl.lit("none"))
        )
        .select(COMPARISONS.names)
    )


def comparison_table_by_size(study: StudyValues) -> pl.DataFrame:
    """Compare all pairs of experiments at every training size that both have.

    Parameters
    ----------
    study : StudyValues
        The values of all experiments and sizes.

    Returns
    -------
    DataFrame
        One row per size and pair (schema `COMPARISONS_BY_SIZE`), in the order of the sizes.
    """
    parts = [_empty(COMPARISONS_BY_SIZE)]
    for column, size in enumerate(study.sizes):
        trained = np.flatnonzero(study.trained[:, column])
        if len(trained) < 2:
            continue
        pairs = trained[np.stack(np.triu_indices(len(trained), k=1))]
        values = study.values.select((slice(None), column))
        table = _pair_columns(study, values, pairs).with_columns(
            size=pl.lit(size), labels=pl.Series(study.labels[pairs[0], column])
        )
        parts.append(table.select(COMPARISONS_BY_SIZE.names))
    return pl.concat(parts)


def rank_experiments(comparisons: pl.DataFrame | None, scores: pl.DataFrame) -> list[str]:
    """Rank the experiments of a study over their learning curves.

    An experiment ranks by the number of others that it is ahead of, over the sizes that both have,
    then by its UA at its largest size. If all experiments have the same sizes, this is the order of
    their mean UA.

    Parameters
    ----------
    comparisons : DataFrame or None
        Table of `comparison_table`; None: rank by UA only.
    scores : DataFrame
        The table of scores.

    Returns
    -------
    list of str
        Names of all experiments, the best first.
    """
    wins: dict[str, int] = {}
    if comparisons is not None:
        ahead = comparisons.filter(pl.col("difference") != 0).select(
            experiment=pl.when(pl.col("difference") > 0).then("experiment").otherwise("other")
        )
        wins = dict(ahead.group_by("experiment").len().iter_rows())
    largest = scores.sort("training_utterances_mean", maintain_order=True).group_by(
        "experiment", maintain_order=True
    )
    ua = dict(largest.agg(pl.col("ua").last()).iter_rows())
    names: list[str] = scores["experiment"].unique(maintain_order=True).to_list()
    return sorted(names, key=lambda name: (-wins.get(name, 0), -ua[name]))


def _pair_columns(
    study: StudyValues, values: JackknifeValues, pairs: NDArray[np.int64]
) -> pl.DataFrame:
    names = pl.Series(study.experiments)
    differences = study.compare(values, pairs)
    return pl.DataFrame(
        {
            "experiment": names.gather(pairs[0]),
            "other": names.gather(pairs[1]),
            "ua": values.ua[pairs[0]],
            "other_ua": values.ua[pairs[1]],
            "difference": differences.value,
            "difference_low": differences.low,
            "difference_high": differences.high,
            "p_value": differences.p_value,
            "effect_size": differences.effect_size,
            "standard_error": differences.standard_error,
            "clusters": np.where(differences.by_folds, "folds", "speakers").astype(object),
            "degrees_of_freedom": differences.degrees_of_freedom.astype(np.int32),
        },
        schema_overrides={"clusters": pl.String},
    ).with_columns(
        pl.col("difference_low", "difference_high", "effect_size", "standard_error").fill_nan(None)
    )


def _empty(schema: pa.Schema) -> pl.DataFrame:
    table = pl.from_arrow(schema.empty_table())
    assert isinstance(table, pl.DataFrame)
    return table
