"""Simulation of forecasts and efficiency factors on learning curves with a known true shape.

    python -m tests.evidence.simulate_curves

prints, for each shape of curve and each design, how often the held-out last point is in its
prediction interval and how wide the interval is; and how often the interval of an efficiency factor
covers the true one. It ends with an error if one of them is outside its limits. The results are in
docs/explanation/efficiency.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click
import numpy as np

from emoscale.evaluation.curves import LearningCurve
from emoscale.evaluation.efficiency import efficiency_table
from emoscale.evaluation.forecast import forecast_table, noise_of
from emoscale.evaluation.speakers import (
    PredictionCounts,
    bootstrap_speakers,
    bootstrap_unweighted_accuracy,
    unweighted_accuracy,
)
from emoscale.training.metrics import Floats

CHANCE = 0.25
MINIMUM_FORECAST_COVERAGE = 0.85
"""Least fraction of held-out points in their prediction interval."""

MINIMUM_FACTOR_COVERAGE = 0.9
"""Least fraction of true factors in their interval."""

MAXIMUM_WIDTH = {
    "5, each twice the last": 0.30,
    "4, each twice the last": 0.30,
    "published": 0.20,
}
"""Largest mean width of the prediction intervals, by design."""

Shape = Callable[[Floats], Floats]
SHAPES: dict[str, Shape] = {
    "power law": lambda n: 0.75 - 1.6 * n**-0.35,
    "slow power law": lambda n: 0.95 - 1.3 * n**-0.15,
    "logarithm": lambda n: 0.30 + 0.055 * np.log(n / 20),
    "sigmoid in log n, past its middle": lambda n: 0.25 + 0.45 / (1 + (120 / n) ** 1.5),
    "sigmoid in log n, before its middle": lambda n: 0.25 + 0.45 / (1 + (400 / n) ** 1.2),
    "constant": lambda n: 0.5 + 0 * n,
    "at chance": lambda n: CHANCE + 0 * n,
}
"""True UA by number of labels."""

DESIGNS = {
    "5, each twice the last": [50, 100, 200, 400, 800],
    "4, each twice the last": [100, 200, 400, 800],
    "4, each four times the last": [20, 80, 320, 1280],
    "published": [500, 1000, 2000, 4000],
    "3, 20 to 356": [20, 80, 356],
}
"""Numbers of labels."""


def simulate_curves(
    shapes: Sequence[Shape],
    labels: Floats,
    generator: np.random.Generator,
    speakers: int = 10,
    repeats: int = 3,
    utterances: int = 15,
) -> list[LearningCurve]:
    """Return measured curves of one study, with `utterances` per speaker and class.

    UA varies between speakers, equally at all sizes (standard deviation 6 points) and by size (2),
    and between trainings (1.5). Half of the variance of an utterance is shared by all sizes,
    trainings and curves.
    """
    classes = 4
    speaker_effect = generator.normal(0, 0.06, speakers)
    shared_noise = generator.normal(size=(speakers, classes, utterances))
    bootstrap = bootstrap_speakers([f"s{number:03d}" for number in range(speakers)], 1, 1000)
    curves = []
    for curve_number, shape in enumerate(shapes):
        ua, bootstrap_ua = [], []
        for expected_ua in shape(labels):
            size_effect = generator.normal(0, 0.02, speakers)
            training_effect = generator.normal(0, 0.015, repeats)
            noise = generator.normal(size=(repeats, *shared_noise.shape))
            difficulty = np.sqrt(0.5) * shared_noise + np.sqrt(0.5) * noise
            probabilities = np.clip(
                expected_ua + (speaker_effect + size_effect) + training_effect[:, None], 0.02, 0.98
            )
            correct = (_normal_cdf(difficulty) < probabilities[:, :, None, None]).sum(axis=-1)
            confusions = np.zeros((repeats, speakers, classes, classes), np.int64)
            for label in range(classes):
                confusions[:, :, label, label] = correct[:, :, label]
                confusions[:, :, label, label - 1] = utterances - correct[:, :, label]
            counts = PredictionCounts(bootstrap.speakers, confusions)
            ua.append(unweighted_accuracy(counts))
            bootstrap_ua.append(bootstrap_unweighted_accuracy(counts, bootstrap))
        sizes = tuple(f"{number:.0f}" for number in labels)
        curves.append(
            LearningCurve(
                f"curve{curve_number}",
                sizes,
                labels,
                np.array(ua),
                np.stack(bootstrap_ua, axis=1),
                speakers,
            )
        )
    return curves


def forecast_held_out_points(
    shape: Shape, labels: Sequence[int], simulations: int, seed: int = 0
) -> dict[str, float]:
    """Return coverage, mean width and mean error of held-out last points, and the estimated
    noise."""
    generator = np.random.default_rng(seed)
    rows, noises = [], []
    for _ in range(simulations):
        curves = simulate_curves([shape], np.array(labels, dtype=float), generator)
        rows += forecast_table(curves, CHANCE, [], [], seed).to_dicts()
        noises.append(noise_of(curves[0]))
    return {
        "covered": float(np.mean([row["covered"] for row in rows])),
        "width": float(np.mean([row["ua_high"] - row["ua_low"] for row in rows])),
        "error": float(np.mean([abs(row["ua"] - row["measured_ua"]) for row in rows])),
        "noise": float(np.mean(noises)),
    }


def estimate_factors(
    true_factor: float, labels: Sequence[int], simulations: int, seed: int = 0
) -> dict[str, float]:
    """Simulate a curve that needs `true_factor` times fewer labels than another at every size.

    Returns the coverage of the interval, the fraction of intervals with two finite ends, and the
    median of the measured factors (not a number if none was measured).
    """
    generator = np.random.default_rng(seed)

    def slow(n: Floats) -> Floats:
        return np.asarray(0.80 - 1.2 * n**-0.3)

    rows = []
    for _ in range(simulations):
        numbers = np.array(labels, dtype=float)
        curves = simulate_curves([lambda n: slow(true_factor * n), slow], numbers, generator)
        table = efficiency_table(curves).filter("at_largest_size", experiment="curve0")
        rows.append(table.row(0, named=True))
    measured = [row["factor"] for row in rows if row["bound"] == "measured"]
    return {
        "covered": float(
            np.mean([row["factor_low"] <= true_factor <= row["factor_high"] for row in rows])
        ),
        "bounded": float(
            np.mean([row["factor_low"] > 0 and row["factor_high"] < np.inf for row in rows])
        ),
        "median": float(np.median(measured)) if measured else float("nan"),
    }


def _normal_cdf(values: Floats) -> Floats:
    from scipy.special import ndtr

    return np.asarray(ndtr(values))


@click.command(help=__doc__)
@click.option("--simulations", default=100, show_default=True, help="Number of simulated studies.")
def main(simulations: int) -> None:
    outside = []
    click.echo(f"held-out last points, {simulations} simulated studies each: covered, width, error")
    for design, labels in DESIGNS.items():
        for name, shape in SHAPES.items():
            result = forecast_held_out_points(shape, labels, simulations)
            click.echo(
                f"{design:28}{name:38}{result['covered']:5.0%}{100 * result['width']:7.1f}"
                f"{100 * result['error']:6.1f}  (noise {100 * result['noise']:.1f} points)"
            )
            too_wide = result["width"] > MAXIMUM_WIDTH.get(design, 1.0)
            if result["covered"] < MINIMUM_FORECAST_COVERAGE or too_wide:
                outside.append(f"{design}, {name}")
    click.echo("true factor: covered by its interval, bounded intervals, median of the measured")
    for factor in (1.0, 2.0, 4.0, 8.0):
        for design in ("5, each twice the last", "published"):
            result = estimate_factors(factor, DESIGNS[design], simulations)
            click.echo(
                f"{design:28}{factor:4.0f}{result['covered']:7.0%}{result['bounded']:7.0%}"
                f"{result['median']:7.1f}"
            )
            if result["covered"] < MINIMUM_FACTOR_COVERAGE:
                outside.append(f"factor {factor}, {design}")
    if outside:
        raise click.ClickException("outside the limits: " + "; ".join(outside))


if __name__ == "__main__":
    main()
