"""Simulation of the statistics: coverage of intervals, false winners and power.

    python -m tests.evidence.simulate_statistics

prints the coverage of the intervals, how often a winner is named without a true difference, and the
power of the comparison. It ends with an error if one of them is outside its limits. The results are
in docs/explanation/statistics.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import click
import numpy as np
from scipy import stats

from emoscale.evaluation.comparisons import ALPHA, compare, holm
from emoscale.evaluation.speakers import (
    PredictionCounts,
    bootstrap_scores,
    bootstrap_speakers,
    confidence_interval,
    unweighted_accuracy,
)
from emoscale.evaluation.variance import linearised_contributions, variance_components
from tests.evidence.shuffled_study import shuffled_comparisons
from tests.evidence.simulated_study import METRICS, SimulatedStudy, simulate, true_scores

COVERAGE_LIMITS = (0.90, 0.98)
FALSE_WINNERS = 0.05
"""Nominal rate; the limit adds two standard errors of the simulation."""

DEFAULT_STUDY = SimulatedStudy(separations=(1.2, 0.6, 1.8))
STUDIES = {
    "2 repeats": DEFAULT_STUDY,
    "5 repeats": replace(DEFAULT_STUDY, repeats=5),
    "1 repeat": replace(DEFAULT_STUDY, repeats=1),
    "2 orders of 2 seeds": replace(DEFAULT_STUDY, repeats=4, seeds_per_order=2),
    "one speaker per fold": replace(DEFAULT_STUDY, folds=10),
    "unequal speakers": replace(
        DEFAULT_STUDY, utterances=(10, 120), concentration=5.0, speaker_std=0.8
    ),
    "large variance of trainings": replace(DEFAULT_STUDY, training_std=0.5),
}
EQUAL_SEPARATIONS = {
    "equally good": (1.2,),
    "shuffled labels": (0.0,),
}
EXPERIMENTS, SIZES = 4, 3
DIFFERENCE = 0.10
POWER_STUDIES = {
    "2 repeats": replace(DEFAULT_STUDY, separations=(1.2,)),
    "5 repeats": replace(DEFAULT_STUDY, separations=(1.2,), repeats=5),
    "2 repeats, 550 utterances per speaker (IEMOCAP)": replace(
        DEFAULT_STUDY, separations=(1.2,), utterances=(400, 700)
    ),
    "2 repeats, 20 speakers": replace(DEFAULT_STUDY, separations=(1.2,), speakers=20),
}


def coverage(study: SimulatedStudy, simulations: int) -> dict[str, float]:
    """Return the coverage of the 95 % intervals, by score."""
    truth = true_scores(study)
    covered: dict[str, list[bool]] = {}

    def record(name: str, ends: tuple[float, float], value: float) -> None:
        covered.setdefault(name, []).append(ends[0] <= value <= ends[1])

    for number in range(simulations):
        counts = simulate(study, [number, 7])
        bootstrap = bootstrap_speakers(counts[0].speakers, seed=number)
        for name, metric in METRICS.items():
            samples = [bootstrap_scores(each, bootstrap, metric) for each in counts]
            for index, values in enumerate(samples):
                record(name, confidence_interval(values, study.speakers), truth[name][index])
            for first, second in combinations(range(len(counts)), 2):
                true_difference = truth[name][first] - truth[name][second]
                if name == "UA":
                    ends = confidence_interval(samples[first] - samples[second], study.speakers)
                    record("difference, bootstrap", ends, true_difference)
                    difference = compare(counts[first], counts[second], seed=number)
                    record(
                        "difference, compared", (difference.low, difference.high), true_difference
                    )
    return {name: float(np.mean(values)) for name, values in covered.items()}


def winner_rates(study: SimulatedStudy, simulations: int) -> tuple[float, float, float]:
    """Return how often a winner is named.

    The fractions are of the studies that name a winner; of the pairs with an uncorrected p-value
    below 0.05; and of the studies that would name a winner without the variance of trainings.
    """
    named, uncorrected, named_by_speakers = [], [], []
    for number in range(simulations):
        counts = simulate(study, [number, 8])
        pairs = [
            (counts[first], counts[second])
            for size in range(SIZES)
            for first, second in combinations(range(size, len(counts), SIZES), 2)
        ]
        p_values = np.array([compare(*pair, seed=number).p_value for pair in pairs])
        speaker_p_values = np.array([_speaker_p_value(*pair) for pair in pairs])
        named.append(bool((holm(p_values) < ALPHA).any()))
        uncorrected.append(float(np.mean(p_values < ALPHA)))
        named_by_speakers.append(bool((holm(speaker_p_values) < ALPHA).any()))
    return float(np.mean(named)), float(np.mean(uncorrected)), float(np.mean(named_by_speakers))


def _speaker_p_value(counts: PredictionCounts, other_counts: PredictionCounts) -> float:
    """Compute the p-value of a t test over speakers without the variance of trainings."""
    contributions = linearised_contributions(counts.correct - other_counts.correct, counts.support)
    variance = variance_components(contributions, counts.in_fold, counts.orders).between_speakers
    t = (unweighted_accuracy(counts) - unweighted_accuracy(other_counts)) / np.sqrt(variance)
    return float(2 * stats.t.sf(abs(t), len(counts.speakers) - 1))


def power(study: SimulatedStudy, simulations: int) -> tuple[float, float, float]:
    """Return how often the first of two `separations` is significantly better than the second.

    The fractions are with Holm's correction, uncorrected, and with the corrected sign-flip test.
    The family has `EXPERIMENTS` experiments at `SIZES` sizes of which only this pair differs, so
    its p-value has to pass the first step of Holm's method.
    """
    family = SIZES * EXPERIMENTS * (EXPERIMENTS - 1) // 2
    differences = []
    for number in range(simulations):
        better, worse = simulate(study, [number, 9])
        differences.append(compare(better, worse, seed=number))
    positive = [difference for difference in differences if difference.value > 0]
    return (
        sum(difference.p_value * family < ALPHA for difference in positive) / simulations,
        sum(difference.p_value < ALPHA for difference in positive) / simulations,
        sum(difference.p_permutation * family < ALPHA for difference in positive) / simulations,
    )


def with_better_experiment(difference: float, study: SimulatedStudy) -> SimulatedStudy:
    """Return the study with another experiment before its first, better by `difference` in UA."""
    (weaker,) = study.separations
    default = replace(
        study, utterances=DEFAULT_STUDY.utterances, speakers=DEFAULT_STUDY.speakers
    )  # has the same true scores
    candidates = tuple(weaker + 0.05 * step for step in range(16))
    scores = true_scores(replace(default, separations=candidates), speakers=10_000)["UA"]
    stronger = float(np.interp(scores[0] + difference, scores, candidates))
    return replace(study, separations=(stronger, weaker))


def shuffled_winners(studies: int) -> Iterator[bool]:
    """Yield whether a trained study with shuffled labels names a winner."""
    for seed in range(studies):
        yield bool((shuffled_comparisons(seed)["winner"] != "none").any())


def false_winner_limit(studies: int) -> float:
    """Return the largest acceptable fraction of studies with a false winner."""
    return float(FALSE_WINNERS + 2 * np.sqrt(FALSE_WINNERS * (1 - FALSE_WINNERS) / studies))


@click.command(help=__doc__)
@click.option("--simulations", default=400, show_default=True, help="Number of simulated studies.")
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
            check(f"{study_name}, {name}", rate, *COVERAGE_LIMITS)
    click.echo(f"\nStudies of {EXPERIMENTS} experiments at {SIZES} sizes that name a false winner,")
    click.echo("%; pairs with an uncorrected p < 0.05, %; false winners without the variance of")
    click.echo("trainings, %")
    for name, separations in EQUAL_SEPARATIONS.items():
        for repeats in (1, 2, 5):
            study = replace(
                DEFAULT_STUDY, separations=separations * EXPERIMENTS * SIZES, repeats=repeats
            )
            winners, *others = winner_rates(study, simulations)
            fractions = "; ".join(f"{100 * fraction:.1f}" for fraction in (winners, *others))
            click.echo(f"  {name}, repeats {repeats}: {fractions}")
            check(
                f"{name}, repeats {repeats}, winners", winners, 0.0, false_winner_limit(simulations)
            )
    named = sum(shuffled_winners(shuffled))
    click.echo(f"\nTrained on shuffled labels: {named} of {shuffled} studies name a winner")
    check("trained on shuffled labels", named / shuffled, 0.0, FALSE_WINNERS)
    click.echo(
        f"\nPower for a true difference of {100 * DIFFERENCE:.0f} points of UA, %: as one of"
    )
    click.echo("18 comparisons with Holm's correction; uncorrected; permutation test with Holm's")
    click.echo("correction")
    for name, study in POWER_STUDIES.items():
        powers = power(with_better_experiment(DIFFERENCE, study), simulations)
        click.echo(f"  {name}: " + "; ".join(f"{100 * fraction:.1f}" for fraction in powers))
    if outside:
        raise click.ClickException("outside the limits: " + "; ".join(outside))


if __name__ == "__main__":
    main()
