"""Weighted cross-entropy and label smoothing against torch, and targets from votes."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
import torch
from torch.nn import CrossEntropyLoss
from torch.nn.functional import one_hot

from emoscale.config.training import TrainingSettings
from emoscale.corpus.votes import VOTE_SHARES_DTYPE
from emoscale.runtime.errors import ConfigurationError
from emoscale.training.targets import (
    WeightedCrossEntropy,
    build_loss,
    class_weights,
    smooth_labels,
    targets_from_votes,
)

CLASSES = 4
GENERATOR = torch.Generator().manual_seed(0)
LOGITS = 3.0 * torch.randn(20, CLASSES, generator=GENERATOR)
LABELS = torch.randint(0, CLASSES, (20,), generator=GENERATOR)
HARD = one_hot(LABELS, CLASSES).float()
SOFT = torch.rand(20, CLASSES, generator=GENERATOR)
SOFT = SOFT / SOFT.sum(dim=1, keepdim=True)
WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 3.0])
UNIFORM = torch.ones(CLASSES)


def test_one_hot_targets_give_the_weighted_cross_entropy_of_torch() -> None:
    expected = CrossEntropyLoss(WEIGHTS)(LOGITS, LABELS)
    torch.testing.assert_close(WeightedCrossEntropy(WEIGHTS)(LOGITS, HARD), expected)


def test_soft_targets_give_the_cross_entropy_of_torch() -> None:
    torch.testing.assert_close(
        WeightedCrossEntropy(UNIFORM)(LOGITS, SOFT), CrossEntropyLoss()(LOGITS, SOFT)
    )


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.7])
def test_label_smoothing_is_that_of_torch(label_smoothing: float) -> None:
    expected = CrossEntropyLoss(label_smoothing=label_smoothing)(LOGITS, LABELS)
    torch.testing.assert_close(
        WeightedCrossEntropy(UNIFORM)(LOGITS, smooth_labels(HARD, label_smoothing)), expected
    )
    torch.testing.assert_close(smooth_labels(SOFT, label_smoothing).sum(dim=1), torch.ones(20))


def test_soft_targets_with_class_weights_equal_several_weighted_hard_targets() -> None:
    """Each probability of each target is the weight of one hard target."""
    rows, labels, weights = [], [], []
    for row, target in zip(LOGITS, SOFT, strict=True):
        for label, probability in enumerate(target):
            rows.append(row)
            labels.append(label)
            weights.append(probability * WEIGHTS[label])
    losses = CrossEntropyLoss(reduction="none")(torch.stack(rows), torch.tensor(labels))
    weight = torch.stack(weights)
    expected = (losses * weight).sum() / weight.sum()
    torch.testing.assert_close(WeightedCrossEntropy(WEIGHTS)(LOGITS, SOFT), expected)


def test_the_loss_is_float32_for_bfloat16_logits() -> None:
    loss = WeightedCrossEntropy(UNIFORM)(LOGITS.bfloat16(), HARD)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, WeightedCrossEntropy(UNIFORM)(LOGITS.bfloat16().float(), HARD))


@pytest.mark.parametrize(
    ("balance", "weights"),
    [("weights", class_weights(HARD)), ("sampling", UNIFORM), ("none", UNIFORM)],
)
def test_class_weights_depend_on_the_settings(balance: Any, weights: torch.Tensor) -> None:
    settings = TrainingSettings(class_balance=balance)
    torch.testing.assert_close(build_loss(HARD, settings).class_weights, weights)


def test_class_weights_equalise_the_total_weight_of_each_class() -> None:
    weighted = (SOFT * class_weights(SOFT)).sum(dim=0)
    torch.testing.assert_close(weighted, torch.full((CLASSES,), 20 / CLASSES))


CLASS_NAMES = ["anger", "joy", "neutral"]
INDEX_OF = {"one": 0, "two": 1, "three": 2}
MAJORITY = one_hot(torch.tensor([0, 1, 2]), 3).float()


def fold(*votes: dict[str, float] | None) -> pl.DataFrame:
    """Return a fold of four utterances, of which one is not in the cell."""
    shares = [
        distribution and [{"label": name, "share": share} for name, share in distribution.items()]
        for distribution in votes
    ]
    keys = ["other", "three", "two", "one"]
    return pl.DataFrame({"utterance": keys, "votes": pl.Series(shares, dtype=VOTE_SHARES_DTYPE)})


def test_votes_replace_the_majority_label_where_they_exist() -> None:
    table = fold({"joy": 1.0}, {"neutral": 0.25, "anger": 0.75}, None, {"joy": 0.4, "anger": 0.6})
    soft_targets = targets_from_votes(MAJORITY, INDEX_OF, table, CLASS_NAMES)
    expected = torch.tensor([[0.6, 0.4, 0.0], [0.0, 1.0, 0.0], [0.75, 0.0, 0.25]])
    torch.testing.assert_close(soft_targets, expected)
    assert torch.equal(MAJORITY, one_hot(torch.tensor([0, 1, 2]), 3).float())


def test_a_fold_without_votes_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match=r"no utterance .* set training.targets to major"):
        targets_from_votes(MAJORITY, INDEX_OF, fold(None, None, None, None), CLASS_NAMES)
