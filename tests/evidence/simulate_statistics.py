"""Simulation of the statistics: coverage of intervals, false winners and power.

    python -m tests.evidence.simulate_statistics

prints the coverage of the intervals, how often a winner is named without a true difference, and the
power of the comparison of a large study. It ends with an error if one of them is outside its
limits. The results are in docs/explanation/statistics.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import click
import numpy as np
from scipy import stats

from emoscale.evaluation.comparisons import ALPHA, compare, holm
from emoscale.evaluation.speakers import (
    bootstrap_scores,
    bootstrap_speakers,
    confidence_interval,
)
from emoscale.evaluation.variance import (
    JackknifeValues,
    jackknife_values,
    stack,
    variance_components,
)
from emoscale.training.metrics import Floats
from tests.evidence.shuffled_study import shuffled_comparisons
from tests.evidence.simulated_study import METRICS, SimulatedStudy, simulate, true_scores

FALSE_WINNERS = 0.05
"""Nominal rate; the limit adds two standard errors of the simulation."""

DEFAULT_STUDY = SimulatedStudy(separations=(1.2, 0.6, 1.8))
STUDIES = {
    "2 repeats": DEFAULT_STUDY,
    "5 repeats": replace(DEFAULT_STUDY, repeats=5),
    "1 repeat": replace(DEFAULT_STUDY, repeats=1),
    "2 orders of 2 seeds": replace(DEFAULT_STUDY, repeats=4, seeds_per_order=2),
    "one speaker per fold": replace(DEFAULT_STUDY, folds=10),
    "one speaker has half": replace(DEFAULT_STUDY, first_speaker_fraction=0.5),
    "folds of 6, 1, 1, 1, 1": replace(DEFAULT_STUDY, fold_sizes=(6, 1, 1, 1, 1)),
    "unequal speakers": replace(
        DEFAULT_STUDY, utterances=(10, 120), concentration=5.0, speaker_std=0.8
    ),
    "large variance of trainings": replace(DEFAULT_STUDY, training_std=0.5),
}
COVERAGE_LIMITS = dict.fromkeys(STUDIES, (0.92, 0.98)) | {
    "1 repeat": (0.90, 0.98),  # the variance of trainings is unknown
    "unequal speakers": (0.90, 0.98),
}
EQUAL_SEPARATIONS = {
    "equally good": (1.2,),
    "shuffled labels": (0.0,),
}
EXPERIMENTS, SIZES = 4, 3


def coverage(study: SimulatedStudy, simulations: int) -> dict[str, float]:
    """Return the coverage of the 95 % intervals, by score."""
    truth = true_scores(study)
    covered: dict[str, list[bool]] = {}

    def record(name: str, ends: tuple[float, float], value: float) -> None:
        covered.setdefault(name, []).append(ends[0] <= value <= ends[1])

    for number in range(simulations):
        counts = simulate(study, [number, 7])
        bootstrap = bootstrap_speakers(counts[0].speakers, seed=number, folds=counts[0].fold_names)
        values = stack([jackknife_values(each) for each in counts])
        for name, metric in METRICS.items():
            samples = [bootstrap_scores(each, bootstrap, metric) for each in counts]
            for index, scores in enumerate(samples):
                record(name, confidence_interval(scores, study.speakers), truth[name][index])
            if name != "UA":
                continue
            for first, second in combinations(range(len(counts)), 2):
                true_difference = truth[name][first] - truth[name][second]
                ends = confidence_interval(samples[first] - samples[second], study.speakers)
                record("difference, bootstrap", ends, true_difference)
                difference = compare(
                    values.select(first) - values.select(second),
                    counts[0].in_fold,
                    counts[0].orders,
                )
                record(
                    "difference, compared",
                    (float(difference.low), float(difference.high)),
                    true_difference,
                )
    return {name: float(np.mean(values)) for name, values in covered.items()}


def winner_rates(study: SimulatedStudy, simulations: int) -> tuple[float, float, float]:
    """Return how often a winner is named among `EXPERIMENTS` experiments at `SIZES` sizes.

    The fractions are of the studies that name a winner over the learning curves; of the pairs and
    sizes with an uncorrected p-value below 0.05; and of the studies that would name a winner
    without the variance of trainings.
    """
    named, uncorrected, named_by_speakers = [], [], []
    first, second = np.triu_indices(EXPERIMENTS, k=1)
    for number in range(simulations):
        counts = simulate(study, [number, 8])
        design = counts[0].in_fold, counts[0].orders
        by_size = stack([jackknife_values(each) for each in counts])
        sizes = [by_size.select(slice(size, None, SIZES)) for size in range(SIZES)]
        pairs = [values.select(first) - values.select(second) for values in sizes]
        curve = stack(pairs).mean(axis=0)
        named.append(bool((holm(compare(curve, *design).p_value) < ALPHA).any()))
        uncorrected.append(np.mean([compare(pair, *design).p_value < ALPHA for pair in pairs]))
        variance = variance_components(curve, *design).between_speakers
        speaker_p_values = 2 * stats.t.sf(np.abs(curve.ua / np.sqrt(variance)), study.speakers - 1)
        named_by_speakers.append(bool((holm(speaker_p_values) < ALPHA).any()))
    return float(np.mean(named)), float(np.mean(uncorrected)), float(np.mean(named_by_speakers))


@dataclass(frozen=True)
class LargeStudy:
    """A study of many experiments, as normally distributed UA of speakers and trainings."""

    ua: tuple[float, ...] = (0.6,) * 20
    """True UA of each experiment, at all sizes."""

    sizes: int = 5
    speakers: int = 10
    folds: int = 5
    repeats: int = 5

    speaker_std: float = 0.09
    """Standard deviation over speakers of the difference of two experiments; half of its variance
    is the same at all sizes."""

    training_std: float = 0.05
    """Standard deviation over trainings of a fold's UA, which all its speakers share."""

    estimators: int = 0
    """Number of experiments whose repeats are identical at the last size."""


