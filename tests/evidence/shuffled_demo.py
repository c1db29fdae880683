"""The demo study with permuted labels: every representation and kind of model is at chance.

    python -m tests.evidence.shuffled_demo

runs the workflow on the demo corpus at the size `all`, in some minutes. It ends with an error if
chance is outside the interval of an experiment, with Bonferroni's correction for the number of
experiments at 5 %, or if a comparison names a winner. The results are in
docs/explanation/statistics.md.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from emoscale.evaluation.comparisons import COMPARISONS
from emoscale.evaluation.scores import CONFUSION_BY_SPEAKER
from emoscale.evaluation.speakers import (
    bootstrap_speakers,
    bootstrap_unweighted_accuracy,
    confidence_interval,
    counts_by_cell,
    unweighted_accuracy,
)
from emoscale.tables.parquet import read_table
from tests.conftest import PROJECT

NAME = "demo_shuffled"


def configuration() -> dict[str, Any]:
    """Return the configuration of the demo with permuted labels, at the size `all` only."""
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
    targets = [f"{tables}/comparisons.parquet", f"{tables}/scores.parquet"]
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
            *targets,
        ],
        cwd=PROJECT,
        check=True,
    )
    classes = sorted(study["labels"]["classes"])
    confusions = read_table(PROJECT / tables / "confusion_by_speaker.parquet", CONFUSION_BY_SPEAKER)
    chance, experiments = 1 / len(classes), len(study["experiments"])
    confidence = 1 - 0.05 / experiments
    print(f"permuted labels, {experiments} experiments; chance is {chance:.1%}")
    print(f"| experiment | UA | 95 % interval | {confidence:.2%} interval |\n|---|---|---|---|")
    outside, outside_95 = [], 0
    for experiment, _, counts in counts_by_cell(confusions, classes):
        bootstrap = bootstrap_speakers(counts.speakers, study["seed"], folds=counts.fold_names)
        bootstrap_ua = bootstrap_unweighted_accuracy(counts, bootstrap)
        low, high = confidence_interval(bootstrap_ua, len(counts.speakers))
        low_corrected, high_corrected = confidence_interval(
            bootstrap_ua, len(counts.speakers), confidence
        )
        print(
            f"| {experiment} | {unweighted_accuracy(counts):.1%} | {low:.1%} to {high:.1%} "
            f"| {low_corrected:.1%} to {high_corrected:.1%} |"
        )
        outside_95 += not low <= chance <= high
        if not low_corrected <= chance <= high_corrected:
            outside.append(experiment)
    comparisons = read_table(PROJECT / tables / "comparisons.parquet", COMPARISONS)
    winners = comparisons.filter(pl.col("winner") != "none")
    print(f"chance is outside the 95 % interval of {outside_95} of {experiments}")
    print(f"{len(winners)} of {len(comparisons)} comparisons name a winner")
    if outside or len(winners):
        sys.exit(f"not at chance: {', '.join(outside) or 'none'}; winners: {len(winners)}")


if __name__ == "__main__":
    main()
