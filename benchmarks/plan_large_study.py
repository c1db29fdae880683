"""Measure time and memory of planning large studies (Snakemake dry runs, nothing is computed).

python benchmarks/plan_large_study.py --experiments 80 --experiments 210
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import yaml

PROJECT = Path(__file__).resolve().parent.parent


def large_study(folder: Path, root: Path, experiments: int = 80) -> dict[str, Any]:
    """Return a study with 16 representations, 5 folds and 9 training sizes."""
    representations = {f"mfcc{n}": {"kind": "mfcc", "coefficients": n} for n in range(13, 29)}
    widths = range(32, 32 + -(-experiments // len(representations)))
    models = {f"width{width}": {"kind": "pooled", "projection_size": width} for width in widths}
    pairs = [
        (f"{representation}-{model}", {"representations": [representation], "model": model})
        for representation in representations
        for model in models
    ]
    return {
        "study": "large",
        "results": str(folder / "results"),
        "corpus": {"reader": "csv", "root": str(root)},
        "shards": 24,
        "labels": {"classes": {"a": ["a"], "b": ["b"]}},
        "representations": representations,
        "protocol": {"fold_unit": "session", "folds": 5, "repeats": 5},
        "sizes": [10, 20, 50, 100, 200, 500, 1000, 2000, "all"],
        "models": models,
        "training": {"maximum_steps": 50},  # short, so that ten trainings share a job
        "experiments": dict(pairs[:experiments]),
    }


def plan(folder: Path, experiments: int = 80, packed: bool = False) -> tuple[int, float, float]:
    """Return the number of planned jobs, the duration in s, and the peak memory in MB."""
    config = folder / "large.yaml"
    config.write_text(yaml.safe_dump(large_study(folder, folder, experiments)))
    (folder / "utterances.csv").write_text("file,speaker,emotion\na.wav,s,a\nb.wav,s,b\n")
    program = [str(Path(sys.executable).with_name("snakemake")), "--snakefile"]
    program += [str(PROJECT / "Snakefile"), "--directory", str(folder)]
    program += [
        "--workflow-profile",
        str(PROJECT / "profiles" / ("slurm" if packed else "default")),
    ]
    program += ["--configfile", str(config), "--dry-run", "--quiet", "rules"]
    program += [] if packed else ["--cores", "2"]
    start = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(program, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        output.seek(0)
        text = output.read().decode()
    if status:
        raise click.ClickException(f"planning failed:\n{text[-3000:]}")
    (total,) = set(re.findall(r"^total\s+(\d+)$", text, flags=re.MULTILINE))
    return int(total), seconds, usage.ru_maxrss / 1024


@click.command(help=__doc__)
@click.option(
    "--experiments", multiple=True, default=(80,), show_default=True, help="45 jobs each."
)
@click.option("--packed", is_flag=True, help="Use the SLURM profile, where short steps share jobs.")
def main(experiments: tuple[int, ...], packed: bool) -> None:
    for number in experiments:
        with tempfile.TemporaryDirectory() as folder:
            jobs, seconds, megabytes = plan(Path(folder), number, packed)
        click.echo(f"{jobs:,} jobs planned in {seconds:.1f} s, peak memory {megabytes:,.0f} MB")


if __name__ == "__main__":
    main()
