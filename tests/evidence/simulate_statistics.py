"""Whether the statistics hold what they say, on studies whose truth is known.

    python -m tests.evidence.simulate_statistics

prints coverage of the intervals, winners where there are none, and power, and ends with an error
where one of them is outside its limits. What came out is in docs/statistics.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import click
import numpy as np
from scipy import stats

from emoscale.evaluation.comparisons import LEVEL, compare, holm
from emoscale.evaluation.speakers import (
    Answers,
    draw_speakers,
    drawn,
    interval,
    unweighted_accuracy,
)
from emoscale.evaluation.variance import linearised, variance_of
from tests.evidence.shuffled_study import shuffled_comparisons
from tests.evidence.simulated_study import METRICS, SimulatedStudy, simulate, truth

COVERAGE = (0.90, 0.98)
FALSE_WINNERS = 0.05
"""And two standard errors of the simulation's own chance."""

USUAL = SimulatedStudy(strengths=(1.2, 0.6, 1.8))
STUDIES = {
    "2 repeats": USUAL,
    "5 repeats": replace(USUAL, repeats=5),
    "1 repeat": replace(USUAL, repeats=1),
    "2 orders of 2 seeds": replace(USUAL, repeats=4, seeds_per_order=2),
    "a fold a speaker": replace(USUAL, folds=10),
    "uneven speakers": replace(USUAL, utterances=(10, 120), evenness=5.0, speaker_deviation=0.8),
    "trainings differ much": replace(USUAL, training_deviation=0.5),
}
ALIKE = {
    "as good as each other": (1.2,),
    "shuffled labels": (0.0,),
}
EXPERIMENTS, SIZES = 4, 3
POINTS = 0.10
POWERS = {
    "2 repeats": replace(USUAL, strengths=(1.2,)),
    "5 repeats": replace(USUAL, strengths=(1.2,), repeats=5),
    "2 repeats, 550 utterances a speaker (IEMOCAP)": replace(
        USUAL, strengths=(1.2,), utterances=(400, 700)
    ),
    "2 repeats, 20 speakers": replace(USUAL, strengths=(1.2,), speakers=20),
}


def coverage(study: SimulatedStudy, simulations: int) -> dict[str, float]:
    """How often the 95 % intervals hold the truth, by what they are of."""
    true = truth(study)
    held: dict[str, list[bool]] = {}

    def note(what: str, ends: tuple[float, float], value: float) -> None:
        held.setdefault(what, []).append(ends[0] <= value <= ends[1])

    for number in range(simulations):
        answers = simulate(study, [number, 7])
        draws = draw_speakers(answers[0].speakers, seed=number)
        for name, metric in METRICS.items():
            values = [drawn(each, draws, metric) for each in answers]
            for place, own in enumerate(values):
                note(name, interval(own, study.speakers), true[name][place])
            for one, other in combinations(range(len(answers)), 2):
                apart = true[name][one] - true[name][other]
                if name == "UA":
                    ends = interval(values[one] - values[other], study.speakers)
                    note("difference, drawn", ends, apart)
                    found = compare(answers[one], answers[other], seed=number)
                    note("difference, compared", (found.low, found.high), apart)
    return {what: float(np.mean(found)) for what, found in held.items()}


def winners(study: SimulatedStudy, simulations: int) -> tuple[float, float, float]:
    """Share of the studies that declare a winner, and of the pairs that alone would have one.

    The third: of the studies, if the test knew of speakers alone, and not of trainings.
    """
    declared, alone, of_speakers = [], [], []
    for number in range(simulations):
        answers = simulate(study, [number, 8])
        pairs = [
            (answers[one], answers[other])
            for size in range(SIZES)
            for one, other in combinations(range(size, len(answers), SIZES), 2)
        ]
        p_values = np.array([compare(*pair, seed=number).p_value for pair in pairs])
        plain = np.array([_of_speakers_alone(*pair) for pair in pairs])
        declared.append(bool((holm(p_values) < LEVEL).any()))
        alone.append(float(np.mean(p_values < LEVEL)))
        of_speakers.append(bool((holm(plain) < LEVEL).any()))
    return float(np.mean(declared)), float(np.mean(alone)), float(np.mean(of_speakers))


def _of_speakers_alone(one: Answers, other: Answers) -> float:
    contributions = linearised(one.right - other.right, one.there)
    spread = variance_of(contributions, one.in_fold, one.orders).between_speakers
    t = (unweighted_accuracy(one) - unweighted_accuracy(other)) / np.sqrt(spread)
    return float(2 * stats.t.sf(abs(t), len(one.speakers) - 1))


