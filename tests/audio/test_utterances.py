from __future__ import annotations

import threading
import time

import pytest

from emoscale.audio.utterances import read_ahead


def test_everything_comes_in_order_and_is_read_in_advance() -> None:
    read: list[int] = []

    def slowly(item: int) -> int:
        read.append(item)
        return item * item

    seen = []
    for item, result in read_ahead(range(6), slowly, ahead=2):
        deadline = time.monotonic() + 5
        while len(read) < min(item + 3, 6) and time.monotonic() < deadline:
            time.sleep(0.001)
        assert read == list(range(min(item + 3, 6)))  # two more, and no more than two
        seen.append((item, result))
    assert seen == [(item, item * item) for item in range(6)]


def test_an_error_comes_in_its_turn() -> None:
    def refuse_two(item: int) -> int:
        if item == 2:
            raise ValueError("two")
        return item

    results = read_ahead(range(5), refuse_two)
    assert [next(results), next(results)] == [(0, 0), (1, 1)]
    with pytest.raises(ValueError, match="two"):
        next(results)


def test_stopping_early_leaves_no_thread() -> None:
    before = threading.active_count()
    for _ in read_ahead(range(100), lambda item: item):
        break
    assert threading.active_count() == before
