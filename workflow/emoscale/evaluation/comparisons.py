"""The table of comparisons: every pair of experiments at every size that both have."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
import pyarrow as pa

from emoscale.evaluation.speakers import Answers, count_answers, unweighted_accuracy
from emoscale.evaluation.variance import linearised, variance_of
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import schema_field
from emoscale.training.metrics import Floats

LEVEL = 0.05
"""A corrected p-value below this names a winner; intervals are of 1 - LEVEL."""

_ALL_FLIPS = 14
_DRAWN_FLIPS = 20_000
_ROUNDING = 1e-9
_HARDLY_ANY_SPREAD = 1e3

COMPARISONS = pa.schema(
    [
        schema_field("size", pa.string(), "training size as asked for"),
        schema_field("experiment", pa.string(), "representation and model, by the study's name"),
        schema_field("other", pa.string(), "the experiment that it is compared with"),
        schema_field("labels", pa.float64(), "labels learned from, mean over folds"),
        schema_field(
            "ua", pa.float64(), "of the experiment: folds pooled, mean over repeats, 0 to 1"
        ),
        schema_field("other_ua", pa.float64(), "of the other, 0 to 1"),
        schema_field("difference", pa.float64(), "ua - other_ua, -1 to 1"),
        schema_field(
            "difference_low",
            pa.float64(),
            "lower end of its 95 % interval; null: one speaker, of whom nothing follows",
            null=True,
        ),
        schema_field(
            "difference_high",
            pa.float64(),
            "upper end of its 95 % interval; null: one speaker",
            null=True,
        ),
        schema_field(
            "p_value",
            pa.float64(),
            "of no difference: t test, paired by utterance and repeat, clustered by `clusters`, "
            "the trainings' variance included; 1 for one speaker",
        ),
        schema_field("p_holm", pa.float64(), "p_value, corrected by Holm for the `family`"),
        schema_field("p_permutation", pa.float64(), "of no difference: signs of speakers flipped"),
        schema_field(
            "p_mcnemar",
            pa.float64(),
            "of equal accuracy (WA) of the first repeats: exact McNemar test, which takes "
            "utterances for independent and so is too small",
        ),
        schema_field(
            "effect_size",
            pa.float64(),
            "difference in standard deviations of a speaker's (or fold's) difference (Cohen's d_z)",
        ),
        schema_field(
            "effect_low", pa.float64(), "lower end of its 95 % interval; null: no spread", null=True
        ),
        schema_field(
            "effect_high",
            pa.float64(),
            "upper end of its 95 % interval; null: no spread",
            null=True,
        ),
        schema_field("speakers", pa.int32(), "tested speakers"),
        schema_field(
            "clusters",
            pa.string(),
            "speakers; folds where no two trainings of a fold differ, so that repeats do not show "
            "what a training adds",
        ),
        schema_field("degrees_of_freedom", pa.int32(), "of the t test: clusters - 1"),
        schema_field(
            "family", pa.int32(), "comparisons that are corrected together: all of the study"
        ),
        schema_field("winner", pa.string(), "the better experiment where p_holm < 0.05, or none"),
    ]
)
"""A row a size and pair of experiments."""


@dataclass(frozen=True)
class Difference:
    """How two experiments differ in UA at one size."""

    value: float
    low: float
    """Not a number for one speaker; `high` as well."""

    high: float
    p_value: float
    p_permutation: float
    effect_size: float
    effect_low: float | None
    effect_high: float | None
    clusters: str
    degrees_of_freedom: int


def compare(one: Answers, other: Answers, seed: int) -> Difference:
    """The difference of UA, paired by repeat and speaker (and so by utterance).

    A t test over speakers whose variance has the trainings' share added (`variance_of`). Where the
    repeats of both are all alike, or there is one, the trainings' share cannot be seen between
    repeats, and folds are the clusters. Where nothing scatters, no difference has the p-value 1 and
    another that of `p_permutation`. One speaker says nothing of others: the p-value is 1, and there
    is no interval. `seed` is of the random flips, drawn beyond 14 speakers.
    """
    from scipy import stats  # 0.8 s to import

    assert one.speakers == other.speakers, "both are tested on the same speakers"
    right = one.right - other.right
    value = unweighted_accuracy(one) - unweighted_accuracy(other)
    orders = one.orders or tuple(range(one.repeats))
    variance = variance_of(linearised(right, one.there), one.in_fold, orders)
    clusters, number = "speakers", len(one.speakers)
    spread = variance.total
    if not variance.trainings and len(one.in_fold) > 1:
        clusters, number, spread = "folds", len(one.in_fold), variance.between_folds
    p_permutation = sign_flips(_linear(right, one.there), seed)
    error, freedom = float(np.sqrt(spread)), number - 1
    if freedom == 0:
        unknown = float("nan")
        return Difference(
            value, unknown, unknown, 1.0, p_permutation, 0.0, None, None, clusters, freedom
        )
    if error < _ROUNDING:
        p_value = 1.0 if abs(value) < _ROUNDING else p_permutation
        return Difference(
            value, value, value, p_value, p_permutation, 0.0, None, None, clusters, freedom
        )
    t = value / error
    reach = float(stats.t.ppf(1 - LEVEL / 2, freedom)) * error
    low, high = _noncentrality(t, freedom)
    return Difference(
        value=value,
        low=value - reach,
        high=value + reach,
        p_value=float(2 * stats.t.sf(abs(t), freedom)),
        p_permutation=p_permutation,
        effect_size=float(t / np.sqrt(number)),
        effect_low=float(low / np.sqrt(number)),
        effect_high=float(high / np.sqrt(number)),
        clusters=clusters,
        degrees_of_freedom=freedom,
    )


def sign_flips(contributions: Floats, seed: int) -> float:
    """Two-sided p-value that the sum of `contributions` [speakers] is 0 but for their signs.

    If two experiments are alike, each speaker's difference might as well be the other way round.
    All flips are counted for up to 14 speakers, which makes the test exact; beyond, 20,000 drawn
    ones and the one that was seen (Phipson and Smyth, "Permutation P-values Should Never Be Zero",
    2010). With n speakers no p-value is below 2 / 2^n.

    >>> sign_flips(np.array([1.0, 1.0, 1.0]), seed=0)
    0.25
    """
    number = len(contributions)
    seen = abs(contributions.sum()) - _ROUNDING
    if number <= _ALL_FLIPS:
        flips = np.arange(2**number)[:, None] >> np.arange(number) & 1
        return float((np.abs((1 - 2 * flips) @ contributions) >= seen).mean())
    generator = np.random.default_rng([seed, 53])
    signs = generator.choice([-1.0, 1.0], (_DRAWN_FLIPS, number))
    beyond = (np.abs(signs @ contributions) >= seen).sum()
    return float((beyond + 1) / (_DRAWN_FLIPS + 1))


def mcnemar(one: np.ndarray, other: np.ndarray) -> float:
    """Exact two-sided p-value of McNemar's test; each [utterances], whether an answer is right.

    McNemar, "Note on the sampling error of the difference between correlated proportions", 1947,
    with the binomial distribution in place of its approximation.

    >>> mcnemar(np.array([True] * 5 + [False]), np.array([False] * 5 + [False]))
    0.0625
    """
    from scipy import stats  # 0.8 s to import

    only_one, only_other = int((one & ~other).sum()), int((other & ~one).sum())
    if only_one + only_other == 0:
        return 1.0
    return float(stats.binomtest(only_one, only_one + only_other).pvalue)


def holm(p_values: Floats) -> Floats:
    """P-values corrected so that one false winner in the whole family is as rare as each says.

    Holm, "A simple sequentially rejective multiple test procedure", 1979.

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
    """All pairs (schema `COMPARISONS`), by size and in the order of `scores`.

    `scores` has `experiment, size, training_utterances_mean`; `predictions` and `speaker_of` are as
    in `count_answers`.
    """
    rows: list[dict[str, object]] = []
    for size in scores["size"].unique(maintain_order=True):
        of_size = scores.filter(pl.col("size") == size)
        labels = dict(of_size.select("experiment", "training_utterances_mean").iter_rows())
        own = {
            name: predictions.filter((pl.col("experiment") == name) & (pl.col("size") == size))
            for name in labels
        }
        answers = {name: count_answers(part, speaker_of, classes) for name, part in own.items()}
        right = {name: _first_right(part) for name, part in own.items()}
        for name, other in combinations(labels, 2):
            found = compare(answers[name], answers[other], seed)
            rows.append(
                {
                    "size": size,
                    "experiment": name,
                    "other": other,
                    "labels": labels[name],
                    "ua": unweighted_accuracy(answers[name]),
                    "other_ua": unweighted_accuracy(answers[other]),
                    "difference": found.value,
                    "difference_low": None if np.isnan(found.low) else found.low,
                    "difference_high": None if np.isnan(found.high) else found.high,
                    "p_value": found.p_value,
                    "p_permutation": found.p_permutation,
                    "p_mcnemar": mcnemar(right[name], right[other]),
                    "effect_size": found.effect_size,
                    "effect_low": found.effect_low,
                    "effect_high": found.effect_high,
                    "speakers": len(answers[name].speakers),
                    "clusters": found.clusters,
                    "degrees_of_freedom": found.degrees_of_freedom,
                }
            )
    corrected = holm(np.array([row["p_value"] for row in rows], dtype=float))
    for row, p_holm in zip(rows, corrected, strict=True):
        better = row["experiment"] if float(str(row["difference"])) > 0 else row["other"]
        row["p_holm"] = float(p_holm)
        row["family"] = len(rows)
        row["winner"] = better if p_holm < LEVEL else "none"
    return dataframe_of(rows, COMPARISONS)


