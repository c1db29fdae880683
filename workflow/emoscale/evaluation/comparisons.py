"""The table of comparisons: all pairs of experiments at each training size that both have."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
import pyarrow as pa

from emoscale.evaluation.speakers import PredictionCounts, count_predictions, unweighted_accuracy
from emoscale.evaluation.variance import linearised_contributions, variance_components
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import schema_field
from emoscale.training.metrics import Floats

ALPHA = 0.05
"""Significance level of the corrected p-values; intervals have confidence 1 - ALPHA."""

_EXACT_TEST_SPEAKERS = 14
_RANDOM_SIGN_FLIPS = 20_000
_TOLERANCE = 1e-9
_LARGE_T = 1e3

COMPARISONS = pa.schema(
    [
        schema_field("size", pa.string(), "training size, as in the study"),
        schema_field("experiment", pa.string(), "name of the experiment (representation, model)"),
        schema_field("other", pa.string(), "name of the experiment that it is compared with"),
        schema_field("labels", pa.float64(), "training labels, mean over folds"),
        schema_field(
            "ua",
            pa.float64(),
            "unweighted accuracy (UA) of `experiment`; folds pooled, mean over repeats, 0 to 1",
        ),
        schema_field(
            "other_ua",
            pa.float64(),
            "unweighted accuracy (UA) of `other`; folds pooled, mean over repeats, 0 to 1",
        ),
        schema_field("difference", pa.float64(), "ua - other_ua, -1 to 1"),
        schema_field(
            "difference_low",
            pa.float64(),
            "lower end of the 95 % interval of the difference; null: one speaker only",
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
            "p-value of the null hypothesis of no difference in UA: t test, paired by utterance "
            "and repeat, clustered by `clusters`, including the variance of trainings; 1 for one "
            "speaker",
        ),
        schema_field("p_holm", pa.float64(), "p_value with Holm's correction for the `family`"),
        schema_field(
            "p_permutation",
            pa.float64(),
            "p-value of no difference in UA: permutation test, flipping the signs of speakers",
        ),
        schema_field(
            "p_mcnemar",
            pa.float64(),
            "p-value of equal accuracy (WA) of the first repeats: exact McNemar test, which "
            "assumes independent utterances and is therefore too small",
        ),
        schema_field(
            "effect_size",
            pa.float64(),
            "difference in units of its standard deviation over speakers (or folds): Cohen's d_z",
        ),
        schema_field(
            "effect_low",
            pa.float64(),
            "lower end of the 95 % interval of the effect size; null: no variance, or one speaker",
            null=True,
        ),
        schema_field(
            "effect_high",
            pa.float64(),
            "upper end of the 95 % interval of the effect size; null: no variance, or one speaker",
            null=True,
        ),
        schema_field("speakers", pa.int32(), "number of tested speakers"),
        schema_field(
            "clusters",
            pa.string(),
            "clusters of the t test: speakers; or folds, if the repeats of each fold are identical "
            "and so do not show the variance of trainings",
        ),
        schema_field(
            "degrees_of_freedom",
            pa.int32(),
            "degrees of freedom of the t test: number of clusters - 1",
        ),
        schema_field(
            "family", pa.int32(), "number of comparisons corrected together: all of the study"
        ),
        schema_field(
            "winner", pa.string(), "the better experiment if p_holm < 0.05, otherwise none"
        ),
    ]
)
"""One row per training size and pair of experiments."""


@dataclass(frozen=True)
class Difference:
    """Difference in unweighted accuracy (UA) between two experiments at one training size."""

    value: float
    """Difference in UA, -1 to 1."""

    low: float
    """Lower end of the 95 % interval; not a number for a single speaker, as is `high`."""

    high: float
    """Upper end of the 95 % interval."""

    p_value: float
    """Of the t test; not corrected for multiple comparisons."""

    p_permutation: float
    """Of the sign-flip test."""

    effect_size: float
    """Cohen's d_z."""

    effect_low: float | None
    """Lower end of its 95 % interval; None without any variance, as is `effect_high`."""

    effect_high: float | None
    """Upper end of its 95 % interval."""

    clusters: str
    """Clusters of the t test: speakers or folds."""

    degrees_of_freedom: int
    """Number of clusters - 1."""