def power(study: SimulatedStudy, simulations: int) -> tuple[float, float, float]:
    """How often the first of `strengths` is declared better than the second; alone; and flips.

    Corrected as one of a family of `EXPERIMENTS` experiments at `SIZES` sizes, all others alike, so
    that it must pass Holm's first step.
    """
    family = SIZES * EXPERIMENTS * (EXPERIMENTS - 1) // 2
    found = []
    for number in range(simulations):
        better, worse = simulate(study, [number, 9])
        found.append(compare(better, worse, seed=number))
    right = [each for each in found if each.value > 0]
    return (
        sum(each.p_value * family < LEVEL for each in right) / simulations,
        sum(each.p_value < LEVEL for each in right) / simulations,
        sum(each.p_permutation * family < LEVEL for each in right) / simulations,
    )


def better_by(points: float, study: SimulatedStudy) -> SimulatedStudy:
    """The study with a second experiment before its first, so much better in true UA."""
    (weaker,) = study.strengths
    usual = replace(study, utterances=USUAL.utterances, speakers=USUAL.speakers)  # the same truth
    candidates = tuple(weaker + 0.05 * step for step in range(16))
    scores = truth(replace(usual, strengths=candidates), speakers=10_000)["UA"]
    stronger = float(np.interp(scores[0] + points, scores, candidates))
    return replace(study, strengths=(stronger, weaker))


def shuffled_winners(studies: int) -> Iterator[bool]:
    """Whether comparisons of a really trained study with shuffled labels name a winner."""
    for seed in range(studies):
        yield bool((shuffled_comparisons(seed)["winner"] != "none").any())


def most(studies: int) -> float:
    """Share of false winners that a test which keeps its level may show in so many studies."""
    return float(FALSE_WINNERS + 2 * np.sqrt(FALSE_WINNERS * (1 - FALSE_WINNERS) / studies))


@click.command(help=__doc__)
@click.option("--simulations", default=400, show_default=True, help="Of each simulated study.")
@click.option("--shuffled", default=100, show_default=True, help="Really trained studies.")
def main(simulations: int, shuffled: int) -> None:
    outside: list[str] = []

    def hold(what: str, value: float, low: float, high: float) -> None:
        if not low <= value <= high:
            outside.append(
                f"{what}: {100 * value:.1f} % is not from {100 * low:g} to {100 * high:g}"
            )

    click.echo(f"Coverage of 95 % intervals, %, {simulations} studies each, ten speakers")
    for name, study in STUDIES.items():
        found = coverage(study, simulations)
        click.echo(f"  {name}: " + "; ".join(f"{k} {100 * v:.1f}" for k, v in found.items()))
        for what, value in found.items():
            hold(f"{name}, {what}", value, *COVERAGE)
    click.echo(f"\nStudies of {EXPERIMENTS} experiments at {SIZES} sizes that name a winner where")
    click.echo(
        "there is none, %; pairs with an uncorrected p < 0.05, %; studies, without trainings"
    )
    for name, strengths in ALIKE.items():
        for repeats in (1, 2, 5):
            study = replace(USUAL, strengths=strengths * EXPERIMENTS * SIZES, repeats=repeats)
            declared, *others = winners(study, simulations)
            shares = "; ".join(f"{100 * share:.1f}" for share in (declared, *others))
            click.echo(f"  {name}, repeats {repeats}: {shares}")
            hold(f"{name}, repeats {repeats}, winners", declared, 0.0, most(simulations))
    named = sum(shuffled_winners(shuffled))
    click.echo(f"\nReally trained on shuffled labels: {named} of {shuffled} studies name a winner")
    hold("trained on shuffled labels", named / shuffled, 0.0, FALSE_WINNERS)
    click.echo(
        f"\nA true difference of {100 * POINTS:.0f} points of UA is found, %: as the only one"
    )
    click.echo("of 18 comparisons, after Holm; alone; by permutation, after Holm")
    for name, weaker in POWERS.items():
        powers = power(better_by(POINTS, weaker), simulations)
        click.echo(f"  {name}: " + "; ".join(f"{100 * share:.1f}" for share in powers))
    if outside:
        raise click.ClickException("outside its limits: " + "; ".join(outside))


if __name__ == "__main__":
    main()
