"""Convolutional network over frames: convolutions, pooling, hidden layer, linear classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from emoscale.models.contract import InputShape, PackedFrames, SingleInputClassifier
from emoscale.models.layers import Dropout, PackedConvolution, Pooling, UtteranceLinear

if TYPE_CHECKING:
    from emoscale.config.models import ConvolutionalSettings


class Convolutional(SingleInputClassifier):
    """Convolutions with ReLU and dropout, pooling, a hidden layer with both, a linear layer.

    With kernels of one frame it is close to the downstream network of Pepino et al. [1]_.

    Parameters
    ----------
    settings : ConvolutionalSettings
        Settings of the model.
    input_shapes : sequence of InputShape
        The shape of the only input.
    num_classes : int
        Number of classes.

    References
    ----------
    .. [1] L. Pepino, P. Riera and L. Ferrer, "Emotion recognition from speech using wav2vec 2.0
       embeddings", Interspeech 2021.
    """

    def __init__(
        self,
        settings: ConvolutionalSettings,
        input_shapes: Sequence[InputShape],
        num_classes: int,
    ) -> None:
        super().__init__(input_shapes)
        in_channels = input_shapes[0].dimension
        self.convolutions = nn.ModuleList()
        for out_channels, kernel_size in settings.layers:
            self.convolutions.append(PackedConvolution(in_channels, out_channels, kernel_size))
            in_channels = out_channels
        self.dropout = Dropout(settings.dropout)
        self.pool = Pooling(settings.pooling, in_channels)
        pooled_size = self.pool.output_size
        self.hidden = (
            None
            if settings.hidden_size is None
            else UtteranceLinear(pooled_size, settings.hidden_size)
        )
        self.classify = UtteranceLinear(settings.hidden_size or pooled_size, num_classes)

    def forward(self, *inputs: PackedFrames) -> Tensor:
        """Compute logits [utterances, classes]."""
        (batch,) = inputs
        frames = self.standardised_frames(batch)
        for convolution in self.convolutions:
            frames = self.dropout(torch.relu(convolution(frames, batch.layout)))
        vectors = self.pool(frames, batch.layout)
        if self.hidden is not None:
            vectors = self.dropout(torch.relu(self.hidden(vectors)))
        logits: Tensor = self.classify(vectors)
        return logits
