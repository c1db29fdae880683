"""Prefetching of utterances."""

from __future__ import annotations

import threading
import time

import pytest

from emoscale.audio.utterances import prefetch


def test_items_come_in_order_and_are_read_in_advance() -> None:
    started: list[int] = []

    def read(item: int) -> int:
        started.append(item)
        return item * item

    results = []
    for item, result in prefetch(range(6), read, buffer_size=2):
        deadline = time.monotonic() + 5
        while len(started) < min(item + 3, 6) and time.monotonic() < deadline:
            time.sleep(0.001)
        assert started == list(range(min(item + 3, 6)))  # exactly two in advance
        results.append((item, result))
    assert results == [(item, item * item) for item in range(6)]


def test_errors_are_raised_in_order() -> None:
    def fail_at_two(item: int) -> int:
        if item == 2:
            raise ValueError("two")
        return item

    results = prefetch(range(5), fail_at_two)
    assert [next(results), next(results)] == [(0, 0), (1, 1)]
    with pytest.raises(ValueError, match="two"):
        next(results)


def test_stopping_early_ends_the_thread() -> None:
    before = threading.active_count()
    for _ in prefetch(range(100), lambda item: item):
        break
    assert threading.active_count() == before
