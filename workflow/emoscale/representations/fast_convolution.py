"""Fast 1-d convolutions for a CPU, with fewer multiplications than a direct convolution.

A direct convolution with k taps needs m * k products of a weight with a frame for a block of m
outputs. A bilinear algorithm needs fewer: it transforms the block's frames and the taps linearly,
multiplies the results elementwise, and transforms the products back. The transforms are small, and
that of the weights is computed once. Each of the M elementwise products is a matrix product over
channels here, for all blocks of an utterance. There are two algorithms:

- two taps: Toom-Cook, with 4 products for 3 outputs instead of 6. A convolution whose kernel is
  twice its stride, as in wav2vec's encoder, has two taps over frames of `stride` samples.
- three or more taps: a short discrete Fourier transform with three real products per complex one,
  for example 29 products for 8 outputs of 13 taps instead of 104.

The relative error against float64 is 3e-7 to 6e-7, that of a direct convolution 1e-7 to 3e-7
(tests/representations/test_fast_convolution.py prints both).

References
----------
Winograd 1980, Arithmetic Complexity of Computations; Lavin and Gray 2016, Fast Algorithms for
Convolutional Neural Networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_MINIMUM_CHANNELS = 128
"""With fewer channels, the transforms take more time than the omitted products."""


@dataclass(frozen=True)
class BilinearAlgorithm:
    """Bilinear algorithm for m outputs of a convolution with k taps, with M products.

    For taps w and m + k - 1 frames x, the outputs are
    ``output_transform @ ((weight_transform @ w) * (input_transform @ x))``.
    """

    weight_transform: NDArray[np.float64]
    """``[M, k]``."""
    input_transform: NDArray[np.float64]
    """``[M, m + k - 1]``."""
    output_transform: NDArray[np.float64]
    """``[m, M]``."""


def toom_cook_algorithm() -> BilinearAlgorithm:
    """Return the Toom-Cook algorithm for three outputs of two taps, at points 0, 1, -1, infinity.

    Returns
    -------
    BilinearAlgorithm
        An algorithm with 4 products.
    """
    return BilinearAlgorithm(
        weight_transform=np.array([[1.0, 0.0], [0.5, 0.5], [0.5, -0.5], [0.0, 1.0]]),
        input_transform=np.array(
            [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]], np.float64
        ),
        output_transform=np.array([[1, 1, 1, 0], [0, 1, -1, 0], [0, 1, 1, 1]], np.float64),
    )


def fourier_algorithm(block: int, taps: int) -> BilinearAlgorithm:
    """Return an algorithm that uses a discrete Fourier transform of a short block.

    At each frequency, let p + iq be the coefficient of the frames and c + id the conjugate of that
    of the taps. With k1 = c(p + q), k2 = p(d - c) and k3 = q(c + d), their product has the real
    part k1 - k3 and the imaginary part k1 + k2.

    Parameters
    ----------
    block : int
        Frames of a block; an even number.
    taps : int
        Number of taps.

    Returns
    -------
    BilinearAlgorithm
        An algorithm for ``block - taps + 1`` outputs.
    """
    weight_rows, input_rows, output_columns = [], [], []
    indices = [np.arange(count) for count in (taps, block, block - taps + 1)]
    for frequency in range(block // 2 + 1):
        angles = [2 * np.pi * frequency * index / block for index in indices]
        (c, p, cosine), (d, minus_q, sine) = (
            [function(angle) for angle in angles] for function in (np.cos, np.sin)
        )
        if frequency in (0, block // 2):  # both coefficients are real
            weight_rows += [c]
            input_rows += [p]
            output_columns += [cosine / block]
            continue
        weight_rows += [c, d - c, c + d]
        input_rows += [p - minus_q, p, -minus_q]
        # The real part times the cosine minus the imaginary part times the sine.
        output_columns += [2 / block * column for column in (cosine - sine, -sine, -cosine)]
    return BilinearAlgorithm(
        np.array(weight_rows), np.array(input_rows), np.array(output_columns).T
    )


class Convolution(nn.Conv1d):
    """1-d convolution that can be switched to a fast algorithm for inference."""

    _fast_weights: Tensor | None = None

    def prepare(self) -> None:
        """Switch to the fast algorithm with the present weights, in float32 on a CPU.

        Nothing changes if a direct convolution is as fast: with few channels, a single tap, or
        another stride.
        """
        algorithm = self._algorithm()
        if algorithm is None or min(self.in_channels, self.out_channels) < _MINIMUM_CHANNELS:
            return
        stride, taps = self.stride[0], algorithm.weight_transform.shape[1]
        self._row_size = stride * self.in_channels
        weight = self.weight.detach().view(self.out_channels, self.in_channels, taps, stride)
        weight = weight.permute(2, 3, 1, 0).reshape(taps, -1).double()
        transformed = torch.from_numpy(algorithm.weight_transform) @ weight
        self._fast_weights = transformed.float().view(-1, self._row_size, self.out_channels)
        self._input_transform = torch.from_numpy(algorithm.input_transform).float()
        self._output_transform = torch.from_numpy(algorithm.output_transform).float()

    def _algorithm(self) -> BilinearAlgorithm | None:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if kernel == 2 * stride:
            return toom_cook_algorithm()
        if stride == 1 and kernel > 2:
            return fourier_algorithm(16 if kernel < 8 else 20, kernel)
        return None

    def forward(self, frames: Tensor) -> Tensor:
        """Convolve a batch of utterances.

        Parameters
        ----------
        frames : Tensor
            ``[batch, in_channels, frames]``.

        Returns
        -------
        Tensor
            ``[batch, out_channels, output frames]``.
        """
        if self._fast_weights is None:
            return super().forward(frames)
        output = torch.stack([self._convolve_fast(utterance) for utterance in frames])
        return output if self.bias is None else output.add_(self.bias[:, None])

    def _convolve_fast(self, frames: Tensor) -> Tensor:
        """Convolve ``[in_channels, frames]`` to ``[out_channels, output frames]``, without bias."""
        assert self._fast_weights is not None
        stride, row_size = self.stride[0], self._row_size
        outputs_per_block = self._output_transform.shape[0]
        rows_per_block = self._input_transform.shape[1]
        count = (frames.shape[1] - self.kernel_size[0]) // stride + 1
        blocks = -(-count // outputs_per_block)
        rows = frames.new_zeros((blocks - 1) * outputs_per_block + rows_per_block, row_size)
        copied = min(frames.shape[1], len(rows) * stride)
        rows.view(-1, self.in_channels)[:copied] = frames[:, :copied].T
        overlapping = rows.as_strided(
            (blocks, rows_per_block, row_size), (outputs_per_block * row_size, row_size, 1)
        )
        transformed = torch.matmul(self._input_transform, overlapping).transpose(0, 1)
        products = torch.bmm(transformed, self._fast_weights).transpose(0, 1)
        return torch.matmul(self._output_transform, products).view(-1, self.out_channels)[:count].T
