"""Speech and text, aligned by attention (Xu et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from emoscale.config.models import AlignedFusionSettings
from emoscale.models.aligned_attention import AlignedAttention, frames_of_words
from emoscale.models.contract import Classifier, InputShape, PackedFrames
from emoscale.models.layers import Dropout, LayerWeights, Pooling, Standardise, UtteranceLinear
from emoscale.models.recurrent_encoder import RecurrentEncoder
from emoscale.runtime.errors import ConfigurationError


class AlignedFusion(Classifier):
    """Each token of the text looks for its frames of the speech; the inputs are in that order.

    "Learning Alignment for Multimodal Emotion Recognition from Speech" (arXiv 1909.05645), with
    the gated recurrent units and the eight heads of its public code. Ours: what a token gathers
    stands beside its own encoding, and it may be confined to the frames of its word.

    Raises `ConfigurationError` where it is confined and the speech has no frame rate.
    """

    def __init__(
        self, settings: AlignedFusionSettings, inputs: Sequence[InputShape], classes: int
    ) -> None:
        super().__init__()
        speech, _ = inputs
        if settings.within_word and speech.frame_rate is None:
            raise ConfigurationError(
                "aligned_fusion with `within_word: true` needs to know when a frame of its first "
                "input is, which has no frame rate; name speech frames first, or set it to false"
            )
        self._rate = speech.frame_rate if settings.within_word else None
        width = 2 * settings.hidden_size  # of an encoding: both directions
        self.standardise = nn.ModuleList(
            Standardise(shape.dimension, shape.layers) for shape in inputs
        )
        self.layers = nn.ModuleList(
            nn.Identity() if shape.layers is None else LayerWeights(shape.layers)
            for shape in inputs
        )
        self.encoders = nn.ModuleList(
            RecurrentEncoder(shape.dimension, "gru", settings.hidden_size, 1, 0.0)
            for shape in inputs
        )
        self.attention = AlignedAttention(width, settings.num_heads)
        self.aligned = RecurrentEncoder(2 * width, "gru", settings.hidden_size, 1, 0.0)
        self.pool = Pooling("attention", width)
        self.dropout = Dropout(settings.dropout)
        self.classify = UtteranceLinear(width, classes)

    def forward(self, *inputs: PackedFrames) -> Tensor:
        """Logits [utterances, classes] of speech and text."""
        speech, text = self._encoded(inputs)
        gathered = self.attention(text, speech, self._seen(speech, text))
        side_by_side = torch.cat([text.frames, self.dropout(gathered)], dim=1)
        aligned = self.aligned(side_by_side, text.lengths)
        logits: Tensor = self.classify(self.dropout(self.pool(aligned, text.lengths)))
        return logits

    @torch.no_grad()
    def attention_of(self, speech: PackedFrames, text: PackedFrames) -> list[Tensor]:
        """How each token spreads its attention: of each utterance [heads, tokens, frames].

        The sum over frames is 1. In evaluation mode it is what `forward` computes with.
        """
        speech, text = self._encoded((speech, text))
        return self.attention.weights(text, speech, self._seen(speech, text))

    def _encoded(self, inputs: Sequence[PackedFrames]) -> list[PackedFrames]:
        encoded = []
        for given, standardise, layers, encoder in zip(
            inputs, self.standardise, self.layers, self.encoders, strict=True
        ):
            frames = encoder(layers(standardise(given.frames)), given.lengths)
            encoded.append(replace(given, frames=self.dropout(frames)))
        return encoded

    def _seen(self, speech: PackedFrames, text: PackedFrames) -> list[Tensor | None]:
        """Of each utterance the frames that a token sees [tokens, frames]; None: all."""
        if self._rate is None or text.seconds is None:
            return [None] * len(text.lengths)
        return [
            frames_of_words(seconds, frames, self._rate)
            for seconds, frames in zip(
                torch.split(text.seconds, text.lengths), speech.lengths, strict=True
            )
        ]
