"""Whether forecasts and factors hold what they say, on learning curves whose truth is known.

    python -m tests.evidence.simulate_curves

prints how often the hidden last point is inside its interval and how wide that is, for each shape
of curve and design, and how often the interval of a factor holds the true one; it ends with an
error where one of them is outside its limits. What came out is in docs/efficiency.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click
import numpy as np

from emoscale.evaluation.curves import Curve
from emoscale.evaluation.efficiency import efficiency_table
from emoscale.evaluation.forecast import forecast_table, noise_of
from emoscale.evaluation.speakers import (
    Answers,
    draw_speakers,
    drawn_unweighted_accuracy,
    unweighted_accuracy,
)
from emoscale.training.metrics import Floats

CHANCE = 0.25
INSIDE = 0.85
"""Least share of hidden points inside their interval."""

WIDEST = {"5, each twice the last": 0.30, "4, each twice the last": 0.30, "published": 0.20}
"""Most of the mean width of these intervals."""

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
DESIGNS = {
    "5, each twice the last": [50, 100, 200, 400, 800],
    "4, each twice the last": [100, 200, 400, 800],
    "4, each four times the last": [20, 80, 320, 1280],
    "published": [500, 1000, 2000, 4000],
    "3, 20 to 356": [20, 80, 356],
}


def measured(
    truth: Sequence[Shape],
    labels: Floats,
    generator: np.random.Generator,
    speakers: int = 10,
    repeats: int = 3,
    utterances: int = 15,
) -> list[Curve]:
    """What studies of these true curves measure, on the same `utterances` a speaker and class.

    A speaker is as easy at every size (6 points of deviation), and a little easier at some than at
    others (2); a training is as lucky on all its test utterances (1.5 points); utterances are right
    at random, half of which they share over sizes, trainings and curves.
    """
    classes = 4
    ease = generator.normal(0, 0.06, speakers)
    known = generator.normal(size=(speakers, classes, utterances))
    draws = draw_speakers([f"s{number:03d}" for number in range(speakers)], 1, draws=1000)
    curves = []
    for place, shape in enumerate(truth):
        points, drawn = [], []
        for level in shape(labels):
            own = generator.normal(0, 0.02, speakers)
            luck = generator.normal(0, 0.015, repeats)
            noise = generator.normal(size=(repeats, *known.shape))
            threshold = np.sqrt(0.5) * known + np.sqrt(0.5) * noise
            chances = np.clip(level + (ease + own) + luck[:, None], 0.02, 0.98)
            right = (_normal(threshold) < chances[:, :, None, None]).sum(axis=-1)
            confusions = np.zeros((repeats, speakers, classes, classes), np.int64)
            for label in range(classes):
                confusions[:, :, label, label] = right[:, :, label]
                confusions[:, :, label, label - 1] = utterances - right[:, :, label]
            answers = Answers(draws.speakers, confusions)
            points.append(unweighted_accuracy(answers))
            drawn.append(drawn_unweighted_accuracy(answers, draws))
        sizes = tuple(f"{number:.0f}" for number in labels)
        curves.append(
            Curve(
                f"curve{place}",
                sizes,
                labels,
                np.array(points),
                np.stack(drawn, axis=1),
                speakers,
            )
        )
    return curves


def hidden_points(
    shape: Shape, labels: Sequence[int], simulations: int, seed: int = 0
) -> dict[str, float]:
    """Of hidden last points: share inside, mean width and error, and the noise that was seen."""
    generator = np.random.default_rng(seed)
    rows, noises = [], []
    for _ in range(simulations):
        curves = measured([shape], np.array(labels, dtype=float), generator)
        rows += forecast_table(curves, CHANCE, [], [], seed).to_dicts()
        noises.append(noise_of(curves[0]))
    return {
        "covered": float(np.mean([row["covered"] for row in rows])),
        "width": float(np.mean([row["ua_high"] - row["ua_low"] for row in rows])),
        "error": float(np.mean([abs(row["ua"] - row["measured_ua"]) for row in rows])),
        "noise": float(np.mean(noises)),
    }


def factors(
    saving: float, labels: Sequence[int], simulations: int, seed: int = 0
) -> dict[str, float]:
    """Of a curve that needs `saving` times fewer labels than another at every size.

    How often the interval holds that; how often it has two ends; the middle of the factors that
    were measured (not a number where none was).
    """
    generator = np.random.default_rng(seed)

    def slow(n: Floats) -> Floats:
        return np.asarray(0.80 - 1.2 * n**-0.3)

    rows = []
    for _ in range(simulations):
        numbers = np.array(labels, dtype=float)
        curves = measured([lambda n: slow(saving * n), slow], numbers, generator)
        table = efficiency_table(curves).filter("at_largest_size", experiment="curve0")
        rows.append(table.row(0, named=True))
    found = [row["factor"] for row in rows if row["bound"] == "measured"]
    return {
        "held": float(np.mean([row["factor_low"] <= saving <= row["factor_high"] for row in rows])),
        "closed": float(
            np.mean([row["factor_low"] > 0 and row["factor_high"] < np.inf for row in rows])
        ),
        "median": float(np.median(found)) if found else float("nan"),
    }


def _normal(values: Floats) -> Floats:
    from scipy.special import ndtr

    return np.asarray(ndtr(values))


@click.command(help=__doc__)
@click.option("--simulations", default=100, show_default=True)
def main(simulations: int) -> None:
    wrong = []
    click.echo(f"hidden last points, {simulations} simulated studies each: inside, width, error")
    for design, labels in DESIGNS.items():
        for name, shape in SHAPES.items():
            found = hidden_points(shape, labels, simulations)
            click.echo(
                f"{design:28}{name:38}{found['inside']:5.0%}{100 * found['width']:7.1f}"
                f"{100 * found['error']:6.1f}  (noise {100 * found['noise']:.1f} points)"
            )
            too_wide = found["width"] > WIDEST.get(design, 1.0)
            if found["covered"] < INSIDE or too_wide:
                wrong.append(f"{design}, {name}")
    click.echo("true factor: held by its interval, intervals with two ends, median where measured")
    for saving in (1.0, 2.0, 4.0, 8.0):
        for design in ("5, each twice the last", "published"):
            got = factors(saving, DESIGNS[design], simulations)
            click.echo(
                f"{design:28}{saving:4.0f}{got['held']:7.0%}{got['closed']:7.0%}{got['median']:7.1f}"
            )
            if got["held"] < 0.9:
                wrong.append(f"factor {saving}, {design}")
    if wrong:
        raise click.ClickException("outside the limits: " + "; ".join(wrong))


if __name__ == "__main__":
    main()
