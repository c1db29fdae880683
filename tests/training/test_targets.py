"""The loss against torch's, and targets from the raters' votes."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
import torch
from torch.nn import CrossEntropyLoss
from torch.nn.functional import one_hot

from emoscale.config.training import TrainingSettings
from emoscale.corpus.votes import SHARES
from emoscale.runtime.errors import ConfigurationError
from emoscale.training.targets import Loss, class_weights, loss_for, smoothed, voted_targets

CLASSES = 4
GENERATOR = torch.Generator().manual_seed(0)
LOGITS = 3.0 * torch.randn(20, CLASSES, generator=GENERATOR)
LABELS = torch.randint(0, CLASSES, (20,), generator=GENERATOR)
HARD = one_hot(LABELS, CLASSES).float()
SOFT = torch.rand(20, CLASSES, generator=GENERATOR)
SOFT = SOFT / SOFT.sum(dim=1, keepdim=True)
WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 3.0])
EVEN = torch.ones(CLASSES)


def test_of_one_class_it_is_torchs_weighted_cross_entropy() -> None:
    expected = CrossEntropyLoss(WEIGHTS)(LOGITS, LABELS)
    torch.testing.assert_close(Loss(WEIGHTS)(LOGITS, HARD), expected)


def test_of_distributions_it_is_torchs_cross_entropy() -> None:
    torch.testing.assert_close(Loss(EVEN)(LOGITS, SOFT), CrossEntropyLoss()(LOGITS, SOFT))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.7])
def test_smoothing_is_torchs(share: float) -> None:
    expected = CrossEntropyLoss(label_smoothing=share)(LOGITS, LABELS)
    torch.testing.assert_close(Loss(EVEN)(LOGITS, smoothed(HARD, share)), expected)
    torch.testing.assert_close(smoothed(SOFT, share).sum(dim=1), torch.ones(20))


def test_a_weighted_distribution_is_a_weighted_mean_over_its_classes() -> None:
    """Each class's part of each target is one hard target of that weight."""
    rows, labels, parts = [], [], []
    for row, target in zip(LOGITS, SOFT, strict=True):
        for label, share in enumerate(target):
            rows.append(row)
            labels.append(label)
            parts.append(share * WEIGHTS[label])
    each = CrossEntropyLoss(reduction="none")(torch.stack(rows), torch.tensor(labels))
    weight = torch.stack(parts)
    expected = (each * weight).sum() / weight.sum()
    torch.testing.assert_close(Loss(WEIGHTS)(LOGITS, SOFT), expected)


def test_the_loss_is_in_float32_whatever_the_logits_are() -> None:
    loss = Loss(EVEN)(LOGITS.bfloat16(), HARD)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, Loss(EVEN)(LOGITS.bfloat16().float(), HARD))


@pytest.mark.parametrize(
    ("balance", "weights"), [("weights", class_weights(HARD)), ("sampling", EVEN), ("none", EVEN)]
)
def test_classes_weigh_the_same_only_where_asked(balance: Any, weights: torch.Tensor) -> None:
    settings = TrainingSettings(class_balance=balance)
    torch.testing.assert_close(loss_for(HARD, settings).class_weights, weights)


def test_weights_of_soft_targets_make_the_classes_shares_equal() -> None:
    weighted = (SOFT * class_weights(SOFT)).sum(dim=0)
    torch.testing.assert_close(weighted, torch.full((CLASSES,), 20 / CLASSES))


NAMES = ["anger", "joy", "neutral"]
PLACES = {"one": 0, "two": 1, "three": 2}
MAJORITY = one_hot(torch.tensor([0, 1, 2]), 3).float()


def fold(*votes: dict[str, float] | None) -> pl.DataFrame:
    """A fold of four utterances, of which one is not in the cell."""
    shares = [
        given and [{"label": name, "share": share} for name, share in given.items()]
        for given in votes
    ]
    keys = ["other", "three", "two", "one"]
    return pl.DataFrame({"utterance": keys, "votes": pl.Series(shares, dtype=SHARES)})


def test_votes_take_the_place_of_the_majority_where_there_are_some() -> None:
    table = fold({"joy": 1.0}, {"neutral": 0.25, "anger": 0.75}, None, {"joy": 0.4, "anger": 0.6})
    voted = voted_targets(MAJORITY, PLACES, table, NAMES)
    expected = torch.tensor([[0.6, 0.4, 0.0], [0.0, 1.0, 0.0], [0.75, 0.0, 0.25]])
    torch.testing.assert_close(voted, expected)
    assert torch.equal(MAJORITY, one_hot(torch.tensor([0, 1, 2]), 3).float())


def test_votes_where_the_corpus_has_none_are_a_sentence() -> None:
    with pytest.raises(ConfigurationError, match=r"no utterance .* set training.targets to major"):
        voted_targets(MAJORITY, PLACES, fold(None, None, None, None), NAMES)
