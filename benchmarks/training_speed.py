"""Time the trainings of one experiment and fold against one plain process a training.

512 values a frame, 100 frames a second, 1,500 utterances of 1 to 15 s (random numbers, their mean
shifted by class): 5 repeats × 4 training sizes, the same number of steps and evaluations for all,
two jobs of one thread at a time. In turn, in every round:

    plain     a process a training, a data loader over HDF5, padded batches (plain_training.py)
    emoscale  scripts/train.py as the workflow runs it, a process a size; float32 and bfloat16

Times are of whole processes, from start to exit. The share is of the rate at which this machine
multiplies matrices in float32 (bfloat16), counting products with frames that are there.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click
import h5py
import numpy as np
import polars as pl
import torch

from emoscale.config.resources import TRAINING_ENVIRONMENT
from emoscale.representations.contract import Extracted
from emoscale.runtime.provenance import canonical_json
from emoscale.store import ShardHeader, ShardWriter
from emoscale.store.index import index_shards
from emoscale.tables.parquet import write_table
from emoscale.tables.schemas import protocol_schema

DIMENSION, CLASSES, BATCH, REPEATS = 512, 4, 32, 5
TRAINING, HELD_OUT = 1200, 150
SIZES = ("150", "300", "600", "all")
MODELS = {"pooled": {"kind": "pooled"}, "convolutional": {"kind": "convolutional"}}
PRODUCTS = {  # multiplications and additions a frame: forwards, and forwards and backwards
    "pooled": (2 * 512 * 256, 2 * 2 * 512 * 256),
    "convolutional": (2 * (512 + 128) * 128, 2 * (2 * 512 + 3 * 128) * 128),
}
HERE = Path(__file__).resolve().parent


@dataclass
class BenchmarkData:
    """The same utterances for both sides."""

    folder: Path
    lengths: np.ndarray
    orders: list[np.ndarray]
    """[repeat] of the training utterances."""

    def subset(self, repeat: int, size: str) -> list[int]:
        """Places of the utterances that a repeat learns from."""
        count = TRAINING if size == "all" else int(size)
        return [int(place) for place in self.orders[repeat][:count]]


def draw(folder: Path, utterances: int) -> BenchmarkData:
    random = np.random.default_rng(1)
    lengths = random.integers(100, 1501, utterances)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    labels = np.arange(utterances) % CLASSES
    shifts = random.normal(size=(CLASSES, DIMENSION)).astype(np.float32) * 0.2
    names = [f"u{number:04d}" for number in range(utterances)]
    header = ShardHeader(
        representation='{"kind": "mfcc"}',  # as if it were; the numbers are random
        dimension=DIMENSION,
        frame_rate=100.0,
        code_sha256="",
        shard_sha256="",
    )
    shard = folder / "features" / "random" / "00.h5"
    with (
        h5py.File(folder / "plain.h5", "w") as plain,
        ShardWriter(shard, header, "float16") as writer,
    ):
        plain["offsets"], plain["labels"] = offsets, labels
        frames = plain.create_dataset("frames", (int(offsets[-1]), DIMENSION), np.float16)
        for number, name in enumerate(names):
            drawn = random.standard_normal((lengths[number], DIMENSION), dtype=np.float32)
            drawn = (drawn + shifts[labels[number]]).astype(np.float16)
            frames[offsets[number] : offsets[number + 1]] = drawn
            writer.add(name, Extracted(drawn))
        writer.finish(names)
    index_shards([shard], shard.parent / "index.parquet")
    orders = [random.permutation(TRAINING) for _ in range(REPEATS)]
    ranks = {f"rank_{repeat}": np.argsort(order) for repeat, order in enumerate(orders)}
    tested = utterances - TRAINING - HELD_OUT
    roles = ["train"] * TRAINING + ["dev"] * HELD_OUT + ["test"] * tested
    absent = [None] * (utterances - TRAINING)
    fold = pl.DataFrame(
        {
            "utterance": names,
            "role": roles,
            "label": [f"class{label}" for label in labels],
            "speaker": [f"s{number % 10}" for number in range(utterances)],
            "votes": [None] * utterances,
            **{name: [*order.tolist(), *absent] for name, order in ranks.items()},
        }
    )
    schema = protocol_schema(REPEATS)
    write_table(fold.select(schema.names), folder / "fold.parquet", schema)
    return BenchmarkData(folder, lengths, orders)


def plain_commands(data: BenchmarkData, kind: str, steps: int, every: int) -> list[list[str]]:
    commands = []
    for size in SIZES:
        for repeat in range(REPEATS):
            task = {
                "features": str(data.folder / "plain.h5"),
                "kind": kind,
                "seed": repeat,
                "training": data.subset(repeat, size),
                "development": list(range(TRAINING, TRAINING + HELD_OUT)),
                "batch": BATCH,
                "steps": steps,
                "evaluate_every": every,
            }
            path = data.folder / f"{kind}_{size}_{repeat}.json"
            path.write_text(json.dumps(task))
            commands.append([sys.executable, str(HERE / "plain_training.py"), str(path)])
    return commands


def our_commands(
    data: BenchmarkData, kind: str, steps: int, every: int, precision: str
) -> list[list[str]]:
    settings = {
        "model": MODELS[kind],
        "training": {
            "batch_size": BATCH,
            "maximum_steps": steps,
            "steps_between_evaluations": every,
            "patience": steps,
            "precision": precision,
            "class_balance": "none",
        },
        "seed": 1,
    }
    arguments = {
        "--settings": canonical_json(settings),
        "--experiment": kind,
        "--fold": "fold1",
        "--protocol": str(data.folder / "fold.parquet"),
    }
    given = [part for pair in arguments.items() for part in pair]
    return [
        [
            *("env", *(f"{name}={value}" for name, value in TRAINING_ENVIRONMENT.items())),
            *(sys.executable, str(HERE.parent / "scripts" / "train.py"), *given),
            *("--size", size, "--output", str(data.folder / "runs" / kind / precision / size)),
            str(data.folder / "features" / "random" / "index.parquet"),
        ]
        for size in reversed(SIZES)  # the largest subset reads most
    ]


def run_two_at_a_time(commands: Sequence[list[str]]) -> float:
    """Seconds until all have ended."""

    def run(command: list[str]) -> None:
        subprocess.run(command, check=True, capture_output=True)

    began = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, commands))
    return time.perf_counter() - began


def gigaflop(data: BenchmarkData, kind: str, steps: int, every: int) -> float:
    """Of all 20 trainings, with the mean length where utterances are drawn."""
    forwards, both = PRODUCTS[kind]
    mean = data.lengths[:TRAINING].mean()
    held_out = data.lengths[TRAINING : TRAINING + HELD_OUT].sum()
    each = steps * BATCH * mean * both + steps // every * held_out * forwards
    return float(len(SIZES) * REPEATS * each / 1e9)


def matrix_rate(dtype: torch.dtype) -> float:
    """GFLOP a second of a product of two square matrices, on one thread."""
    torch.set_num_threads(1)
    one, other = (torch.randn(1536, 1536, dtype=dtype) for _ in range(2))
    one @ other
    began = time.perf_counter()
    for _ in range(3):
        one @ other
    return 3 * 2 * 1536**3 / (time.perf_counter() - began) / 1e9


@click.command(help=__doc__)
@click.option("--utterances", default=1500, show_default=True)
@click.option("--rounds", default=1, show_default=True)
@click.option("--steps", default=100, show_default=True)
@click.option("--every", default=50, show_default=True, help="Steps between evaluations.")
@click.option("--kind", multiple=True, default=tuple(MODELS), show_default=True)
def main(utterances: int, rounds: int, steps: int, every: int, kind: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory() as name:
        data = draw(Path(name), utterances)
        for each in kind:
            measure(data, each, steps, every, rounds)


def measure(data: BenchmarkData, kind: str, steps: int, every: int, rounds: int) -> None:
    ways: dict[str, Callable[[], list[list[str]]]] = {
        "plain": lambda: plain_commands(data, kind, steps, every),
        "emoscale, float32": lambda: our_commands(data, kind, steps, every, "float32"),
        "emoscale, bfloat16": lambda: our_commands(data, kind, steps, every, "bfloat16"),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, commands in ways.items():
            dtype = torch.bfloat16 if "bfloat16" in way else torch.float32
            rates[way].append(matrix_rate(dtype))
            seconds[way].append(run_two_at_a_time(commands()))
    work = gigaflop(data, kind, steps, every)
    click.echo(
        f"\n{kind}: {len(SIZES)} sizes, {REPEATS} repeats, {steps} steps each, {rounds} rounds"
    )
    click.echo(
        "| way | seconds | against plain | of the matrix rate of two cores |\n|---|---|---|---|"
    )
    plain = np.array(seconds["plain"])
    for way, taken in seconds.items():
        ratios = plain / np.array(taken)
        share = work / np.median(taken) / (2 * np.median(rates[way]))
        click.echo(
            f"| {way} | {np.median(taken):,.0f} | {np.median(ratios):.1f} "
            f"({ratios.min():.1f} to {ratios.max():.1f}) | {share:.0%} |"
        )


if __name__ == "__main__":
    main()
