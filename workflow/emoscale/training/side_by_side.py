"""Several models of one kind in one pass: what a GPU needs to be busy with small ones.

Their batches are put one after the other. What has weights or randomness of its own (a linear
layer, a dropout, a standardisation) is asked model by model for the rows that are its own; what has
none (activations, sums over utterances, softmax) is computed once over all rows. So no number
depends on which models stand beside each other, and each keeps its own weights and random stream.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from emoscale.models.contract import Classifier, PackedFrames
from emoscale.models.dropout import Dropout
from emoscale.models.layer_weights import LayerWeights
from emoscale.models.normalisation import Standardise
from emoscale.models.packed_convolution import PackedConvolution

_ROW_BY_ROW = (nn.Linear, Standardise, LayerWeights, Dropout)
"""Modules whose rows do not depend on each other; no module within one is replaced."""


@dataclass
class Rows:
    """How many rows of the pass under way are each model's, by the number of all rows."""

    of_each: dict[int, list[int]]

    @classmethod
    def of(cls, batches: Sequence[Sequence[PackedFrames]]) -> Rows | None:
        """Of the models' batches; None where the number of all rows does not tell what they are."""
        counts = [[len(given[0].lengths) for given in batches]]
        counts += [
            [len(given[place].frames) for given in batches] for place in range(len(batches[0]))
        ]
        found: dict[int, list[int]] = {}
        for each in counts:
            if found.setdefault(sum(each), each) != each:
                return None
        return cls(found)


class _SideBySide(nn.Module):
    """One layer of all models."""

    def __init__(self, layers: Sequence[nn.Module], rows: Rows) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self._rows = rows

    def forward(self, values: Tensor) -> Tensor:
        """[all rows, ...] to as many."""
        parts = torch.split(values, self._rows.of_each[len(values)])
        return torch.cat([layer(part) for layer, part in zip(self.layers, parts, strict=True)])


class _ConvolutionsSideBySide(_SideBySide):
    """One convolution over frames of all models."""

    def forward(self, frames: Tensor, lengths: list[int]) -> Tensor:  # type: ignore[override]
        """[all frames, dimension] to [all frames, channels]."""
        parts = torch.split(frames, self._rows.of_each[len(frames)])
        first, convolved = 0, []
        for layer, part, count in zip(
            self.layers, parts, self._rows.of_each[len(lengths)], strict=True
        ):
            convolved.append(layer(part, lengths[first : first + count]))
            first += count
        return torch.cat(convolved)


class ModelsSideBySide:
    """The forward pass of models that say that they can (`Classifier.side_by_side`)."""

    def __init__(self, models: Sequence[Classifier]) -> None:
        self.models = list(models)
        self._rows = Rows({})
        # The copy's own weights are never used: every module that has some is replaced.
        self._together = _joined(self.models, self._rows)

    def training_logits(self, batches: Sequence[Sequence[PackedFrames]]) -> list[list[Tensor]]:
        """Of each model what its `training_logits` gives of its batch."""
        return self._compute(batches, lambda model, batch: model.training_logits(*batch))

    def logits(self, batches: Sequence[Sequence[PackedFrames]]) -> list[Tensor]:
        """Of each model its logits [utterances, classes] of its batch."""
        return [only for (only,) in self._compute(batches, lambda model, batch: [model(*batch)])]

    def _compute(
        self,
        batches: Sequence[Sequence[PackedFrames]],
        of: Callable[[Classifier, Sequence[PackedFrames]], list[Tensor]],
    ) -> list[list[Tensor]]:
        rows = Rows.of(batches)
        if len(self.models) == 1 or rows is None:  # rows cannot be told apart: one by one, equal
            return [of(model, batch) for model, batch in zip(self.models, batches, strict=True)]
        self._rows.of_each = rows.of_each
        inputs = [_concatenated(given) for given in zip(*batches, strict=True)]
        counts = [len(batch[0].lengths) for batch in batches]
        parts = [torch.split(logits, counts) for logits in of(self._together, inputs)]
        return [list(own) for own in zip(*parts, strict=True)]

    def train(self, training: bool) -> None:
        """Training or evaluation mode of all."""
        for module in (*self.models, self._together):
            module.train(training)


def _joined(models: Sequence[Classifier], rows: Rows) -> Classifier:
    if len(models) == 1:
        return models[0]
    streams = [m.stream for m in models[0].modules() if isinstance(m, Dropout)]
    joined = copy.deepcopy(models[0], {id(stream): stream for stream in streams})
    for name, module in models[0].named_modules():
        if isinstance(module, (*_ROW_BY_ROW, PackedConvolution)):
            parent, _, own = name.rpartition(".")
            layers = [model.get_submodule(name) for model in models]
            kind = _ConvolutionsSideBySide if isinstance(module, PackedConvolution) else _SideBySide
            setattr(joined.get_submodule(parent), own, kind(layers, rows))
    own_weights = {id(weight) for model in models for weight in model.parameters()}
    strangers = [n for n, weight in joined.named_parameters() if id(weight) not in own_weights]
    if strangers:
        raise RuntimeError(f"{strangers[0]} cannot be computed for several models side by side")
    return joined


def _concatenated(batches: Sequence[PackedFrames]) -> PackedFrames:
    """The batches of all models as one."""
    seconds = [batch.seconds for batch in batches if batch.seconds is not None]
    return PackedFrames(
        torch.cat([batch.frames for batch in batches]),
        [length for batch in batches for length in batch.lengths],
        torch.cat(seconds) if seconds else None,
    )
