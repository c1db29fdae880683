"""What a classifier is given, and what it promises."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from emoscale.models.layers import LayerWeights, Standardise


@dataclass(frozen=True)
class InputShape:
    """One representation as a model sees it."""

    dimension: int
    """Values a frame."""

    layers: int | None = None
    """Hidden states a frame, where the model is to weigh several; None: frames are single."""

    frame_rate: float | None = None
    """Frames a second; None where frames are tokens."""


@dataclass(frozen=True)
class PackedFrames:
    """A batch of utterances of different lengths, one after the other, without padding."""

    frames: Tensor
    """[total frames, dimension], or [total frames, layers, dimension]; of any floating type."""

    lengths: list[int]
    """Frames of each utterance; they sum to the total."""

    seconds: Tensor | None = None
    """[total frames, 2] start and end of each token in its utterance, NaN where unknown; text."""


class Classifier(nn.Module):
    """Built from its settings, the shapes of its inputs and the number of classes.

    What an utterance gets does not depend on the others in its batch.
    """

    standardise: nn.ModuleList
    """A `Standardise` an input, applied to its frames first; the training sets their statistics."""

    def standardisations(self) -> list[Standardise]:
        """Of each input."""
        return [cast("Standardise", module) for module in self.standardise]

    @abstractmethod
    def forward(self, *inputs: PackedFrames) -> Tensor:
        """Logits [utterances, classes]; the inputs hold the same utterances in the same order."""

    def training_logits(self, *inputs: PackedFrames) -> list[Tensor]:
        """What the loss is summed over; more than one where parts learn by themselves."""
        return [self(*inputs)]


class OneInput(Classifier):
    """Begins with standardised frames and, where they have layers, a weighted mean of these."""

    def __init__(self, inputs: Sequence[InputShape]) -> None:
        super().__init__()
        (shape,) = inputs
        self.standardise = nn.ModuleList([Standardise(shape.dimension, shape.layers)])
        self.layers = nn.ModuleList(
            [nn.Identity() if shape.layers is None else LayerWeights(shape.layers)]
        )

    def entering(self, batch: PackedFrames) -> Tensor:
        """[total, dimension] that the model's own part is given."""
        frames: Tensor = self.layers[0](self.standardise[0](batch.frames))
        return frames
