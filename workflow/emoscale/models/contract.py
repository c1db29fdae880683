"""The interface of the classifiers: their inputs, their outputs and their base classes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from emoscale.models.layers import LayerWeights, Standardise
from emoscale.models.packed_layout import PackedLayout


@dataclass(frozen=True)
class InputShape:
    """Shape of the features of one representation, as a model reads them."""

    dimension: int
    """Number of values per frame (and layer)."""

    layers: int | None = None
    """Number of hidden states per frame that the model weighs; None: frames without layers."""

    frame_rate: float | None = None
    """Frames per second; None where frames are tokens."""


@dataclass(frozen=True)
class PackedFrames:
    """A batch of utterances of different lengths, concatenated without padding."""

    frames: Tensor
    """[total frames, dim] or [total frames, layers, dim], of any floating-point type."""

    layout: PackedLayout
    """Number of frames of each utterance, and the indices of the batch."""

    seconds: Tensor | None = None
    """[total frames, 2] start and end of each token within its utterance; text only.

    Unknown times are NaN.
    """

    @classmethod
    def of(cls, frames: Tensor, lengths: list[int], seconds: Tensor | None = None) -> PackedFrames:
        """Return a batch with a layout of its own.

        Parameters
        ----------
        frames : Tensor
            ``[total frames, dim]`` or ``[total frames, layers, dim]``.
        lengths : list of int
            Number of frames of each utterance; they sum to the total.
        seconds : Tensor or None
            Text only: ``[total frames, 2]``.

        Returns
        -------
        PackedFrames
            The batch.
        """
        return cls(frames, PackedLayout(lengths, frames.device), seconds)

    @property
    def lengths(self) -> list[int]:
        """Number of frames of each utterance."""
        return self.layout.lengths


class Classifier(nn.Module):
    """Base class of the networks, built from settings, input shapes and the number of classes.

    The logits of an utterance do not depend on the other utterances of its batch.
    """

    standardise: nn.ModuleList
    """One `Standardise` per input, applied to its frames; the training sets the statistics."""

    def standardisations(self) -> list[Standardise]:
        """Return the standardisation layer of each input."""
        return [cast("Standardise", module) for module in self.standardise]

    @abstractmethod
    def forward(self, *inputs: PackedFrames) -> Tensor:
        """Compute logits [utterances, classes].

        All inputs hold the same utterances in the same order.
        """

    def training_logits(self, *inputs: PackedFrames) -> list[Tensor]:
        """Return the logits whose losses are summed in training.

        There are several where branches of the network are trained separately.
        """
        return [self(*inputs)]


class SingleInputClassifier(Classifier):
    """Base class of the networks with one input: standardisation, then a mean over any layers.

    Parameters
    ----------
    input_shapes : sequence of InputShape
        The shape of the only input.
    """

    def __init__(self, input_shapes: Sequence[InputShape]) -> None:
        super().__init__()
        (shape,) = input_shapes
        self.standardise = nn.ModuleList([Standardise(shape.dimension, shape.layers)])
        self.layers = nn.ModuleList([LayerWeights(shape.layers)])

    def standardised_frames(self, batch: PackedFrames) -> Tensor:
        """Standardise the frames and average their layers, where they have layers.

        Parameters
        ----------
        batch : PackedFrames
            The input.

        Returns
        -------
        Tensor
            Frames, ``[total frames, dim]``.
        """
        frames: Tensor = self.layers[0](batch.frames, self.standardise[0])
        return frames
