"""Convolutions over frames, pool, a hidden layer, classify."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from emoscale.config.models import ConvolutionalSettings
from emoscale.models.contract import InputShape, OneInput, PackedFrames
from emoscale.models.layers import Dropout, PackedConvolution, Pooling, UtteranceLinear


class Convolutional(OneInput):
    """Convolutions with ReLU and dropout, pooling, a hidden layer with the same, linear.

    In the line of Pepino et al. (2021), whose kernels see one frame.
    """

    def __init__(
        self, settings: ConvolutionalSettings, inputs: Sequence[InputShape], classes: int
    ) -> None:
        super().__init__(inputs)
        entering = inputs[0].dimension
        self.convolutions = nn.ModuleList()
        for channels, kernel in settings.layers:
            self.convolutions.append(PackedConvolution(entering, channels, kernel))
            entering = channels
        self.dropout = Dropout(settings.dropout)
        self.pool = Pooling(settings.pooling, entering)
        pooled = self.pool.dimension
        self.hidden = (
            None if settings.hidden_size is None else UtteranceLinear(pooled, settings.hidden_size)
        )
        self.classify = UtteranceLinear(settings.hidden_size or pooled, classes)

    def forward(self, *inputs: PackedFrames) -> Tensor:
        """Logits [utterances, classes]."""
        (batch,) = inputs
        frames = self.entering(batch)
        for convolution in self.convolutions:
            frames = self.dropout(torch.relu(convolution(frames, batch.lengths)))
        vectors = self.pool(frames, batch.lengths)
        if self.hidden is not None:
            vectors = self.dropout(torch.relu(self.hidden(vectors)))
        logits: Tensor = self.classify(vectors)
        return logits
