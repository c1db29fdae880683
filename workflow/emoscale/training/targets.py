"""Target distributions over the classes, label smoothing, and weighted cross-entropy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from emoscale.runtime.errors import ConfigurationError

if TYPE_CHECKING:
    import polars as pl

    from emoscale.config.training import TrainingSettings


@dataclass(frozen=True)
class WeightedCrossEntropy:
    """Weighted cross-entropy loss for targets that are distributions (soft labels).

    An utterance is weighted by the mean class weight of its target, and the loss is a weighted
    mean. With one-hot targets it equals torch's `CrossEntropyLoss(weight)`.
    """

    class_weights: Tensor
    """Weights ``[classes]``."""

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss.

        Parameters
        ----------
        logits : Tensor
            Logits ``[utterances, classes]``, of any floating type.
        targets : Tensor
            Target distributions ``[utterances, classes]``.

        Returns
        -------
        Tensor
            Scalar loss in nats, float32.
        """
        weighted = targets * self.class_weights
        return -(weighted * logits.float().log_softmax(dim=1)).sum() / weighted.sum()


def class_weights(targets: Tensor) -> Tensor:
    """Compute class weights that are inversely proportional to class frequencies.

    They are those of scikit-learn's ``class_weight="balanced"`` over the classes that occur.

    Parameters
    ----------
    targets : Tensor
        Target distributions ``[utterances, classes]`` of the training subset.

    Returns
    -------
    Tensor
        Class weights ``[classes]``; 0 for a class that does not occur.

    Examples
    --------
    >>> class_weights(torch.tensor([[1.0, 0.0, 0.0]] * 3 + [[0.0, 1.0, 0.0]])).tolist()
    [0.6666666865348816, 2.0, 0.0]
    """
    counts = targets.double().sum(dim=0)
    present = int((counts > 0).sum())
    weights = torch.where(counts > 0, counts.sum() / (present * counts.clamp(min=1e-12)), 0.0)
    return weights.float()


def build_loss(targets: Tensor, settings: TrainingSettings) -> WeightedCrossEntropy:
    """Return the loss of a training.

    Parameters
    ----------
    targets : Tensor
        Target distributions ``[utterances, classes]`` of the training subset.
    settings : TrainingSettings
        Their `class_balance` decides whether classes are weighted.

    Returns
    -------
    WeightedCrossEntropy
        The loss.
    """
    if settings.class_balance == "weights":
        return WeightedCrossEntropy(class_weights(targets))
    return WeightedCrossEntropy(torch.ones(targets.shape[1], device=targets.device))


def smooth_labels(targets: Tensor, label_smoothing: float) -> Tensor:
    """Apply label smoothing: mix targets with the uniform distribution.

    Parameters
    ----------
    targets : Tensor
        Target distributions ``[utterances, classes]``.
    label_smoothing : float
        Weight of the uniform distribution, from 0 to 1.

    Returns
    -------
    Tensor
        Smoothed targets ``[utterances, classes]``.

    References
    ----------
    C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna, "Rethinking the Inception Architecture
    for Computer Vision", CVPR 2016.
    """
    if label_smoothing == 0.0:
        return targets
    return (1.0 - label_smoothing) * targets + label_smoothing / targets.shape[1]


def targets_from_votes(
    targets: Tensor, index_of: Mapping[str, int], fold: pl.DataFrame, classes: Sequence[str]
) -> Tensor:
    """Replace targets by the raters' vote shares, for utterances that have votes.

    Parameters
    ----------
    targets : Tensor
        One-hot targets ``[utterances, classes]``; they stay for utterances without votes.
    index_of : mapping of str to int
        Index of each utterance in `targets`.
    fold : DataFrame
        Protocol table of the fold.
    classes : sequence of str
        Names of the classes.

    Returns
    -------
    Tensor
        New targets ``[utterances, classes]``.

    Raises
    ------
    ConfigurationError
        Where no utterance of the fold has votes.
    """
    soft_targets = targets.clone()
    votes = fold.select("utterance", "votes").drop_nulls()
    if not len(votes):
        raise ConfigurationError(
            "training.targets is votes, but no utterance of this fold has a rater's vote for one "
            "of the study's classes; set training.targets to majority"
        )
    for key, vote_shares in votes.iter_rows():
        if key in index_of:
            share_of = {vote["label"]: vote["share"] for vote in vote_shares}
            soft_targets[index_of[key]] = torch.tensor(
                [share_of.get(name, 0.0) for name in classes]
            )
    return soft_targets
