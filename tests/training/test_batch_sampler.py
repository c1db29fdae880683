"""Passes, shuffling and class balance of the batch sampler."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emoscale.training.batch_sampler import BatchSampler

INDICES = torch.tensor([3, 1, 4, 15, 9, 2, 6, 5, 35, 8])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def take_batches(sampler: BatchSampler, batches: int, batch_size: int) -> list[list[int]]:
    return [sampler.next_batch(batch_size).tolist() for _ in range(batches)]


@given(size=st.integers(1, 30), batch_size=st.integers(1, 12), seed=st.integers(0, 5))
def test_each_pass_contains_every_utterance_once(size: int, batch_size: int, seed: int) -> None:
    indices = torch.arange(size) * 7
    sampler = BatchSampler(indices, generator(seed))
    for _ in range(3):
        sampled: list[int] = []
        sizes = []
        while len(sampled) < size:
            batch = sampler.next_batch(batch_size).tolist()
            sizes.append(len(batch))
            sampled += batch
        assert sorted(sampled) == indices.tolist()
        assert set(sizes[:-1]) <= {batch_size}  # only the last batch of a pass may be smaller


def test_each_pass_is_shuffled_by_the_generator() -> None:
    sampler = BatchSampler(INDICES, generator())
    passes = take_batches(sampler, 4, len(INDICES))
    assert len({tuple(batch) for batch in passes}) == 4
    assert passes == take_batches(BatchSampler(INDICES, generator()), 4, len(INDICES))
    assert passes != take_batches(BatchSampler(INDICES, generator(1)), 4, len(INDICES))


@pytest.mark.parametrize("classes", [None, torch.arange(10) % 3])
def test_a_subset_smaller_than_a_batch_is_one_batch(classes: torch.Tensor | None) -> None:
    sampler = BatchSampler(INDICES, generator(), classes)
    for _ in range(5):
        assert len(sampler.next_batch(64)) == len(INDICES)
    if classes is None:
        assert sorted(sampler.next_batch(64).tolist()) == sorted(INDICES.tolist())


@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=40),
    batch_size=st.integers(1, 16),
    seed=st.integers(0, 5),
)
def test_batches_are_balanced_and_classes_are_passed_over_separately(
    labels: list[int], batch_size: int, seed: int
) -> None:
    sampler = BatchSampler(torch.arange(len(labels)), generator(seed), torch.tensor(labels))
    present = sorted(set(labels))
    batches = take_batches(sampler, 30, batch_size)
    sampled: list[int] = []
    for batch in batches:
        if len(present) > 1:
            assert len(batch) == min(batch_size, len(labels))
            counts = Counter(labels[index] for index in batch)
            assert max(counts.values()) - min(counts[name] for name in present) <= 1
        sampled += batch
    for name in present:
        of_class = [index for index in sampled if labels[index] == name]
        size = labels.count(name)
        for start in range(0, len(of_class) - size + 1, size):  # one pass over the class
            assert len(set(of_class[start : start + size])) == size


def test_turns_of_classes_continue_from_batch_to_batch() -> None:
    """A batch size that is not a multiple of the number of classes favours none of them."""
    classes = torch.arange(12) % 3
    sampler = BatchSampler(torch.arange(12), generator(), classes)
    sampled = [index for batch in take_batches(sampler, 60, 4) for index in batch]
    assert Counter(int(classes[index]) for index in sampled) == {0: 80, 1: 80, 2: 80}
