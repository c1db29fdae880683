"""Speed of an extraction."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from emoscale.representations import throughput
from emoscale.representations.throughput import (
    count_operations,
    describe_throughput,
    matrix_rate,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda")


class TwoLayers:
    """Representation with frames of 100 samples, from two linear layers."""

    modality = "audio"

    def __init__(self) -> None:
        self.first, self.second = torch.randn(100, 32), torch.randn(32, 8)

    @torch.inference_mode()
    def extract(self, batch: list[Any]) -> list[Any]:
        frames = [torch.from_numpy(waveform).view(-1, 100) for waveform in batch]
        return [(each @ self.first @ self.second).numpy() for each in frames]


class Uncountable(TwoLayers):
    def extract(self, batch: list[Any]) -> list[Any]:
        raise RuntimeError("no formula for this operation")


OPERATIONS_PER_SECOND = 160 * 2 * (100 * 32 + 32 * 8)


def test_operations_are_those_of_the_matrix_products() -> None:
    assert count_operations(TwoLayers(), 2.0) == 2 * OPERATIONS_PER_SECOND


def test_the_speed_on_a_gpu_has_its_share_of_the_matrix_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rates = {torch.bfloat16: 25.0 * OPERATIONS_PER_SECOND}
    monkeypatch.setattr(throughput, "matrix_rate", lambda dtype, device: rates[dtype])
    seconds = [1.5, 2.5] * 1_000
    plain = "4,000 s of audio in 800.0 s, 5 s of audio per s"
    described = describe_throughput(TwoLayers(), "bfloat16", seconds, 800.0, GPU)
    assert described == f"{plain}, 20% of the rate of matrix products"
    assert describe_throughput(TwoLayers(), "bfloat16", seconds, 800.0, CPU) == plain
    assert describe_throughput(TwoLayers(), None, seconds, 800.0, GPU) == plain
    unknown = describe_throughput(Uncountable(), "bfloat16", seconds, 800.0, GPU)
    assert unknown.startswith(f"{plain} (share of the rate of matrix products unknown: ")
    assert "no formula" in unknown
    empty = describe_throughput(TwoLayers(), "bfloat16", [], 1.0, GPU)
    assert empty == "0 s of audio in 1.0 s, 0 s of audio per s"


def test_the_matrix_rate_is_that_of_a_computer() -> None:
    assert 1e8 < matrix_rate(torch.float32, CPU) < 1e15