def _linear(right: Floats, there: Floats) -> Floats:
    """[speakers] contributions that sum to the difference of UA."""
    utterances = there.sum(axis=0)
    tested = utterances > 0
    by_class = right.mean(axis=0)[:, tested] / utterances[tested]
    contributions: Floats = by_class.sum(axis=1) / tested.sum()
    return contributions


def _first_right(predictions: pl.DataFrame) -> np.ndarray:
    """Whether the first repeat's answers are right, in the order of the utterances' keys.

    One training and not a vote of all, which has ties with an even number of repeats.
    """
    first = predictions.filter(pl.col("repeat") == predictions["repeat"].min()).sort("utterance")
    return (first["label"] == first["predicted"]).to_numpy()


def _noncentrality(t: float, freedom: int) -> tuple[float, float]:
    """The interval of noncentrality parameters under which a t value is not unlikely.

    Cumming and Finch, "A Primer on the Understanding, Use, and Calculation of Confidence Intervals
    that are Based on Central and Noncentral Distributions", 2001.
    """
    from scipy import optimize, stats

    if t < 0:
        low, high = _noncentrality(-t, freedom)
        return -high, -low

    def scaled(probability: float) -> float:
        """The spread itself may be off by so much."""
        return t * float(np.sqrt(stats.chi2.ppf(probability, freedom) / freedom))

    if t > _HARDLY_ANY_SPREAD:  # where the distribution's own routine ends in numbers that are none
        return scaled(LEVEL / 2), scaled(1 - LEVEL / 2)
    farthest = 5.0 + scaled(0.999)

    def found(probability: float) -> float:
        def beside(parameter: float) -> float:
            return float(stats.nct.cdf(t, freedom, parameter)) - probability

        return float(optimize.brentq(beside, -2.5, farthest, xtol=1e-4))

    return found(1 - LEVEL / 2), found(LEVEL / 2)