def large_study_values(study: LargeStudy, seed: int) -> JackknifeValues:
    """Return the values of all experiments and sizes of a simulated study."""
    generator = np.random.default_rng([seed, 10])
    shape = (len(study.ua), study.sizes)
    in_fold = fold_matrix(study)
    deviation = study.speaker_std / np.sqrt(2) / np.sqrt(2)
    of_speakers = generator.normal(0, deviation, (shape[0], 1, 1, study.speakers))
    of_speakers = of_speakers + generator.normal(0, deviation, (*shape, 1, study.speakers))
    of_trainings = generator.normal(0, study.training_std, (*shape, study.repeats, study.folds))
    for experiment in range(study.estimators):
        of_trainings[experiment, -1] = of_trainings[experiment, -1, 0]
    by_speaker = (
        np.array(study.ua)[:, None, None, None] + of_speakers + of_trainings @ in_fold
    ).mean(axis=2)
    totals = by_speaker.sum(axis=-1, keepdims=True)
    in_fold_sums = by_speaker @ in_fold.T
    identical = np.zeros(shape, bool)
    identical[: study.estimators, -1] = True
    return JackknifeValues(
        ua=by_speaker.mean(axis=-1),
        without_speaker=(totals - by_speaker) / (study.speakers - 1),
        without_fold=(totals - in_fold_sums) / (study.speakers - in_fold.sum(axis=1)),
        by_training=of_trainings * in_fold.sum(axis=1) / study.speakers,
        identical_repeats=identical,
    )


