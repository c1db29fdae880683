"""Benchmark of all trainings of one experiment and fold against conventional training code.

Data: 1,500 utterances of 1 to 15 s with 512 values per frame and 100 frames per second (random
numbers whose mean depends on the class). Work: 5 repeats × 4 training sizes, with equal numbers of
steps and evaluations, in two parallel jobs of one thread. The variants alternate in every round:

    plain     one process per training, data loader over HDF5, padded batches (plain_training.py)
    emoscale  one process per size, scripts/train.py as in the workflow; float32 and bfloat16

Times are wall-clock times of whole processes. The last column is the achieved fraction of this
machine's rate of matrix multiplication in the same type; products with padding do not count.
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
from emoscale.representations.contract import UtteranceFeatures
from emoscale.runtime.provenance import canonical_json
from emoscale.store.index import index_shards
from emoscale.store.shard import ShardHeader
from emoscale.store.writer import ShardWriter
from emoscale.tables.parquet import write_table
from emoscale.tables.schemas import fold_schema

DIMENSION, CLASSES, BATCH, REPEATS = 512, 4, 32, 5
TRAINING, DEVELOPMENT = 1200, 150
SIZES = ("150", "300", "600", "all")
MODELS = {"pooled": {"kind": "pooled"}, "convolutional": {"kind": "convolutional"}}
FLOP_PER_FRAME = {  # forward pass, and forward and backward pass
    "pooled": (2 * 512 * 256, 2 * 2 * 512 * 256),
    "convolutional": (2 * (512 + 128) * 128, 2 * (2 * 512 + 3 * 128) * 128),
}
BENCHMARKS = Path(__file__).resolve().parent


@dataclass
class BenchmarkData:
    """Utterances and training orders, the same for all variants."""

    folder: Path
    lengths: np.ndarray
    orders: list[np.ndarray]
    """Training order of each repeat, as indices of utterances."""

    def subset(self, repeat: int, size: str) -> list[int]:
        """Return the indices of a repeat's training utterances."""
        count = TRAINING if size == "all" else int(size)
        return [int(index) for index in self.orders[repeat][:count]]


def generate_data(folder: Path, utterances: int) -> BenchmarkData:
    """Write random features, once as plain HDF5 and once as a feature store."""
    random = np.random.default_rng(1)
    lengths = random.integers(100, 1501, utterances)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    labels = np.arange(utterances) % CLASSES
    shifts = random.normal(size=(CLASSES, DIMENSION)).astype(np.float32) * 0.2
    names = [f"u{number:04d}" for number in range(utterances)]
    header = ShardHeader(
        representation='{"kind": "mfcc"}',  # any kind will do
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
            values = random.standard_normal((lengths[number], DIMENSION), dtype=np.float32)
            values = (values + shifts[labels[number]]).astype(np.float16)
            frames[offsets[number] : offsets[number + 1]] = values
            writer.add(name, UtteranceFeatures(values))
        writer.finish(names)
    index_shards([shard], shard.parent / "index.parquet")
    orders = [random.permutation(TRAINING) for _ in range(REPEATS)]
    ranks = {f"rank_{repeat}": np.argsort(order) for repeat, order in enumerate(orders)}
    test = utterances - TRAINING - DEVELOPMENT
    roles = ["train"] * TRAINING + ["dev"] * DEVELOPMENT + ["test"] * test
    no_rank = [None] * (utterances - TRAINING)
    fold = pl.DataFrame(
        {
            "utterance": names,
            "role": roles,
            "label": [f"class{label}" for label in labels],
            "speaker": [f"s{number % 10}" for number in range(utterances)],
            "votes": [None] * utterances,
            **{name: [*rank.tolist(), *no_rank] for name, rank in ranks.items()},
        }
    )
    schema = fold_schema(REPEATS)
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
                "development": list(range(TRAINING, TRAINING + DEVELOPMENT)),
                "batch": BATCH,
                "steps": steps,
                "evaluate_every": every,
            }
            path = data.folder / f"{kind}_{size}_{repeat}.json"
            path.write_text(json.dumps(task))
            commands.append([sys.executable, str(BENCHMARKS / "plain_training.py"), str(path)])
    return commands


