"""Simulation of forecasts and efficiency factors on learning curves with a known true shape.

    python -m tests.evidence.simulate_curves

prints, for each shape of curve and each design, how often the prediction interval contains the
point at the largest size, forecast from the smaller ones, and the points at twice and four times
the largest size, how wide the intervals are, and how often the curve is said to fall; and how often
the interval of an efficiency factor covers the true one. It ends with an error if one of them is
outside its limits. Points of curves that fall have limits at more labels than all measured ones
only: of the smaller sizes, not all fall yet. The results are in docs/explanation/efficiency.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click
import numpy as np

from emoscale.evaluation.curves import LearningCurve
from emoscale.evaluation.efficiency import efficiency_table
from emoscale.evaluation.forecast import forecast_table
from emoscale.evaluation.speakers import (
    PredictionCounts,
    bootstrap_speakers,
    bootstrap_unweighted_accuracy,
    unweighted_accuracy,
)
from emoscale.training.metrics import Floats

CHANCE = 0.25
MINIMUM_FORECAST_COVERAGE = 0.85
"""Least fraction of points in their prediction interval."""

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
"""True UA by number of labels, which does not fall."""

FALLING_SHAPES: dict[str, Shape] = {
    "falls 1 point per doubling": lambda n: 0.55 - 0.01 * np.log2(n / 50),
    "falls 2 points per doubling": lambda n: 0.55 - 0.02 * np.log2(n / 50),
    "rises to 200 labels, then falls 3": lambda n: (
        0.56 - 0.03 * np.asarray(np.abs(np.log2(n / 200)))
    ),
}
"""True UA by number of labels, which falls."""

DESIGNS = {
    "5, each twice the last": [50, 100, 200, 400, 800],
    "4, each twice the last": [100, 200, 400, 800],
    "4, each four times the last": [20, 80, 320, 1280],
    "published": [500, 1000, 2000, 4000],
    "3, 20 to 356": [20, 80, 356],
}
"""Numbers of labels."""

UNSEEN_FALL = ("3, 20 to 356", "rises to 200 labels, then falls 3")
"""The measured points of this design and shape do not fall, so that its coverage has no limit."""


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


def forecast_points(
    shape: Shape, labels: Sequence[int], simulations: int, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Forecast the last point of each curve from the others, and points at more labels from all.

    Returns, for "held out", "twice" and "four times" the largest size: `covered`, the fraction of
    points in their interval; `width`, the mean width of the intervals; `error`, the mean absolute
    error of the expected UA; and `falls`, the fraction of forecasts that state a falling curve.
    """
    generator = np.random.default_rng(seed)
    largest = labels[-1]
    kinds = {"held out": largest, "twice": 2 * largest, "four times": 4 * largest}
    results: dict[str, list[tuple[float, ...]]] = {kind: [] for kind in kinds}
    for _ in range(simulations):
        sizes = np.array([*labels, 2 * largest, 4 * largest], dtype=float)
        (complete,) = simulate_curves([shape], sizes, generator)
        measured = dict(zip(complete.labels, complete.ua, strict=True))
        table = forecast_table([complete.head(len(labels))], CHANCE, None, [], seed)
        forecasts = {row["labels"]: row for row in table.to_dicts()}
        for kind, size in kinds.items():
            row, ua = forecasts[size], measured[size]
            results[kind].append(
                (
                    row["ua_low"] <= ua <= row["ua_high"],
                    row["ua_high"] - row["ua_low"],
                    abs(row["ua"] - ua),
                    "falls" in row["summary"],
                )
            )
    names = ("covered", "width", "error", "falls")
    return {
        kind: dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))
        for kind, rows in results.items()
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
    click.echo(
        f"forecasts, {simulations} simulated studies each: covered, width, error at the held-out "
        "last size, twice and four times the last size; said to fall"
    )
    for design, labels in DESIGNS.items():
        for name, shape in (SHAPES | FALLING_SHAPES).items():
            result = forecast_points(shape, labels, simulations)
            columns = "".join(
                f"{point['covered']:7.0%}{100 * point['width']:6.1f}{100 * point['error']:6.1f}"
                for point in result.values()
            )
            click.echo(f"{design:28}{name:38}{columns}{result['twice']['falls']:7.0%}")
            limited = ["twice", "four times"] if name in FALLING_SHAPES else list(result)
            too_wide = result["held out"]["width"] > MAXIMUM_WIDTH.get(design, 1.0)
            too_few = (design, name) != UNSEEN_FALL and any(
                result[kind]["covered"] < MINIMUM_FORECAST_COVERAGE for kind in limited
            )
            if too_few or too_wide:
                outside.append(f"{design}, {name}")
    click.echo("true factor: covered by its interval, bounded intervals, median of the measured")
    for factor in (1.0, 2.0, 4.0, 8.0):
        for design in ("5, each twice the last", "published"):
            factors = estimate_factors(factor, DESIGNS[design], simulations)
            click.echo(
                f"{design:28}{factor:4.0f}{factors['covered']:7.0%}{factors['bounded']:7.0%}"
                f"{factors['median']:7.1f}"
            )
            if factors["covered"] < MINIMUM_FACTOR_COVERAGE:
                outside.append(f"factor {factor}, {design}")
    if outside:
        raise click.ClickException("outside the limits: " + "; ".join(outside))


if __name__ == "__main__":
    main()
