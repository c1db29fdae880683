"""Measure time and memory of the steps after the trainings of a large study.

python benchmarks/large_study_tables.py --experiments 1000

runs a study of one experiment on generated recordings, copies its runs under many other names with
made predictions, and lets Snakemake make the tables, figures and report. Prints a line per step.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import polars as pl
import soundfile
import yaml

from emoscale.runtime.provenance import file_sha256
from emoscale.tables.parquet import read_table, write_table
from emoscale.tables.schemas import predictions_schema

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.audit.speech import RATE, speech

PROJECT = Path(__file__).resolve().parent.parent

CLASSES = ("anger", "happiness", "neutral", "sadness")
STEPS = (
    *("make_tables", "compare_experiments", "slice_scores", "measure_efficiency"),
    *("draw_figures", "write_report"),
)


def write_recordings(folder: Path, utterances: int) -> None:
    """Write one second of speech-like sound per utterance, of ten speakers in five sessions."""
    folder.mkdir()
    lines = ["file,speaker,session,emotion"]
    for number in range(utterances):
        speaker = number % 10
        soundfile.write(folder / f"{number:05d}.wav", speech(number, 1.0), RATE)
        label = CLASSES[number // 10 % 4]
        lines.append(f"{number:05d}.wav,s{speaker},{speaker // 2},{label}")
    (folder / "utterances.csv").write_text("\n".join(lines) + "\n")


def study(experiments: int, repeats: int) -> dict[str, Any]:
    """Return a study of five sizes, all of whose experiments have the same settings."""
    return {
        "study": "large",
        "corpus": {"reader": "csv", "root": "recordings"},
        "shards": 2,
        "labels": {"classes": {name: [name] for name in CLASSES}},
        "representations": {"mfcc": {"kind": "mfcc", "coefficients": 13}},
        "protocol": {"fold_unit": "session", "folds": 5, "repeats": repeats},
        "sizes": [20, 50, 100, 200, "all"],
        "models": {"svm": {"kind": "estimator", "method": "linear_svm", "C": [0.1]}},
        "experiments": {
            f"e{number:04d}": {"representations": ["mfcc"], "model": "svm"}
            for number in range(experiments)
        },
    }


def run(folder: Path, configuration: dict[str, Any], *options: str) -> str:
    """Run Snakemake; return its duration, CPU time and peak memory."""
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(configuration))
    program = [str(Path(sys.executable).with_name("snakemake")), "--cores", "2", *options]
    program += ["--snakefile", str(PROJECT / "Snakefile"), "--configfile", str(path)]
    start = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(program, cwd=folder, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        output.seek(0)
        if status:
            raise click.ClickException(output.read().decode()[-3000:])
    cpu_seconds = usage.ru_utime + usage.ru_stime
    return f"{seconds:.1f} s, {cpu_seconds:.1f} CPU s, {usage.ru_maxrss / 1024:,.0f} MB"


def make_runs(runs: Path, experiments: int) -> None:
    """Copy the runs of the first experiment, with predictions of another accuracy each."""
    schema = predictions_schema(list(CLASSES))
    generator = np.random.default_rng(2)
    cells = [path.parent for path in sorted((runs / "e0000").glob("*/*/run.json"))]
    tables = {cell: read_table(cell / "predictions.parquet", schema) for cell in cells}
    sizes = {"20": 0, "50": 1, "100": 2, "200": 3, "all": 4}
    for number in range(1, experiments):
        quality = generator.normal(0.45, 0.05)
        for cell in cells:
            target = runs / f"e{number:04d}" / cell.relative_to(runs / "e0000")
            target.mkdir(parents=True)
            table = tables[cell]
            truth = table["label"].replace_strict(dict(zip(CLASSES, range(4), strict=True)))
            logits = generator.normal(0, 1, (len(table), 4))
            logits[np.arange(len(table)), truth.to_numpy()] += 2 * quality + 0.2 * sizes[cell.name]
            probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            write_table(
                table.with_columns(
                    predicted=pl.Series([CLASSES[index] for index in logits.argmax(axis=1)]),
                    **{
                        f"p_{name}": pl.Series(probabilities[:, index])
                        for index, name in enumerate(CLASSES)
                    },
                ),
                target / "predictions.parquet",
                schema,
            )
            record = json.loads((cell / "run.json").read_text())
            record["experiment"] = f"e{number:04d}"
            record["files"]["predictions.parquet"] = file_sha256(target / "predictions.parquet")
            (target / "run.json").write_text(json.dumps(record))
            for name in ("history.parquet", "model.safetensors"):
                os.link(cell / name, target / name)


@click.command(help=__doc__)
@click.option("--experiments", default=1000, show_default=True)
@click.option("--utterances", default=1000, show_default=True)
@click.option("--repeats", default=2, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), help="Kept; default: a temporary one.")
def main(experiments: int, utterances: int, repeats: int, folder: Path | None) -> None:
    root = folder or Path(tempfile.mkdtemp())
    root.mkdir(exist_ok=True)
    if not (root / "recordings").exists():
        write_recordings(root / "recordings", utterances)
    if not (root / "results" / "large" / "runs" / "e0001").exists():
        run(root, study(1, repeats))
        make_runs(root / "results" / "large" / "runs", experiments)
    large = study(experiments, repeats)
    # The copied runs were not written by Snakemake, so only the times of files count.
    options = ("--rerun-triggers", "mtime")
    click.echo(f"dry run: {run(root, large, *options, '--dry-run', '--quiet', 'rules')}")
    run(root, large, *options, "--forcerun", "make_tables")
    for step in STEPS:
        with (root / "results" / "large" / "benchmarks" / f"{step}.tsv").open() as file:
            (row,) = csv.DictReader(file, delimiter="\t")
        click.echo(
            f"{step}: {float(row['s']):.1f} s, {float(row['cpu_time']):.1f} CPU s, "
            f"{float(row['max_rss']):,.0f} MB"
        )
    report = root / "results" / "large" / "report.html"
    click.echo(f"report: {report.stat().st_size / 1e6:.1f} MB")
    if folder is None:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