def emoscale_commands(
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
    options = [text for pair in arguments.items() for text in pair]
    return [
        [
            *("env", *(f"{name}={value}" for name, value in TRAINING_ENVIRONMENT.items())),
            *(sys.executable, str(BENCHMARKS.parent / "scripts" / "train.py"), *options),
            *("--size", size, "--output", str(data.folder / "runs" / kind / precision / size)),
            str(data.folder / "features" / "random" / "index.parquet"),
        ]
        for size in reversed(SIZES)  # the largest subset reads most
    ]


def run_two_at_a_time(commands: Sequence[list[str]]) -> float:
    """Run commands in two parallel jobs and return the wall-clock time in seconds."""

    def run(command: list[str]) -> None:
        subprocess.run(command, check=True, capture_output=True)

    start = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, commands))
    return time.perf_counter() - start


def gigaflop(data: BenchmarkData, kind: str, steps: int, every: int) -> float:
    """Return the GFLOP of all 20 trainings, from the mean length of the training utterances."""
    forward, forward_and_backward = FLOP_PER_FRAME[kind]
    mean = data.lengths[:TRAINING].mean()
    development = data.lengths[TRAINING : TRAINING + DEVELOPMENT].sum()
    flop = steps * BATCH * mean * forward_and_backward + steps // every * development * forward
    return float(len(SIZES) * REPEATS * flop / 1e9)


def matrix_rate(dtype: torch.dtype) -> float:
    """Return the rate of a product of two square matrices on one thread, in GFLOP per second."""
    torch.set_num_threads(1)
    left, right = (torch.randn(1536, 1536, dtype=dtype) for _ in range(2))
    left @ right
    start = time.perf_counter()
    for _ in range(3):
        left @ right
    return 3 * 2 * 1536**3 / (time.perf_counter() - start) / 1e9


@click.command(help=__doc__)
@click.option("--utterances", default=1500, show_default=True)
@click.option("--rounds", default=1, show_default=True)
@click.option("--steps", default=100, show_default=True)
@click.option("--every", default=50, show_default=True, help="Steps between evaluations.")
@click.option("--kind", multiple=True, default=tuple(MODELS), show_default=True)
def main(utterances: int, rounds: int, steps: int, every: int, kind: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory() as name:
        data = generate_data(Path(name), utterances)
        for model_kind in kind:
            measure(data, model_kind, steps, every, rounds)


def measure(data: BenchmarkData, kind: str, steps: int, every: int, rounds: int) -> None:
    variants: dict[str, Callable[[], list[list[str]]]] = {
        "plain": lambda: plain_commands(data, kind, steps, every),
        "emoscale, float32": lambda: emoscale_commands(data, kind, steps, every, "float32"),
        "emoscale, bfloat16": lambda: emoscale_commands(data, kind, steps, every, "bfloat16"),
    }
    seconds: dict[str, list[float]] = {variant: [] for variant in variants}
    rates: dict[str, list[float]] = {variant: [] for variant in variants}
    for _ in range(rounds):
        for variant, commands in variants.items():
            dtype = torch.bfloat16 if "bfloat16" in variant else torch.float32
            rates[variant].append(matrix_rate(dtype))
            seconds[variant].append(run_two_at_a_time(commands()))
    total_gigaflop = gigaflop(data, kind, steps, every)
    click.echo(
        f"\n{kind}: {len(SIZES)} sizes, {REPEATS} repeats, {steps} steps each, {rounds} rounds"
    )
    click.echo(
        "| variant | seconds | speed-up over plain | of the matrix rate of two cores |\n"
        "|---|---|---|---|"
    )
    plain = np.array(seconds["plain"])
    for variant, times in seconds.items():
        speed_ups = plain / np.array(times)
        fraction = total_gigaflop / np.median(times) / (2 * np.median(rates[variant]))
        click.echo(
            f"| {variant} | {np.median(times):,.0f} | {np.median(speed_ups):.1f} "
            f"({speed_ups.min():.1f} to {speed_ups.max():.1f}) | {fraction:.0%} |"
        )


if __name__ == "__main__":
    main()
