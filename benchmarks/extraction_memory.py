"""Measure the peak memory of extracting features from one recording of given length.

Networks: the architectures of wav2vec_large and wav2vec 2.0 base with random weights, one thread.
Each row is measured in a separate process, which reads audio and writes features as the workflow.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import soundfile
import torch

from emoscale.representations.registry import build_representation
from emoscale.store.extraction import extract_shard
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import SHARD
from extraction_speed import SAMPLE_RATE, settings_of, wav2vec2, wav2vec_large

MODELS = {"wav2vec_large": wav2vec_large, "wav2vec2-base": wav2vec2}


@click.command(help=__doc__)
@click.option("--seconds", multiple=True, type=float, default=(20.0, 600.0), show_default=True)
@click.option("--model", multiple=True, type=click.Choice(list(MODELS)), default=["wav2vec_large"])
@click.option("--folder", type=click.Path(path_type=Path), hidden=True)
def main(seconds: tuple[float, ...], model: tuple[str, ...], folder: Path | None) -> None:
    if folder is not None:
        measure(model[0], seconds[0], folder)
        return
    click.echo("| model | recording, s | duration, s | peak memory, MB |\n|---|---|---|---|")
    for name in model:
        for length in seconds:
            with tempfile.TemporaryDirectory() as model_folder:
                prepare(name, length, Path(model_folder))
                arguments = ["--model", name, "--seconds", str(length), "--folder", model_folder]
                subprocess.run([sys.executable, __file__, *arguments], check=True)


def prepare(name: str, seconds: float, folder: Path) -> None:
    MODELS[name](folder, "cpu")
    samples = np.random.default_rng(1).normal(0.0, 0.1, round(seconds * SAMPLE_RATE))
    soundfile.write(folder / "long.wav", samples.astype(np.float32), SAMPLE_RATE)


def measure(name: str, seconds: float, folder: Path) -> None:
    torch.set_num_threads(1)
    settings = settings_of(name, folder)
    row = {"utterance": "long", "audio": "long.wav", "seconds": seconds, "audio_sha256": ""}
    start = time.perf_counter()
    representation = build_representation(settings)
    shard = dataframe_of([row], SHARD)
    extract_shard(shard, folder, settings, representation, folder / "long.h5", "", "")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    click.echo(f"| {name} | {seconds:g} | {time.perf_counter() - start:.0f} | {peak:,.0f} |")


if __name__ == "__main__":
    main()
