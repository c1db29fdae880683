"""In which order a training meets its utterances."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emoscale.training.order import Order

PLACES = torch.tensor([3, 1, 4, 15, 9, 2, 6, 5, 35, 8])


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(order: Order, batches: int, count: int) -> list[list[int]]:
    return [order.next(count).tolist() for _ in range(batches)]


@given(size=st.integers(1, 30), count=st.integers(1, 12), seed=st.integers(0, 5))
def test_each_pass_meets_every_utterance_once(size: int, count: int, seed: int) -> None:
    indices = torch.arange(size) * 7
    order = Order(indices, stream(seed))
    for _ in range(3):
        met: list[int] = []
        sizes = []
        while len(met) < size:
            batch = order.next(count).tolist()
            sizes.append(len(batch))
            met += batch
        assert sorted(met) == indices.tolist()
        assert set(sizes[:-1]) <= {count}  # only the last is smaller


def test_passes_are_shuffled_anew_and_follow_the_generator() -> None:
    order = Order(PLACES, stream())
    passes = draw(order, 4, len(PLACES))
    assert len({tuple(each) for each in passes}) == 4
    assert passes == draw(Order(PLACES, stream()), 4, len(PLACES))
    assert passes != draw(Order(PLACES, stream(1)), 4, len(PLACES))


@pytest.mark.parametrize("classes", [None, torch.arange(10) % 3])
def test_of_a_subset_smaller_than_a_batch_all_is_taken(classes: torch.Tensor | None) -> None:
    order = Order(PLACES, stream(), classes)
    for _ in range(5):
        assert len(order.next(64)) == len(PLACES)
    if classes is None:
        assert sorted(order.next(64).tolist()) == sorted(PLACES.tolist())


@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=40),
    count=st.integers(1, 16),
    seed=st.integers(0, 5),
)
def test_classes_take_turns_and_each_is_passed_over_by_itself(
    labels: list[int], count: int, seed: int
) -> None:
    order = Order(torch.arange(len(labels)), stream(seed), torch.tensor(labels))
    present = sorted(set(labels))
    batches = draw(order, 30, count)
    met: list[int] = []
    for batch in batches:
        if len(present) > 1:
            assert len(batch) == min(count, len(labels))
            counts = Counter(labels[index] for index in batch)
            assert max(counts.values()) - min(counts[name] for name in present) <= 1
        met += batch
    for name in present:
        own = [index for index in met if labels[index] == name]
        size = labels.count(name)
        for first in range(0, len(own) - size + 1, size):  # nobody twice before all were once
            assert len(set(own[first : first + size])) == size


def test_turns_go_on_from_batch_to_batch() -> None:
    """Batches that the classes do not divide do not favour the first of them."""
    classes = torch.arange(12) % 3
    order = Order(torch.arange(12), stream(), classes)
    met = [index for batch in draw(order, 60, 4) for index in batch]
    assert Counter(int(classes[index]) for index in met) == {0: 80, 1: 80, 2: 80}
