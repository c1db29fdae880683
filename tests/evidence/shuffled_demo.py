"""The demo with permuted labels: every representation and every kind of model falls to chance.

Trained through the workflow, at all labels; takes some minutes. The corpus is the demo's own. It
ends with an error where chance is outside the interval of an experiment, at a level at which that
happens to one in twenty such studies, or where a comparison names a winner.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from emoscale.evaluation.comparisons import COMPARISONS
from emoscale.evaluation.runs import predictions_of_study
from emoscale.evaluation.speakers import (
    count_answers,
    draw_speakers,
    drawn_unweighted_accuracy,
    interval,
    unweighted_accuracy,
)
from emoscale.tables.parquet import read_table
from emoscale.tables.schemas import UTTERANCES
from tests.conftest import PROJECT

NAME = "demo_shuffled"


def configuration() -> dict[str, Any]:
    """The demo's, with permuted labels, at all labels only."""
    study: dict[str, Any] = yaml.safe_load((PROJECT / "config" / "demo.yaml").read_text())
    study |= {"study": NAME, "sizes": ["all"]}
    study["protocol"]["shuffle_labels"] = True
    study.pop("robustness", None)
    for experiment in study["experiments"].values():
        experiment.pop("sizes", None)
    return study


def main() -> None:
    study = configuration()
    folder = PROJECT / "results" / NAME
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study, sort_keys=False))
    tables = f"results/{NAME}/tables"
    snakemake = Path(sys.executable).with_name("snakemake")
    wanted = [f"{tables}/comparisons.parquet", f"{tables}/scores.parquet"]
    subprocess.run(
        [
            str(snakemake),
            "--cores",
            "2",
            "--quiet",
            "all",
            "--configfile",
            str(path),
            "--",
            *wanted,
        ],
        cwd=PROJECT,
        check=True,
    )
    classes = sorted(study["labels"]["classes"])
    utterances = read_table(folder / "corpus" / "utterances.parquet", UTTERANCES)
    predictions = read_table(
        PROJECT / tables / "predictions.parquet", predictions_of_study(classes)
    )
    chance, number = 1 / len(classes), len(study["experiments"])
    level = 1 - 0.05 / number
    print(f"permuted labels, {number} experiments; chance is {chance:.1%}")
    print(f"| experiment | UA | 95 % interval | {level:.2%} interval |\n|---|---|---|---|")
    outside, outside_one = [], 0
    for (experiment,), own in predictions.group_by("experiment", maintain_order=True):
        answers = count_answers(own, utterances, classes)
        values = drawn_unweighted_accuracy(answers, draw_speakers(answers.speakers, study["seed"]))
        low, high = interval(values, len(answers.speakers))
        least, most = interval(values, len(answers.speakers), level)
        print(
            f"| {experiment} | {unweighted_accuracy(answers):.1%} | {low:.1%} to {high:.1%} "
            f"| {least:.1%} to {most:.1%} |"
        )
        outside_one += not low <= chance <= high
        if not least <= chance <= most:
            outside.append(str(experiment))
    comparisons = read_table(PROJECT / tables / "comparisons.parquet", COMPARISONS)
    winners = comparisons.filter(pl.col("winner") != "none")
    print(f"chance is outside the 95 % interval of {outside_one} of {number}")
    print(f"{len(winners)} of {len(comparisons)} comparisons name a winner")
    if outside or len(winners):
        sys.exit(f"not at chance: {', '.join(outside) or 'none'}; winners: {len(winners)}")


if __name__ == "__main__":
    main()
