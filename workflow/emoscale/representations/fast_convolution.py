"""Convolutions with fewer multiplications than taps, exact up to rounding, for a CPU.

A block of m outputs of a convolution with k taps takes m·k products of a weight with a frame. A
bilinear algorithm takes fewer: it transforms the block's frames and the taps linearly, multiplies
the transformed, and transforms the products back. The transforms are small; the weights' is done
once. Each of the M products of a block is here a matrix product over channels, of all blocks at
once. Two algorithms are used:

- two taps: Toom and Cook's, 4 products for 3 outputs instead of 6. A convolution whose kernel is
  twice its stride, as in wav2vec's encoder, is one of two taps over frames of `stride` samples.
- three taps and more: a discrete Fourier transform over a short block, with three real products for
  a complex one: 29 products for 8 outputs of 13 taps instead of 104.

Errors against float64 are 3e-7 to 6e-7 of the output, a direct convolution's 1e-7 to 3e-7
(tests/representations/test_fast_convolution.py prints both).
Sources: Winograd 1980, Arithmetic Complexity of Computations; Lavin and Gray 2016, Fast Algorithms
for Convolutional Neural Networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_LEAST_CHANNELS = 128
"""With fewer, the transforms cost more than the products that they save."""


@dataclass(frozen=True)
class BilinearAlgorithm:
    """outputs @ ((taps @ w) * (frames @ x)): m outputs of k taps w from m + k - 1 frames x."""

    taps: NDArray[np.float64]
    """[M, k]."""
    frames: NDArray[np.float64]
    """[M, m + k - 1]."""
    outputs: NDArray[np.float64]
    """[m, M]."""


def toom_cook() -> BilinearAlgorithm:
    """Three outputs of two taps, evaluated at 0, 1, -1 and infinity."""
    return BilinearAlgorithm(
        taps=np.array([[1.0, 0.0], [0.5, 0.5], [0.5, -0.5], [0.0, 1.0]]),
        frames=np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]], np.float64),
        outputs=np.array([[1, 1, 1, 0], [0, 1, -1, 0], [0, 1, 1, 1]], np.float64),
    )


def short_fourier(block: int, taps: int) -> BilinearAlgorithm:
    """Outputs of so many taps by a discrete Fourier transform over `block` (even) frames.

    A frequency's product of the frames' p + iq and the conjugated taps' c + id is, with k1 =
    c(p + q), k2 = p(d - c) and k3 = q(c + d), the real part k1 - k3 and the imaginary k1 + k2.
    """
    of_taps, of_frames, of_outputs = [], [], []
    places = [np.arange(count) for count in (taps, block, block - taps + 1)]
    for frequency in range(block // 2 + 1):
        angles = [2 * np.pi * frequency * place / block for place in places]
        (c, p, cosine), (d, minus_q, sine) = (
            [function(angle) for angle in angles] for function in (np.cos, np.sin)
        )
        if frequency in (0, block // 2):  # real
            of_taps += [c]
            of_frames += [p]
            of_outputs += [cosine / block]
            continue
        of_taps += [c, d - c, c + d]
        of_frames += [p - minus_q, p, -minus_q]
        of_outputs += [
            2 / block * part for part in (cosine - sine, -sine, -cosine)
        ]  # the real part times the cosine less the imaginary part times the sine
    return BilinearAlgorithm(np.array(of_taps), np.array(of_frames), np.array(of_outputs).T)


class Convolution(nn.Conv1d):
    """A convolution over [batch, channels, frames] that can be prepared to be faster."""

    _products: Tensor | None = None

    def prepare(self) -> None:
        """Compute fast from now on, with the weights as they are now, in float32 on a CPU.

        Does nothing where nothing would be gained: few channels, one tap, other strides.
        """
        algorithm = self._algorithm()
        if algorithm is None or min(self.in_channels, self.out_channels) < _LEAST_CHANNELS:
            return
        stride, taps = self.stride[0], algorithm.taps.shape[1]
        self._wide = stride * self.in_channels
        weight = self.weight.detach().view(self.out_channels, self.in_channels, taps, stride)
        weight = weight.permute(2, 3, 1, 0).reshape(taps, -1).double()
        products = torch.from_numpy(algorithm.taps) @ weight
        self._products = products.float().view(-1, self._wide, self.out_channels)
        self._of_frames = torch.from_numpy(algorithm.frames).float()
        self._of_outputs = torch.from_numpy(algorithm.outputs).float()

    def _algorithm(self) -> BilinearAlgorithm | None:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if kernel == 2 * stride:
            return toom_cook()
        if stride == 1 and kernel > 2:
            return short_fourier(16 if kernel < 8 else 20, kernel)
        return None

    def forward(self, frames: Tensor) -> Tensor:
        """[batch, in_channels, frames] to [batch, out_channels, frames of the output]."""
        if self._products is None:
            return super().forward(frames)
        output = torch.stack([self._fast(one) for one in frames])
        return output if self.bias is None else output.add_(self.bias[:, None])

    def _fast(self, frames: Tensor) -> Tensor:
        """[in_channels, frames] to [out_channels, frames of the output], without the bias."""
        assert self._products is not None
        stride, wide = self.stride[0], self._wide
        (outputs, _), width = self._of_outputs.shape, self._of_frames.shape[1]
        count = (frames.shape[1] - self.kernel_size[0]) // stride + 1
        blocks = -(-count // outputs)
        rows = frames.new_zeros((blocks - 1) * outputs + width, wide)
        there = min(frames.shape[1], len(rows) * stride)
        rows.view(-1, self.in_channels)[:there] = frames[:, :there].T
        blocked = rows.as_strided(
            (blocks, width, self._wide), (outputs * self._wide, self._wide, 1)
        )
        transformed = torch.matmul(self._of_frames, blocked).transpose(0, 1)
        products = torch.bmm(transformed, self._products).transpose(0, 1)
        return torch.matmul(self._of_outputs, products).view(-1, self.out_channels)[:count].T
