"""What a classifier is given, and what it promises."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from emoscale.models.normalisation import Standardise


@dataclass(frozen=True)
class PackedFrames:
    """A batch of utterances of different lengths, one after the other, without padding."""

    frames: Tensor
    """[total frames, dimension], float32."""

    lengths: list[int]
    """Frames of each utterance; they sum to the total."""


class Classifier(nn.Module):
    """Built from its settings, the input's dimension and the number of classes.

    What an utterance gets does not depend on the others in its batch.
    """

    standardise: Standardise
    """Applied to the frames first; the training sets its statistics."""

    @abstractmethod
    def forward(self, batch: PackedFrames) -> Tensor:
        """Logits [utterances, classes]."""
