"""Convolutional network on raw waveforms, trained end to end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from emoscale.models.contract import InputShape, PackedFrames, SingleInputClassifier
from emoscale.models.layers import Dropout, UtteranceLinear
from emoscale.models.packed_layout import PackedLayout, send

if TYPE_CHECKING:
    from emoscale.config.models import WaveformModelSettings


class BlockConvolution(nn.Conv1d):
    """`nn.Conv1d` of one signal, as one matrix product of blocks that are one stride long.

    The kernel is padded to a whole number of strides and split into blocks of one stride. All
    blocks of the signal are multiplied by all blocks of the kernel, and shifted rows are summed. On
    a CPU that takes half the time of torch's convolution, which is prepared anew for each length.
    """

    def forward(self, signal: Tensor) -> Tensor:
        """Convolve a signal [samples, in_channels] to [frames, out_channels]."""
        (kernel,), (stride,) = self.kernel_size, self.stride
        num_blocks = -(-kernel // stride)  # of the kernel
        frames = (len(signal) - kernel) // stride + 1
        blocks = pad(signal, (0, 0, 0, (frames + num_blocks - 1) * stride - len(signal)))
        weight = pad(self.weight, (0, num_blocks * stride - kernel)).permute(2, 1, 0)
        weight = weight.reshape(num_blocks, stride * self.in_channels, -1)
        products = blocks.reshape(frames + num_blocks - 1, -1) @ torch.cat(list(weight), dim=1)
        convolved: Tensor = products[:frames, : self.out_channels]
        for offset, product in enumerate(products.chunk(num_blocks, dim=1)[1:], start=1):
            convolved = convolved + product[offset : offset + frames]
        return convolved if self.bias is None else convolved + self.bias


class WaveformNetwork(SingleInputClassifier):
    """Strided convolutions with layer normalisation and ReLU, mean over time, linear layer.

    It follows the networks of Dai et al. [1]_, but normalises each frame over its channels, so
    that the logits of an utterance do not depend on its batch.

    Parameters
    ----------
    settings : WaveformModelSettings
        Settings of the model.
    input_shapes : sequence of InputShape
        The shape of the only input.
    num_classes : int
        Number of classes.

    References
    ----------
    .. [1] W. Dai, C. Dai, S. Qu, J. Li and S. Das, "Very deep convolutional neural networks for raw
       waveforms", ICASSP 2017.
    """

    def __init__(
        self,
        settings: WaveformModelSettings,
        input_shapes: Sequence[InputShape],
        num_classes: int,
    ) -> None:
        super().__init__(input_shapes)
        self.convolutions = nn.ModuleList()
        self.hop, self.receptive_field = 1, 1  # of the whole network, in samples
        in_channels = input_shapes[0].dimension
        for out_channels, kernel_size, stride in settings.layers:
            self.convolutions.append(
                nn.ModuleDict(
                    {
                        "convolution": BlockConvolution(
                            in_channels, out_channels, kernel_size, stride
                        ),
                        "norm": nn.LayerNorm(out_channels),
                    }
                )
            )
            self.receptive_field += (kernel_size - 1) * self.hop
            self.hop *= stride
            in_channels = out_channels
        self.dropout = Dropout(settings.dropout)
        self.classify = UtteranceLinear(in_channels, num_classes)

    def forward(self, *inputs: PackedFrames) -> Tensor:
        """Compute logits [utterances, classes].

        The utterances are concatenated to one signal in which each begins at a multiple of the
        network's hop, so its frames are those of the utterance by itself. Frames whose receptive
        field crosses the end of their utterance are not used. Utterances that are shorter than the
        receptive field are padded with zeros.
        """
        (batch,) = inputs
        signal, frame_indices, counts = self._concatenate(batch)
        for layer in self.convolutions:
            convolved = layer["convolution"](signal)  # type: ignore[index]
            signal = torch.relu(layer["norm"](convolved))  # type: ignore[index]
        frames = signal.index_select(0, frame_indices)
        means = PackedLayout(counts, signal.device).mean(frames)
        logits: Tensor = self.classify(self.dropout(means))
        return logits

    def _concatenate(self, batch: PackedFrames) -> tuple[Tensor, Tensor, list[int]]:
        """Concatenate a batch to one signal.

        Return the signal [samples, dim], the indices of the frames that are used after the
        convolutions, and their number for each utterance.
        """
        samples = self.standardised_frames(batch)
        shortest = self.receptive_field + self.hop
        zeros = samples.new_zeros(shortest, samples.shape[1])
        blocks, frame_indices, counts = [], [], []
        begin = 0
        for utterance in torch.split(samples, batch.lengths):
            length = max(len(utterance), self.receptive_field)
            padded_length = -(-length // self.hop) * self.hop
            blocks += [utterance, zeros[: padded_length - len(utterance)]]
            count = (length - self.receptive_field) // self.hop + 1
            frame_indices.append(torch.arange(count) + begin // self.hop)
            counts.append(count)
            begin += padded_length
        return torch.cat(blocks), send(samples.device, torch.cat(frame_indices))[0], counts
