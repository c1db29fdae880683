"""Time what is our own in a training against torch's, each alone.

Steps of a training (batches of 32, and an evaluation of 20 utterances each turn) on random features
of the size of EMO-DB (339 utterances, 40 or 80 values a frame) and of IEMOCAP (512 values, 4.5 s on
average), 100 frames a second, one thread. The ways take turns in one process; the ratio is the
median of their CPU time to ours, turn by turn.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import click
import numpy as np
import torch
from torch import Tensor
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
from emoscale.models.layers import Dropout, PackedConvolution
from emoscale.models.recurrent_encoder import RecurrentEncoder, _packed, _TimeFirst
from emoscale.models.registry import build_model
from emoscale.models.waveform import BlockConvolution
from emoscale.store.index import Features
from emoscale.training.cell_features import CellFeatures
from emoscale.training.engine import advance
from emoscale.training.trainer import Task, Trainer

CLASSES, HELD_OUT = 4, 20


def draw_vectors(
    utterances: int, dimension: int, median: float, spread: float, rate: int = 100
) -> CellFeatures:
    """Lengths [s] are log-normal, between 0.6 and 34."""
    random = np.random.default_rng(0)
    seconds = np.exp(random.normal(np.log(median), spread, utterances)).clip(0.6, 34)
    lengths = (rate * seconds).astype(np.int64)
    drawn = random.standard_normal((20_000, dimension), dtype=np.float32).astype(np.float16)
    frames = np.tile(drawn, (-(-int(lengths.sum()) // len(drawn)), 1))[: lengths.sum()]
    names = [str(number) for number in range(utterances)]
    return CellFeatures(names, [Features(frames, lengths)], torch.device("cpu"))


def emodb(dimension: int) -> CellFeatures:
    return draw_vectors(339, dimension, 2.6, 0.37)


def samples() -> CellFeatures:
    return draw_vectors(339, 1, 2.6, 0.37, rate=16_000)


def iemocap() -> CellFeatures:
    return draw_vectors(400, 512, 3.6, 0.67)


def trainer(given: CellFeatures, model: Any, batch: int, steps: int) -> Trainer:
    settings = TrainingSettings(
        batch_size=batch,
        maximum_steps=1_000_000,
        steps_between_evaluations=steps,
        patience=1_000_000,
    )
    torch.manual_seed(0)
    count = len(given.index_of)
    built = build_model(model, [InputShape(len(given.inputs[0].statistics(torch.arange(9))[0]))], 4)
    labels = torch.arange(count) % CLASSES
    places = torch.arange(count)
    targets = functional.one_hot(labels, CLASSES).float()
    task = Task((1,), places[HELD_OUT:], places[:HELD_OUT], labels, targets, settings)
    return Trainer(built, given, task)


def plain_dropout(self: Dropout, values: Tensor) -> Tensor:
    return functional.dropout(values, self.share, self.training)


def bernoulli_dropout(self: Dropout, values: Tensor) -> Tensor:
    if not self.training or self.share == 0.0:
        return values
    mask = torch.empty_like(values).bernoulli_(1.0 - self.share, generator=self.generator)
    return values * mask.div_(1.0 - self.share)


def plain_convolution(self: PackedConvolution, batch: Tensor) -> Tensor:
    """[utterances, frames, dimension] to [utterances, frames, channels]."""
    own = self.convolution
    half = own.kernel_size[0] // 2
    return functional.conv1d(batch.transpose(1, 2), own.weight, own.bias, padding=half).mT


def padded_convolution(self: PackedConvolution, frames: Tensor, lengths: list[int]) -> Tensor:
    batch = pad_sequence(list(torch.split(frames, lengths)), batch_first=True)
    convolved = plain_convolution(self, batch)
    return torch.cat([own[:length] for own, length in zip(convolved, lengths, strict=True)])


def convolution_one_by_one(self: PackedConvolution, frames: Tensor, lengths: list[int]) -> Tensor:
    parts = torch.split(frames, lengths)
    return torch.cat([plain_convolution(self, own[None])[0] for own in parts])


def one_signal_convolution(self: PackedConvolution, frames: Tensor, lengths: list[int]) -> Tensor:
    half = self.convolution.kernel_size[0] // 2
    utterance = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    rows = torch.arange(len(frames)) + half * utterance
    signal = frames.new_zeros(int(rows[-1]) + 1, frames.shape[1]).index_copy(0, rows, frames)
    return plain_convolution(self, signal[None])[0].index_select(0, rows)


def strided_convolution(self: BlockConvolution, signal: Tensor) -> Tensor:
    return functional.conv1d(signal.T[None], self.weight, self.bias, self.stride)[0].T


def padded_recurrent(self: RecurrentEncoder, frames: Tensor, lengths: list[int]) -> Tensor:
    parts = torch.split(frames, lengths)
    forwards, _ = self.forwards[0](pad_sequence(list(parts)))
    backwards, _ = self.backwards[0](pad_sequence([own.flip(0) for own in parts]))
    return torch.cat(
        [
            torch.cat([forwards[:length, place], backwards[:length, place].flip(0)], dim=1)
            for place, length in enumerate(lengths)
        ]
    )


def recurrent_one_by_one(self: RecurrentEncoder, frames: Tensor, lengths: list[int]) -> Tensor:
    (forwards,), (backwards,) = self.forwards, self.backwards
    return torch.cat(
        [
            torch.cat([forwards(own)[0], backwards(own.flip(0))[0].flip(0)], dim=1)
            for own in torch.split(frames, lengths)
        ]
    )


def packed_recurrent(self: RecurrentEncoder, frames: Tensor, lengths: list[int]) -> Tensor:
    networks = (self.forwards[0], self.backwards[0])
    return _packed(networks, frames, _TimeFirst(lengths, frames.device))


Way = Callable[..., Tensor]
DROPOUTS: dict[str, Way] = {"nn.Dropout": plain_dropout, "Bernoulli draws": bernoulli_dropout}
CONVOLUTIONS: dict[str, Way] = {
    "padded": padded_convolution,
    "one by one": convolution_one_by_one,
    "one signal": one_signal_convolution,
}
RECURRENT: dict[str, Way] = {
    "padded": padded_recurrent,
    "one by one": recurrent_one_by_one,
    "packed": packed_recurrent,
}


def convolutional(channels: int, kernel: int) -> ConvolutionalSettings:
    layers = ((channels, kernel), (channels, kernel))
    return ConvolutionalSettings(kind="convolutional", layers=layers, dropout=0.2)


def recurrent(cell: Any, width: int) -> RecurrentSettings:
    return RecurrentSettings(kind="recurrent", rnn_type=cell, hidden_size=width)


# What, on what, model, its class, steps a turn, and torch's ways of its forward pass.
RAW = WaveformModelSettings(kind="waveform", layers=((16, 160, 40), (32, 8, 4), (32, 4, 4)))
POOLED = PooledSettings(kind="pooled", projection_size=256, dropout=0.2)
PIECES: list[tuple[str, Callable[[], CellFeatures], Any, type, int, dict[str, Way]]] = [
    ("pooled, IEMOCAP", iemocap, POOLED, Dropout, 5, {}),  # for the C library's settings
    ("dropout, EMO-DB", lambda: emodb(80), convolutional(128, 5), Dropout, 5, DROPOUTS),
    ("dropout, IEMOCAP", iemocap, convolutional(128, 1), Dropout, 2, DROPOUTS),
    (
        *("convolution, EMO-DB", lambda: emodb(80), convolutional(64, 5)),
        *(PackedConvolution, 5, CONVOLUTIONS),
    ),
    (
        *("convolution, IEMOCAP", iemocap, convolutional(128, 5)),
        *(PackedConvolution, 1, CONVOLUTIONS),
    ),
    ("waveform, EMO-DB", samples, RAW, BlockConvolution, 5, {"nn.Conv1d": strided_convolution}),
    ("GRU, EMO-DB", lambda: emodb(40), recurrent("gru", 64), RecurrentEncoder, 1, RECURRENT),
    ("GRU, IEMOCAP", iemocap, recurrent("gru", 100), RecurrentEncoder, 1, RECURRENT),
]


@click.command(help=__doc__)
@click.option("--turns", default=3, show_default=True)
@click.option("--piece", default="", help="Only what is called so.")
def main(turns: int, piece: str) -> None:
    torch.set_num_threads(1)
    click.echo("| piece, size | way | ms a step | its time against ours |\n|---|---|---|---|")
    for name, given, model, patched, steps, ways in PIECES:
        if piece not in ("", name):
            continue
        drawn = given()
        trainers = {way: trainer(drawn, model, 32, steps) for way in ("ours", *ways)}
        seconds: dict[str, list[float]] = {way: [] for way in trainers}
        for turn in range(turns + 1):
            for way, own in trainers.items():
                with ExitStack() as stack:
                    if way != "ours":
                        stack.enter_context(patch.object(patched, "forward", ways[way]))
                    began = time.process_time()
                    advance(own)
                if turn:  # the first is for caches
                    seconds[way].append((time.process_time() - began) / steps)
        for way, taken in seconds.items():
            ratios = [each / ours for each, ours in zip(taken, seconds["ours"], strict=True)]
            click.echo(
                f"| {name} | {way} | {1000 * statistics.median(taken):,.0f} | "
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |"
            )


if __name__ == "__main__":
    main()