def compare(counts: PredictionCounts, other_counts: PredictionCounts, seed: int) -> Difference:
    """Test the difference in UA of two experiments, paired by repeat and speaker.

    It is a t test over speakers whose variance includes that of trainings (`variance_components`).
    If all repeats of both are identical, or there is only one, the variance of trainings cannot be
    estimated from repeats, and folds are the clusters. Without any variance, the p-value is 1 for a
    difference of 0, else `p_permutation`. A single speaker allows no inference: the p-value is 1,
    and there is no interval.

    Parameters
    ----------
    counts, other_counts : PredictionCounts
        Confusion counts of the two experiments, on the same speakers.
    seed : int
        Seed of the random sign flips, which are used for more than 14 speakers.

    Returns
    -------
    Difference
        The difference with its interval, p-values and effect size.
    """
    from scipy import stats  # 0.8 s to import

    assert counts.speakers == other_counts.speakers, "both are tested on the same speakers"
    correct = counts.correct - other_counts.correct
    value = unweighted_accuracy(counts) - unweighted_accuracy(other_counts)
    orders = counts.orders or tuple(range(counts.repeats))
    components = variance_components(
        linearised_contributions(correct, counts.support), counts.in_fold, orders
    )
    clusters, number = "speakers", len(counts.speakers)
    variance = components.total
    if not components.trainings and len(counts.in_fold) > 1:
        clusters, number, variance = "folds", len(counts.in_fold), components.between_folds
    p_permutation = sign_flip_test(_speaker_contributions(correct, counts.support), seed)
    standard_error, degrees_of_freedom = float(np.sqrt(variance)), number - 1
    if degrees_of_freedom == 0:
        unknown = float("nan")
        return Difference(
            value,
            unknown,
            unknown,
            1.0,
            p_permutation,
            0.0,
            None,
            None,
            clusters,
            degrees_of_freedom,
        )
    if standard_error < _TOLERANCE:
        p_value = 1.0 if abs(value) < _TOLERANCE else p_permutation
        return Difference(
            value,
            value,
            value,
            p_value,
            p_permutation,
            0.0,
            None,
            None,
            clusters,
            degrees_of_freedom,
        )
    t = value / standard_error
    margin = float(stats.t.ppf(1 - ALPHA / 2, degrees_of_freedom)) * standard_error
    low, high = _noncentrality_interval(t, degrees_of_freedom)
    return Difference(
        value=value,
        low=value - margin,
        high=value + margin,
        p_value=float(2 * stats.t.sf(abs(t), degrees_of_freedom)),
        p_permutation=p_permutation,
        effect_size=float(t / np.sqrt(number)),
        effect_low=float(low / np.sqrt(number)),
        effect_high=float(high / np.sqrt(number)),
        clusters=clusters,
        degrees_of_freedom=degrees_of_freedom,
    )


def sign_flip_test(contributions: Floats, seed: int) -> float:
    """Compute the two-sided p-value of the sign-flip permutation test.

    Under the null hypothesis the sign of each speaker's difference is arbitrary. For up to 14
    speakers all sign flips are enumerated, so the test is exact; for more, 20,000 random flips and
    the observed one are used. With n speakers no p-value is below 2 / 2^n.

    Parameters
    ----------
    contributions : ndarray
        Contributions ``[speakers]`` to the difference.
    seed : int
        Seed of the random sign flips.

    Returns
    -------
    float
        The p-value.

    References
    ----------
    Phipson and Smyth, "Permutation P-values Should Never Be Zero", 2010.

    Examples
    --------
    >>> sign_flip_test(np.array([1.0, 1.0, 1.0]), seed=0)
    0.25
    """
    number = len(contributions)
    observed = abs(contributions.sum()) - _TOLERANCE
    if number <= _EXACT_TEST_SPEAKERS:
        flips = np.arange(2**number)[:, None] >> np.arange(number) & 1
        return float((np.abs((1 - 2 * flips) @ contributions) >= observed).mean())
    generator = np.random.default_rng([seed, 53])
    signs = generator.choice([-1.0, 1.0], (_RANDOM_SIGN_FLIPS, number))
    beyond = (np.abs(signs @ contributions) >= observed).sum()
    return float((beyond + 1) / (_RANDOM_SIGN_FLIPS + 1))


def mcnemar(correct: np.ndarray, other_correct: np.ndarray) -> float:
    """Compute the exact two-sided p-value of McNemar's test, from the binomial distribution.

    Parameters
    ----------
    correct, other_correct : ndarray
        Whether each utterance is predicted correctly by each of two experiments ``[utterances]``.

    Returns
    -------
    float
        The p-value.

    References
    ----------
    McNemar, "Note on the sampling error of the difference between correlated proportions", 1947.

    Examples
    --------
    >>> mcnemar(np.array([True] * 5 + [False]), np.array([False] * 5 + [False]))
    0.0625
    """
    from scipy import stats  # 0.8 s to import

    first_only = int((correct & ~other_correct).sum())
    second_only = int((other_correct & ~correct).sum())
    if first_only + second_only == 0:
        return 1.0
    return float(stats.binomtest(first_only, first_only + second_only).pvalue)


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


