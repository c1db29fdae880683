"""Compare the CPU time of this project's layers with that of torch's, one layer at a time.

Training steps (batches of 32, and an evaluation of 20 utterances in each round) on random features
of the size of EMO-DB (339 utterances, 40 or 80 values per frame) and of IEMOCAP (512 values, 4.5 s
on average), 100 frames per second, one thread. The implementations take turns in one process; the
ratio is the median over rounds of an implementation's CPU time to this project's.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NamedTuple
from unittest.mock import patch

import click
import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from emoscale.config.models import (
    ConvolutionalSettings,
    PooledSettings,
    RecurrentSettings,
    WaveformModelSettings,
)
from emoscale.config.training import TrainingSettings
from emoscale.models.contract import InputShape
from emoscale.models.layers import Dropout, LayerWeights, PackedConvolution
from emoscale.models.packed_layout import PackedLayout
from emoscale.models.recurrent_encoder import RecurrentEncoder, _encode_each, _encode_packed
from emoscale.models.registry import build_model
from emoscale.models.waveform import BlockConvolution
from emoscale.store.features import Features
from emoscale.training.cell_features import CellFeatures
from emoscale.training.engine import train_until_evaluation
from emoscale.training.trainer import Trainer, TrainingTask

CLASSES, DEVELOPMENT_UTTERANCES = 4, 20
OURS = "emoscale"


def random_features(
    utterances: int, dimension: int, median_seconds: float, log_std: float, frame_rate: int = 100
) -> CellFeatures:
    """Return random frames of utterances with log-normal lengths between 0.6 and 34 s."""
    random = np.random.default_rng(0)
    seconds = np.exp(random.normal(np.log(median_seconds), log_std, utterances)).clip(0.6, 34)
    lengths = (frame_rate * seconds).astype(np.int64)
    block = random.standard_normal((20_000, dimension), dtype=np.float32).astype(np.float16)
    frames = np.tile(block, (-(-int(lengths.sum()) // len(block)), 1))[: lengths.sum()]
    names = [str(number) for number in range(utterances)]
    return CellFeatures(names, [Features.packed(frames, lengths)], torch.device("cpu"))


def emodb(dimension: int) -> CellFeatures:
    return random_features(339, dimension, 2.6, 0.37)


def emodb_waveforms() -> CellFeatures:
    return random_features(339, 1, 2.6, 0.37, frame_rate=16_000)


def iemocap() -> CellFeatures:
    return random_features(400, 512, 3.6, 0.67)


def layered() -> CellFeatures:
    """Return 80 utterances with the layers of a wav2vec 2.0 of the base size."""
    random = np.random.default_rng(0)
    lengths = random.integers(50, 200, 80)
    frames = random.standard_normal((lengths.sum(), 13, 768), dtype=np.float32)
    features = Features.packed(frames.astype(np.float16), lengths)
    return CellFeatures([str(number) for number in range(80)], [features], torch.device("cpu"))


def build_trainer(features: CellFeatures, model: Any, batch_size: int, steps: int) -> Trainer:
    settings = TrainingSettings(
        batch_size=batch_size,
        maximum_steps=1_000_000,
        steps_between_evaluations=steps,
        patience=1_000_000,
    )
    torch.manual_seed(0)
    utterances = len(features.index_of)
    *layers, dimension = features.inputs[0].statistics(torch.arange(9))[0].shape
    network = build_model(model, [InputShape(dimension, *layers)], CLASSES)
    labels = torch.arange(utterances) % CLASSES
    indices = torch.arange(utterances)
    training, development = indices[DEVELOPMENT_UTTERANCES:], indices[:DEVELOPMENT_UTTERANCES]
    targets = functional.one_hot(labels, CLASSES).float()
    task = TrainingTask((1,), training, development, labels, targets, settings)
    return Trainer(network, features, task)


def torch_dropout(self: Dropout, values: Tensor) -> Tensor:
    return functional.dropout(values, self.p, self.training)


def bernoulli_dropout(self: Dropout, values: Tensor) -> Tensor:
    if not self.training or self.p == 0.0:
        return values
    mask = torch.empty_like(values).bernoulli_(1.0 - self.p, generator=self.generator)
    return values * mask.div_(1.0 - self.p)


def torch_convolution(self: PackedConvolution, batch: Tensor) -> Tensor:
    """Convolve [utterances, frames, in_channels] to [utterances, frames, out_channels]."""
    layer = self.convolution
    padding = layer.kernel_size[0] // 2
    return functional.conv1d(batch.transpose(1, 2), layer.weight, layer.bias, padding=padding).mT


def padded_convolution(self: PackedConvolution, frames: Tensor, layout: PackedLayout) -> Tensor:
    batch = pad_sequence(list(torch.split(frames, layout.lengths)), batch_first=True)
    convolved = torch_convolution(self, batch)
    return torch.cat(
        [each[:length] for each, length in zip(convolved, layout.lengths, strict=True)]
    )


def convolution_one_by_one(self: PackedConvolution, frames: Tensor, layout: PackedLayout) -> Tensor:
    utterances = torch.split(frames, layout.lengths)
    return torch.cat([torch_convolution(self, each[None])[0] for each in utterances])


def one_signal_convolution(self: PackedConvolution, frames: Tensor, layout: PackedLayout) -> Tensor:
    half = self.convolution.kernel_size[0] // 2
    rows = torch.arange(len(frames)) + half * layout.utterance
    signal = frames.new_zeros(int(rows[-1]) + 1, frames.shape[1]).index_copy(0, rows, frames)
    return torch_convolution(self, signal[None])[0].index_select(0, rows)


def strided_convolution(self: BlockConvolution, signal: Tensor) -> Tensor:
    return functional.conv1d(signal.T[None], self.weight, self.bias, self.stride)[0].T


def padded_recurrent(self: RecurrentEncoder, frames: Tensor, layout: PackedLayout) -> Tensor:
    """Compute each direction by a network with its weights, backwards on reversed utterances."""
    (network,) = self.networks
    utterances = torch.split(frames, layout.lengths)
    single = nn.GRU(frames.shape[1], self.output_size // 2)
    directions = []
    for suffix, batch in (("", utterances), ("_reverse", [each.flip(0) for each in utterances])):
        names = [name for name, _ in single.named_parameters()]
        weights: dict[str, Tensor] = {each: network.get_parameter(each + suffix) for each in names}
        directions.append(functional_call(single, weights, (pad_sequence(list(batch)),))[0])
    forwards, backwards = directions
    return torch.cat(
        [
            torch.cat([forwards[:length, index], backwards[:length, index].flip(0)], dim=1)
            for index, length in enumerate(layout.lengths)
        ]
    )


def recurrent_one_by_one(self: RecurrentEncoder, frames: Tensor, layout: PackedLayout) -> Tensor:
    return _encode_each(self.networks[0], frames, layout)


def packed_recurrent(self: RecurrentEncoder, frames: Tensor, layout: PackedLayout) -> Tensor:
    return _encode_packed(self.networks[0], frames, layout)


def layers_at_once(self: LayerWeights, frames: Tensor, standardise: nn.Module) -> Tensor:
    assert self.scores is not None
    mean: Tensor = torch.softmax(self.scores, dim=0) @ standardise(frames)
    return mean


Forward = Callable[..., Tensor]
DROPOUTS: dict[str, Forward] = {
    "nn.Dropout": torch_dropout,
    "Tensor.bernoulli_": bernoulli_dropout,
}
CONVOLUTIONS: dict[str, Forward] = {
    "padded": padded_convolution,
    "one by one": convolution_one_by_one,
    "one signal": one_signal_convolution,
}
WAVEFORM_CONVOLUTIONS: dict[str, Forward] = {"nn.Conv1d": strided_convolution}
RECURRENT: dict[str, Forward] = {
    "padded": padded_recurrent,
    "one by one": recurrent_one_by_one,
    "packed": packed_recurrent,
}


def convolutional(channels: int, kernel: int) -> ConvolutionalSettings:
    layers = ((channels, kernel), (channels, kernel))
    return ConvolutionalSettings(kind="convolutional", layers=layers, dropout=0.2)


def recurrent(rnn_type: Any, hidden_size: int) -> RecurrentSettings:
    return RecurrentSettings(kind="recurrent", rnn_type=rnn_type, hidden_size=hidden_size)


WAVEFORM = WaveformModelSettings(kind="waveform", layers=((16, 160, 40), (32, 8, 4), (32, 4, 4)))
POOLED = PooledSettings(kind="pooled", projection_size=256, dropout=0.2)


class Case(NamedTuple):
    """A layer of this project, and alternatives to its forward pass."""

    name: str
    features: Callable[[], CellFeatures]
    model: Any
    layer: type
    steps: int
    """Training steps per round."""

    alternatives: dict[str, Forward]


CASES = [
    # No alternative: it is for comparing settings of the C library.
    Case("pooled, IEMOCAP", iemocap, POOLED, Dropout, 5, {}),
    Case("dropout, EMO-DB", lambda: emodb(80), convolutional(128, 5), Dropout, 5, DROPOUTS),
    Case("dropout, IEMOCAP", iemocap, convolutional(128, 1), Dropout, 2, DROPOUTS),
    Case(
        "convolution, EMO-DB",
        lambda: emodb(80),
        convolutional(64, 5),
        PackedConvolution,
        5,
        CONVOLUTIONS,
    ),
    Case(
        "convolution, IEMOCAP", iemocap, convolutional(128, 5), PackedConvolution, 1, CONVOLUTIONS
    ),
    Case("waveform, EMO-DB", emodb_waveforms, WAVEFORM, BlockConvolution, 5, WAVEFORM_CONVOLUTIONS),
    Case("GRU, EMO-DB", lambda: emodb(40), recurrent("gru", 64), RecurrentEncoder, 1, RECURRENT),
    Case("13 layers", layered, POOLED, LayerWeights, 5, {"all layers at once": layers_at_once}),
    Case("GRU, IEMOCAP", iemocap, recurrent("gru", 100), RecurrentEncoder, 1, RECURRENT),
]


@click.command(help=__doc__)
@click.option("--turns", default=3, show_default=True, help="Number of rounds.")
@click.option("--piece", "case_name", default="", help="Name of the only case to measure.")
def main(turns: int, case_name: str) -> None:
    torch.set_num_threads(1)
    click.echo(
        "| layer, size | implementation | ms per step | its time / ours |\n|---|---|---|---|"
    )
    for case in CASES:
        if case_name not in ("", case.name):
            continue
        features = case.features()
        trainers = {
            name: build_trainer(features, case.model, 32, case.steps)
            for name in (OURS, *case.alternatives)
        }
        seconds: dict[str, list[float]] = {name: [] for name in trainers}
        for turn in range(turns + 1):
            for name, trainer in trainers.items():
                with ExitStack() as stack:
                    if name != OURS:
                        stack.enter_context(
                            patch.object(case.layer, "forward", case.alternatives[name])
                        )
                    start = time.process_time()
                    train_until_evaluation(trainer)
                if turn:  # the first round only fills the caches
                    seconds[name].append((time.process_time() - start) / case.steps)
        for name, times in seconds.items():
            ratios = [each / ours for each, ours in zip(times, seconds[OURS], strict=True)]
            click.echo(
                f"| {case.name} | {name} | {1000 * statistics.median(times):,.0f} | "
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |"
            )


if __name__ == "__main__":
    main()
