"""What a training is told: a distribution over classes for each utterance, and what it weighs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl
import torch
from torch import Tensor

from emoscale.config.training import TrainingSettings
from emoscale.runtime.errors import ConfigurationError


@dataclass(frozen=True)
class Loss:
    """Weighted cross-entropy with targets that are distributions.

    The weight of an utterance is its target's mean class weight; the loss is a weighted mean, so
    that with targets of one class it is torch's `CrossEntropyLoss(weight)`.
    """

    class_weights: Tensor
    """[classes]"""

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The loss, in nats, of logits and targets [utterances, classes]."""
        weighted = targets * self.class_weights
        return -(weighted * logits.float().log_softmax(dim=1)).sum() / weighted.sum()


def class_weights(targets: Tensor) -> Tensor:
    """[classes] under which each class counts the same, of the targets [utterances, classes].

    0 for a class that is absent.

    >>> class_weights(torch.tensor([[1.0, 0.0, 0.0]] * 3 + [[0.0, 1.0, 0.0]])).tolist()
    [0.6666666865348816, 2.0, 0.0]
    """
    counts = targets.double().sum(dim=0)
    present = int((counts > 0).sum())
    weights = torch.where(counts > 0, counts.sum() / (present * counts.clamp(min=1e-12)), 0.0)
    return weights.float()


def loss_for(targets: Tensor, settings: TrainingSettings) -> Loss:
    """The loss of a training on utterances with these targets [utterances, classes]."""
    if settings.class_balance == "weights":
        return Loss(class_weights(targets))
    return Loss(torch.ones(targets.shape[1], device=targets.device))


def smoothed(targets: Tensor, share: float) -> Tensor:
    """Targets with a `share` of them spread evenly over the classes (Szegedy et al. 2016)."""
    return targets if share == 0.0 else (1.0 - share) * targets + share / targets.shape[1]


def voted_targets(
    targets: Tensor, index_of: Mapping[str, int], fold: pl.DataFrame, classes: Sequence[str]
) -> Tensor:
    """Targets [utterances, classes] with the raters' shares where the fold's table has some.

    Raises `ConfigurationError` where it has none at all.
    """
    voted = targets.clone()
    shared = fold.select("utterance", "votes").drop_nulls()
    if not len(shared):
        raise ConfigurationError(
            "training.targets is votes, and no utterance of this fold has a rater's vote for one of "
            "the study's classes; set training.targets to majority"
        )
    for key, shares in shared.iter_rows():
        if key in index_of:
            given = {share["label"]: share["share"] for share in shares}
            voted[index_of[key]] = torch.tensor([given.get(name, 0.0) for name in classes])
    return voted
