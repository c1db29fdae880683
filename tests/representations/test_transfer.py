"""Copies of batches to a device and back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from emoscale.representations.transfer import padded_waveforms, stored_arrays


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("shape", [(4,), (3, 4)], ids=["one layer", "three layers"])
def test_arrays_of_a_batch_are_those_of_its_utterances(
    dtype: torch.dtype, shape: tuple[int, ...]
) -> None:
    *layers, dimension = shape
    generator = torch.Generator().manual_seed(1)
    padded = torch.randn([*layers, 2, 9, dimension], generator=generator)
    counts = [9, 5]
    frames = [padded[..., index, :count, :] for index, count in enumerate(counts)]
    arrays = stored_arrays(frames, dtype)
    assert [array.shape for array in arrays] == [(*layers, n, dimension) for n in counts]
    for array, each in zip(arrays, frames, strict=True):
        np.testing.assert_array_equal(array, each.to(dtype).numpy(), strict=True)


def test_a_batch_leaves_its_device_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's meta device stands for a GPU, and its transfer is replaced."""
    transferred: list[tuple[int, ...]] = []

    def transfer(target: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        transferred.append(tuple(source.shape))
        return torch.zeros(source.shape, dtype=source.dtype)

    allocate: Callable[..., torch.Tensor] = torch.empty
    monkeypatch.setattr(torch.Tensor, "is_cuda", property(lambda tensor: tensor.is_meta))
    monkeypatch.setattr(torch.Tensor, "copy_", transfer)
    monkeypatch.setattr(torch, "empty", lambda *size, pin_memory, **kind: allocate(*size, **kind))
    frames = [torch.empty((2, count, 4), pin_memory=False, device="meta") for count in (7, 3, 5)]
    arrays = stored_arrays(frames, torch.float16)
    assert transferred == [(2, 15, 4)]
    assert [array.shape for array in arrays] == [(2, 7, 4), (2, 3, 4), (2, 5, 4)]
    assert arrays[0].dtype == np.float16


def test_waveforms_are_padded_with_zeros() -> None:
    waveforms = [torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0, 5.0])]
    padded = padded_waveforms(waveforms, torch.device("cpu"))
    assert padded.tolist() == [[1.0, 2.0, 0.0], [3.0, 4.0, 5.0]]
