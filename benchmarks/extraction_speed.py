"""Compare the speed of this project's feature extraction with that of two conventional methods.

Networks: the architectures of wav2vec_large and wav2vec 2.0 base with random weights. Utterances:
1 to 20 s long, median 3.6 s. In every round each method computes all utterances, in an order that
rotates from round to round, and is compared with method (a) of the same round:

    (a)  one utterance at a time through the torch module, from memory to memory
    (b)  padded batches of 8 in random order, as in most public code
    emoscale: from the audio file to the verified feature shard, as in the workflow

Speed is in seconds of audio per second. The matrix rate is this machine's rate of matrix products
in float32 (in bfloat16 for bfloat16), measured in the same rounds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import click
import numpy as np
import polars as pl
import soundfile
import torch
from numpy.typing import NDArray

from emoscale.config.representations import TransformersAudioSettings, Wav2VecSettings
from emoscale.representations.registry import build_representation
from emoscale.representations.throughput import matrix_rate
from emoscale.representations.torchaudio_guard import import_torchaudio
from emoscale.representations.wav2vec_model import Wav2Vec, Wav2VecArchitecture
from emoscale.store.extraction import extract_shard
from emoscale.store.shard import read_shard
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import SHARD

SAMPLE_RATE = 16_000
PADDED_BATCH = 8
WAV2VEC_LARGE = {
    "conv_feature_layers": (
        "[(512, 10, 5), (512, 8, 4), (512, 4, 2), (512, 4, 2), (512, 4, 2), (512, 1, 1), "
        "(512, 1, 1)]"
    ),
    "conv_aggregator_layers": str([(512, kernel, 1) for kernel in range(2, 14)]),
    "log_compression": True,
    "skip_connections_agg": True,
    "residual_scale": 0.5,
}
GIGAFLOP_PER_SECOND_OF_AUDIO = {"wav2vec_large": 9.7, "wav2vec2-base": 14.3, "wav2vec2-large": 37.0}

FeatureArrays = list[NDArray[np.float32]]


@dataclass
class Model:
    """A network as a torch module and as settings of a representation."""

    name: str
    forward: Callable[[torch.Tensor], torch.Tensor]
    """Maps waveforms [batch, samples] to features [batch, frames, dim]."""
    settings: Callable[..., Any]


@dataclass
class Utterances:
    """Random utterances: waveforms in memory, the same as files, and the rows of their shard."""

    waveforms: list[NDArray[np.float32]]
    root: Path
    rows: pl.DataFrame

    @property
    def seconds(self) -> float:
        """Total duration of the audio."""
        return float(self.rows["seconds"].sum())


def generate_utterances(count: int, root: Path) -> Utterances:
    """Generate utterances with durations as in IEMOCAP: log-normal, median 3.6 s, mean about 4.5 s.

    The durations are quantiles of the distribution, so that few utterances are representative.
    """
    generator = np.random.default_rng(1)
    normal = NormalDist()
    quantiles = [normal.inv_cdf((index + 0.5) / count) for index in range(count)]
    lengths = np.clip(3.6 * np.exp(0.7 * generator.permutation(quantiles)), 1.0, 20.0)
    waveforms, rows = [], []
    for number, seconds in enumerate(lengths):
        samples = round(seconds * SAMPLE_RATE)
        waveform = generator.normal(0.0, 0.1, samples).astype(np.float32)
        soundfile.write(root / f"{number}.wav", waveform, SAMPLE_RATE, subtype="PCM_16")
        waveform, _ = soundfile.read(root / f"{number}.wav", dtype="float32")
        waveforms.append(waveform)
        rows.append(
            {
                "utterance": f"u{number:04d}",
                "audio": f"{number}.wav",
                "seconds": samples / SAMPLE_RATE,
                "audio_sha256": "",
            }
        )
    return Utterances(waveforms, root, dataframe_of(rows, SHARD))


def wav2vec_large(folder: Path, device: str) -> Model:
    torch.manual_seed(1)
    model = Wav2Vec(Wav2VecArchitecture.from_arguments(WAV2VEC_LARGE)).eval()
    path = folder / "wav2vec_large.pt"
    torch.save(
        {"args": argparse.Namespace(**WAV2VEC_LARGE), "model": model.half().state_dict()}, path
    )
    model = model.float().to(device)
    return Model(
        "wav2vec_large",
        lambda waveforms: model.contextualise(model.encode(waveforms)).transpose(1, 2),
        lambda **changes: settings_of("wav2vec_large", folder, **changes),
    )


def wav2vec2(folder: Path, device: str, large: bool = False) -> Model:
    import_torchaudio()
    import transformers as imported

    transformers: Any = imported
    torch.manual_seed(1)
    name = "wav2vec2-large" if large else "wav2vec2-base"
    sizes: dict[str, Any] = {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
        "conv_bias": True,
    }
    config = transformers.Wav2Vec2Config(**(sizes if large else {}))
    model: Any = transformers.Wav2Vec2Model(config).eval()
    model.save_pretrained(folder / name)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(folder / name)
    model = model.to(device)
    return Model(
        name,
        lambda waveforms: model(waveforms).last_hidden_state,
        lambda **changes: settings_of(name, folder, **changes),
    )


def settings_of(name: str, folder: Path, **changes: Any) -> Any:
    """Return settings of the representation that reads the checkpoint written to `folder`."""
    if name == "wav2vec_large":
        return Wav2VecSettings(kind="wav2vec", checkpoint=str(folder / f"{name}.pt"), **changes)
    return TransformersAudioSettings(kind="transformers_audio", model=str(folder / name), **changes)


@torch.inference_mode()
def one_at_a_time(model: Model, utterances: Utterances, device: str) -> FeatureArrays:
    return [
        model.forward(torch.from_numpy(waveform)[None].to(device))[0].cpu().numpy()
        for waveform in utterances.waveforms
    ]


@torch.inference_mode()
def padded_batches(
    model: Model, utterances: Utterances, device: str, generator: np.random.Generator
) -> FeatureArrays:
    order = generator.permutation(
        len(utterances.waveforms)
    )  # a new order in each round, as in each epoch
    features: dict[int, NDArray[np.float32]] = {}
    for start in range(0, len(order), PADDED_BATCH):
        indices = order[start : start + PADDED_BATCH]
        waveforms = [torch.from_numpy(utterances.waveforms[index]) for index in indices]
        padded = torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True)
        features |= dict(
            zip(indices.tolist(), model.forward(padded.to(device)).cpu().numpy(), strict=True)
        )
    return [features[index] for index in range(len(order))]


def extraction_of(
    utterances: Utterances, settings: Any, path: Path, device: str
) -> Callable[[], Any]:
    representation = build_representation(settings, device)

    def run() -> None:
        extract_shard(utterances.rows, utterances.root, settings, representation, path, "", "")

    return run


def relative_errors(features: FeatureArrays, exact: FeatureArrays) -> list[float]:
    return [
        float(np.linalg.norm(computed[: len(expected)] - expected) / np.linalg.norm(expected))
        for computed, expected in zip(features, exact, strict=True)
    ]


def stored_features(path: Path) -> FeatureArrays:
    contents = read_shard(path)
    return [
        contents.frames[start:stop].astype(np.float32)
        for start, stop in zip(contents.offsets[:-1], contents.offsets[1:], strict=True)
    ]


def measure(model: Model, utterances: Utterances, folder: Path, device: str, rounds: int) -> None:
    exact = one_at_a_time(model, utterances, device)
    half, single = folder / "half.h5", folder / "single.h5"
    stored = {"storage_dtype": "float32"}
    errors: dict[str, list[float]] = {}
    generator = np.random.default_rng(2)
    padded = padded_batches(model, utterances, device, generator)
    errors["(b) padded batches of 8"] = relative_errors(padded, exact)
    methods: dict[str, Callable[[], Any]] = {
        "(a) one at a time": lambda: one_at_a_time(model, utterances, device),
        "(b) padded batches of 8": lambda: padded_batches(model, utterances, device, generator),
    }
    for precision in ("float32", "bfloat16"):
        name = f"emoscale, {precision}"
        extraction_of(utterances, model.settings(precision=precision, **stored), single, device)()
        errors[name] = relative_errors(stored_features(single), exact)
        methods[name] = extraction_of(utterances, model.settings(precision=precision), half, device)
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    rates: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    for number in range(rounds):
        names = list(methods)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            for precision in rates:
                rate = matrix_rate(getattr(torch, precision), torch.device(device))
                rates[precision].append(rate / 1e9)
            start = time.perf_counter()
            methods[name]()
            seconds[name].append(time.perf_counter() - start)
    report(model.name, utterances, seconds, rates, errors)


def report(
    name: str,
    utterances: Utterances,
    seconds: dict[str, list[float]],
    rates: dict[str, list[float]],
    errors: dict[str, list[float]],
) -> None:
    rate = {precision: float(np.median(values)) for precision, values in rates.items()}
    click.echo(
        f"\n{name}: {len(utterances.waveforms)} utterances, {utterances.seconds:.0f} s of audio, "
        f"{len(next(iter(seconds.values())))} rounds; matrix product "
        + ", ".join(f"{value:,.0f} GFLOP/s in {precision}" for precision, value in rate.items())
    )
    click.echo(
        "| method | s of audio per s | of the matrix rate | speed relative to (a), median (range) "
        "| to (b) | relative error, median / worst |\n|---|---|---|---|---|---|"
    )
    single, padded = (np.array(durations) for durations in list(seconds.values())[:2])
    for method, durations in seconds.items():
        speed = utterances.seconds / np.median(durations)
        fraction = speed * GIGAFLOP_PER_SECOND_OF_AUDIO[name]
        fraction /= rate["bfloat16" if "bfloat16" in method else "float32"]
        ratios = single / np.array(durations)
        method_errors = errors.get(method, [0.0])
        click.echo(
            f"| {method} | {speed:,.1f} | {fraction:.0%} | {np.median(ratios):.2f} "
            f"({ratios.min():.2f} to {ratios.max():.2f}) | {np.median(padded / durations):.2f} "
            f"| {np.median(method_errors):.1e} / {max(method_errors):.1e} |"
        )


@click.command(help=__doc__)
@click.option("--utterances", default=32, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option(
    "--model",
    multiple=True,
    type=click.Choice(list(GIGAFLOP_PER_SECOND_OF_AUDIO)),
    default=("wav2vec_large", "wav2vec2-base"),
    show_default=True,
)
def main(utterances: int, rounds: int, threads: int, device: str, model: tuple[str, ...]) -> None:
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        generated = generate_utterances(utterances, folder)
        for name in model:
            network = (
                wav2vec_large(folder, device)
                if name == "wav2vec_large"
                else wav2vec2(folder, device, large=name == "wav2vec2-large")
            )
            measure(network, generated, folder, device, rounds)


if __name__ == "__main__":
    main()