def fold_matrix(study: LargeStudy) -> Floats:
    """Return the indicator of the speakers of each fold."""
    matrix: Floats = np.repeat(np.eye(study.folds), study.speakers // study.folds, axis=1)
    return matrix


FAMILIES = ("pairs and sizes", "pairs", "pairs with a reference")


def named_pairs(study: LargeStudy, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return true differences and whether a winner is named, of each comparison of each family."""
    values = large_study_values(study, seed)
    first, second = np.triu_indices(len(study.ua), k=1)
    truth = np.array(study.ua)[first] - np.array(study.ua)[second]
    design = fold_matrix(study), range(study.repeats)
    pairs = values.select(first) - values.select(second)
    by_size = compare(pairs, *design)
    curve = compare(pairs.mean(axis=1), *design)
    named = {}
    for family, difference, selected in (
        (FAMILIES[0], by_size, slice(None)),
        (FAMILIES[1], curve, slice(None)),
        (FAMILIES[2], curve, first == 0),
    ):
        p_values, estimate = difference.p_value[selected], difference.value[selected]
        significant = (holm(p_values.ravel()) < ALPHA).reshape(p_values.shape)
        expected = np.broadcast_to(
            truth[selected].reshape(-1, *[1] * (p_values.ndim - 1)), p_values.shape
        )
        named[family] = expected, significant & ((estimate > 0) == (expected > 0) | (expected == 0))
    return named


EQUAL = LargeStudy()
LADDER = LargeStudy(ua=tuple(0.6 - 0.2 * step / 19 for step in range(20)))
LARGE_STUDIES = {
    "all equal": EQUAL,
    "all equal, twice the variance of trainings": replace(EQUAL, training_std=0.05 * 2**0.5),
    "all equal, ten are estimators": replace(EQUAL, estimators=10),
    "one better by 10 points": replace(EQUAL, ua=(0.7, *(0.6,) * 19)),
    "a ladder over 20 points": LADDER,
}


def large_study_rates(study: LargeStudy, simulations: int) -> dict[str, tuple[float, float]]:
    """Return, for each family, the fraction of studies with a false winner, and the power.

    The power is the fraction of comparisons with a true difference of 10 points or more that name
    the better experiment; not a number without such a comparison.
    """
    false: dict[str, list[bool]] = {family: [] for family in FAMILIES}
    detected: dict[str, list[Floats]] = {family: [] for family in FAMILIES}
    for seed in range(simulations):
        for family, (truth, named) in named_pairs(study, seed).items():
            false[family].append(bool(named[truth == 0].any()))
            detected[family].append(named[np.abs(truth) >= 0.1 - 1e-9])
    return {
        family: (
            float(np.mean(false[family])),
            float(np.mean(detected[family])) if detected[family][0].size else float("nan"),
        )
        for family in FAMILIES
    }


def shuffled_winners(studies: int) -> Iterator[bool]:
    """Yield whether a trained study with shuffled labels names a winner."""
    for seed in range(studies):
        yield bool((shuffled_comparisons(seed)[0]["winner"] != "none").any())


def false_winner_limit(studies: int) -> float:
    """Return the largest acceptable fraction of studies with a false winner."""
    return float(FALSE_WINNERS + 2 * np.sqrt(FALSE_WINNERS * (1 - FALSE_WINNERS) / studies))


@click.command(help=__doc__)
@click.option("--simulations", default=1200, show_default=True, help="Number of simulated studies.")
@click.option("--shuffled", default=100, show_default=True, help="Number of trained studies.")
def main(simulations: int, shuffled: int) -> None:
    outside: list[str] = []

    def check(name: str, value: float, low: float, high: float) -> None:
        if not low <= value <= high:
            outside.append(
                f"{name}: {100 * value:.1f} % is not from {100 * low:g} to {100 * high:g}"
            )

    click.echo(f"Coverage of 95 % intervals, %, {simulations} studies each, ten speakers")
    for study_name, study in STUDIES.items():
        rates = coverage(study, simulations)
        click.echo(f"  {study_name}: " + "; ".join(f"{k} {100 * v:.1f}" for k, v in rates.items()))
        for name, rate in rates.items():
            check(f"{study_name}, {name}", rate, *COVERAGE_LIMITS[study_name])
    click.echo(f"\nStudies of {EXPERIMENTS} experiments at {SIZES} sizes that name a false winner,")
    click.echo("%; pairs and sizes with an uncorrected p < 0.05, %; false winners without the")
    click.echo("variance of trainings, %")
    limit = false_winner_limit(simulations)
    for name, separations in EQUAL_SEPARATIONS.items():
        for repeats in (1, 2, 5):
            study = replace(
                DEFAULT_STUDY, separations=separations * EXPERIMENTS * SIZES, repeats=repeats
            )
            winners, *others = winner_rates(study, simulations)
            fractions = "; ".join(f"{100 * fraction:.1f}" for fraction in (winners, *others))
            click.echo(f"  {name}, repeats {repeats}: {fractions}")
            check(f"{name}, repeats {repeats}, winners", winners, 0.0, limit)
    named = sum(shuffled_winners(shuffled))
    click.echo(f"\nTrained on shuffled labels: {named} of {shuffled} studies name a winner")
    check("trained on shuffled labels", named / shuffled, 0.0, FALSE_WINNERS)
    click.echo(
        f"\n20 experiments at 5 sizes, 10 speakers, {simulations} studies: with a false winner, %; "
        "pairs at\nleast 10 points apart that are named, %; by family: " + ", ".join(FAMILIES)
    )
    for name, large in LARGE_STUDIES.items():
        by_family = large_study_rates(large, simulations)
        texts = [
            f"{100 * false:.1f}, {100 * detected:.1f}" for false, detected in by_family.values()
        ]
        click.echo(f"  {name}: " + "; ".join(texts))
        for family in FAMILIES:
            check(f"{name}, {family}, false winners", by_family[family][0], 0.0, limit)
        if large is LADDER:
            check("power over the curves", by_family["pairs"][1], 0.5, 1.0)
            check("power with a reference", by_family["pairs with a reference"][1], 0.9, 1.0)
    if outside:
        raise click.ClickException("outside the limits: " + "; ".join(outside))


if __name__ == "__main__":
    main()
