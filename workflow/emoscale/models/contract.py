"""What a classifier is given, and what it promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class PackedFrames:
    """A batch of utterances of different lengths, one after the other, without padding."""

    frames: Tensor
    """[total frames, dimension], float32."""

    lengths: list[int]
    """Frames of each utterance; they sum to the total."""


class Classifier(Protocol):
    """A `torch.nn.Module` built from settings, the input's dimension and the number of classes.

    `forward` gives the logits [utterances, classes] of a packed batch. What an utterance gets does
    not depend on the others in its batch.
    """

    def forward(self, batch: PackedFrames) -> Tensor: ...
