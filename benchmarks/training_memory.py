"""Measure the memory of training on all layers of a representation, at the size of IEMOCAP.

The features are random: 13 layers of 768 values in float16, 50 frames per second, which take 25 GB
for 7 hours. `scripts/train.py` trains on 80 labels and on all, a few steps each, then evaluates
and predicts. Memory is that of the process without the pages of the mapped shards, which the
operating system drops where memory is short. Temporary files are open files that are not of the
study.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import polars as pl

from emoscale.representations.contract import UtteranceFeatures
from emoscale.runtime.provenance import canonical_json
from emoscale.store.index import index_shards
from emoscale.store.shard import ShardHeader
from emoscale.store.writer import ShardWriter
from emoscale.tables.parquet import write_table
from emoscale.tables.schemas import fold_schema

LAYERS, DIMENSION, FRAME_RATE = 13, 768, 50.0
UTTERANCES_PER_HOUR, UTTERANCES_PER_SHARD = 790, 200
SETTINGS = {
    "model": {"kind": "pooled", "projection_size": 128},
    "training": {"batch_size": 32, "maximum_steps": 20, "steps_between_evaluations": 20},
    "seed": 1,
}


@click.command(help=__doc__)
@click.option("--hours", default=7.0, show_default=True, help="Speech.")
@click.option("--size", "sizes", multiple=True, default=["80", "all"], show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), help="Where the features are written.")
def main(hours: float, sizes: tuple[str, ...], folder: Path | None) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as study:
        gigabytes = write_features(Path(study), round(hours * UTTERANCES_PER_HOUR)) / 1e9
        click.echo("| labels | features, GB | peak memory, MB | temporary files | seconds |")
        click.echo("|---|---|---|---|---|")
        for size in sizes:
            peak, files, seconds = train(Path(study), size)
            click.echo(f"| {size} | {gigabytes:.1f} | {peak:,.0f} | {files} | {seconds:.0f} |")


def write_features(folder: Path, utterances: int) -> int:
    """Write shards, index and fold; return the bytes of the shards."""
    random = np.random.default_rng(1)
    seconds = np.exp(random.normal(np.log(3.6), 0.6, utterances)).clip(0.6, 34.0)
    lengths = (FRAME_RATE * seconds).astype(np.int64)
    shape = (LAYERS, int(lengths.max()), DIMENSION)
    values = random.standard_normal(shape, dtype=np.float32).astype(np.float16)
    names = [f"u{number:05d}" for number in range(utterances)]
    header = ShardHeader(
        representation='{"kind": "mfcc"}',  # any kind will do
        dimension=DIMENSION,
        frame_rate=FRAME_RATE,
        code_sha256="",
        shard_sha256="",
        layers=tuple(range(LAYERS)),
    )
    shards: list[Path] = []
    for start in range(0, utterances, UTTERANCES_PER_SHARD):
        shards.append(folder / "features" / "random" / f"{len(shards):02d}.h5")
        with ShardWriter(shards[-1], header, "float16") as writer:
            several = names[start : start + UTTERANCES_PER_SHARD]
            for name, length in zip(several, lengths[start:], strict=False):
                writer.add(name, UtteranceFeatures(values[:, :length]))
            writer.finish(several)
    index_shards(shards, shards[0].parent / "index.parquet")
    roles = np.array(["train", "train", "train", "dev", "test"])[np.arange(utterances) % 5]
    ranks = np.where(roles == "train", np.cumsum(roles == "train") - 1, -1)
    fold = pl.DataFrame(
        {
            "utterance": names,
            "role": roles,
            "label": [f"class{number // 5 % 4}" for number in range(utterances)],
            "speaker": [f"s{number % 10}" for number in range(utterances)],
            "votes": [None] * utterances,
            "rank_0": [None if rank < 0 else int(rank) for rank in ranks],
        }
    )
    schema = fold_schema(1)
    write_table(fold.select(schema.names), folder / "fold.parquet", schema)
    return sum(shard.stat().st_size for shard in shards)


def train(folder: Path, size: str) -> tuple[float, int, float]:
    """Train; return the peak of anonymous memory in MB, temporary files and seconds."""
    script = Path(__file__).resolve().parent.parent / "scripts" / "train.py"
    command = [
        *(sys.executable, str(script), "--settings", canonical_json(SETTINGS)),
        *("--experiment", "layers", "--fold", "fold1", "--size", size, "--device", "cpu"),
        *("--protocol", str(folder / "fold.parquet"), "--output", str(folder / "runs" / size)),
        str(folder / "features" / "random" / "index.parquet"),
    ]
    start, peak, files = time.perf_counter(), 0.0, set()
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=nowhere, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            peak = max(peak, anonymous_memory(process.pid))
            files |= temporary_files(process.pid, folder)
            time.sleep(0.05)
        assert process.stderr is not None
        if process.returncode:
            raise click.ClickException(process.stderr.read())
    return peak, len(files), time.perf_counter() - start


def anonymous_memory(pid: int) -> float:
    """Return the memory of a process without mapped files, in MB; 0 if it has ended."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0


def temporary_files(pid: int, folder: Path) -> set[str]:
    """Return the open regular files of a process that are deleted or in the temporary folder."""
    opened = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(link.readlink())
        except FileNotFoundError:  # closed meanwhile
            continue
        temporary = target.endswith(" (deleted)") or target.startswith(tempfile.gettempdir())
        if temporary and not target.startswith(str(folder)) and "/memfd:" not in target:
            opened.add(target)
    return opened


if __name__ == "__main__":
    main()