def comparison_table(
    scores: pl.DataFrame,
    predictions: pl.DataFrame,
    speaker_of: pl.DataFrame,
    classes: list[str],
    seed: int,
) -> pl.DataFrame:
    """Compare all pairs of experiments at every training size that both have.

    Parameters
    ----------
    scores : DataFrame
        Columns `experiment, size, training_utterances_mean`.
    predictions : DataFrame
        Predictions of the study, with the columns of `count_predictions` and `experiment, size`.
    speaker_of : DataFrame
        Columns `utterance, speaker`.
    classes : list of str
        Class names.
    seed : int
        Seed of the random sign flips.

    Returns
    -------
    DataFrame
        One row per size and pair (schema `COMPARISONS`), in the order of `scores`.
    """
    rows: list[dict[str, object]] = []
    for size in scores["size"].unique(maintain_order=True):
        scores_of_size = scores.filter(pl.col("size") == size)
        labels = dict(scores_of_size.select("experiment", "training_utterances_mean").iter_rows())
        by_experiment = {
            name: predictions.filter((pl.col("experiment") == name) & (pl.col("size") == size))
            for name in labels
        }
        counts = {
            name: count_predictions(table, speaker_of, classes)
            for name, table in by_experiment.items()
        }
        correct = {name: _first_repeat_correct(table) for name, table in by_experiment.items()}
        for name, other in combinations(labels, 2):
            difference = compare(counts[name], counts[other], seed)
            rows.append(
                {
                    "size": size,
                    "experiment": name,
                    "other": other,
                    "labels": labels[name],
                    "ua": unweighted_accuracy(counts[name]),
                    "other_ua": unweighted_accuracy(counts[other]),
                    "difference": difference.value,
                    "difference_low": None if np.isnan(difference.low) else difference.low,
                    "difference_high": None if np.isnan(difference.high) else difference.high,
                    "p_value": difference.p_value,
                    "p_permutation": difference.p_permutation,
                    "p_mcnemar": mcnemar(correct[name], correct[other]),
                    "effect_size": difference.effect_size,
                    "effect_low": difference.effect_low,
                    "effect_high": difference.effect_high,
                    "speakers": len(counts[name].speakers),
                    "clusters": difference.clusters,
                    "degrees_of_freedom": difference.degrees_of_freedom,
                }
            )
    corrected = holm(np.array([row["p_value"] for row in rows], dtype=float))
    for row, p_holm in zip(rows, corrected, strict=True):
        better = row["experiment"] if float(str(row["difference"])) > 0 else row["other"]
        row["p_holm"] = float(p_holm)
        row["family"] = len(rows)
        row["winner"] = better if p_holm < ALPHA else "none"
    return dataframe_of(rows, COMPARISONS)


def _speaker_contributions(correct: Floats, support: Floats) -> Floats:
    """Compute contributions [speakers] that sum to the difference of UA."""
    utterances = support.sum(axis=0)
    tested = utterances > 0
    by_class = correct.mean(axis=0)[:, tested] / utterances[tested]
    contributions: Floats = by_class.sum(axis=1) / tested.sum()
    return contributions


def _first_repeat_correct(predictions: pl.DataFrame) -> np.ndarray:
    """Return whether the first repeat predicts each utterance correctly, sorted by utterance.

    A majority vote of all repeats would have ties with an even number of repeats.
    """
    first = predictions.filter(pl.col("repeat") == predictions["repeat"].min()).sort("utterance")
    return (first["label"] == first["predicted"]).to_numpy()


def _noncentrality_interval(t: float, degrees_of_freedom: int) -> tuple[float, float]:
    """Compute the confidence interval of the noncentrality parameter of a t value.

    Cumming and Finch, "A Primer on the Understanding, Use, and Calculation of Confidence Intervals
    that are Based on Central and Noncentral Distributions", 2001.
    """
    from scipy import optimize, stats

    if t < 0:
        low, high = _noncentrality_interval(-t, degrees_of_freedom)
        return -high, -low

    def chi_square_scaled(probability: float) -> float:
        """Scale t by a quantile of its estimated standard deviation."""
        quantile = stats.chi2.ppf(probability, degrees_of_freedom)
        return t * float(np.sqrt(quantile / degrees_of_freedom))

    if t > _LARGE_T:  # scipy's noncentral t distribution returns NaN here
        return chi_square_scaled(ALPHA / 2), chi_square_scaled(1 - ALPHA / 2)
    upper_limit = 5.0 + chi_square_scaled(0.999)

    def noncentrality(probability: float) -> float:
        def cdf_error(parameter: float) -> float:
            return float(stats.nct.cdf(t, degrees_of_freedom, parameter)) - probability

        return float(optimize.brentq(cdf_error, -2.5, upper_limit, xtol=1e-4))

    return noncentrality(1 - ALPHA / 2), noncentrality(ALPHA / 2)
