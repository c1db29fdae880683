"""Fusion of speech and text that are aligned by attention (Xu et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from emoscale.models.aligned_attention import AlignedAttention
from emoscale.models.contract import Classifier, InputShape, PackedFrames
from emoscale.models.layers import Dropout, LayerWeights, Pooling, Standardise, UtteranceLinear
from emoscale.models.recurrent_encoder import RecurrentEncoder
from emoscale.runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from emoscale.config.models import AlignedFusionSettings


class AlignedFusion(Classifier):
    """Recurrent encoders of speech and text, attention from tokens to frames, recurrent encoder.

    The gated recurrent units and the eight heads are those of the paper's public code [1]_. It
    differs in that the attention output is concatenated with the token's encoding, and in that
    attention may be restricted to the frames of each token's word.

    Parameters
    ----------
    settings : AlignedFusionSettings
        Settings of the model.
    input_shapes : sequence of InputShape
        Shapes of the speech and of the text, in this order.
    num_classes : int
        Number of classes.

    Raises
    ------
    ConfigurationError
        If attention is restricted to words and the speech has no frame rate.

    References
    ----------
    .. [1] H. Xu et al., "Learning alignment for multimodal emotion recognition from speech",
       Interspeech 2019, arXiv:1909.05645.
    """

    def __init__(
        self,
        settings: AlignedFusionSettings,
        input_shapes: Sequence[InputShape],
        num_classes: int,
    ) -> None:
        super().__init__()
        speech, _ = input_shapes
        if settings.within_word and speech.frame_rate is None:
            raise ConfigurationError(
                "aligned_fusion with `within_word: true` needs the frame rate of its first input, "
                "which has none; name a speech representation first, or set `within_word: false`"
            )
        self._frame_rate = speech.frame_rate if settings.within_word else None
        encoding_size = 2 * settings.hidden_size  # both directions
        self.standardise = nn.ModuleList(
            Standardise(shape.dimension, shape.layers) for shape in input_shapes
        )
        self.layers = nn.ModuleList(LayerWeights(shape.layers) for shape in input_shapes)
        self.encoders = nn.ModuleList(
            RecurrentEncoder(shape.dimension, "gru", settings.hidden_size, 1, 0.0)
            for shape in input_shapes
        )
        self.attention = AlignedAttention(encoding_size, settings.num_heads)
        self.aligned = RecurrentEncoder(2 * encoding_size, "gru", settings.hidden_size, 1, 0.0)
        self.pool = Pooling("attention", encoding_size)
        self.dropout = Dropout(settings.dropout)
        self.classify = UtteranceLinear(encoding_size, num_classes)

    def forward(self, *inputs: PackedFrames) -> Tensor:
        """Compute logits [utterances, classes] of speech and text."""
        speech, text = self._encode(inputs)
        attended = self.attention(text, speech, self._frame_rate)
        concatenated = torch.cat([text.frames, self.dropout(attended)], dim=1)
        aligned = self.aligned(concatenated, text.layout)
        logits: Tensor = self.classify(self.dropout(self.pool(aligned, text.layout)))
        return logits

    @torch.no_grad()
    def attention_weights(self, speech: PackedFrames, text: PackedFrames) -> list[Tensor]:
        """Compute the attention weights of each token, which in evaluation mode `forward` uses.

        Parameters
        ----------
        speech : PackedFrames
            Frames, the model's first input.
        text : PackedFrames
            Tokens, the model's second input.

        Returns
        -------
        list of Tensor
            Per utterance ``[heads, tokens, frames]``; the weights sum to 1 over frames.
        """
        speech, text = self._encode((speech, text))
        return self.attention.attention_weights(text, speech, self._frame_rate)

    def _encode(self, inputs: Sequence[PackedFrames]) -> list[PackedFrames]:
        encoded = []
        for batch, standardise, layers, encoder in zip(
            inputs, self.standardise, self.layers, self.encoders, strict=True
        ):
            frames = encoder(layers(batch.frames, standardise), batch.layout)
            encoded.append(replace(batch, frames=self.dropout(frames)))
        return encoded
