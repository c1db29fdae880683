"""The windows of long utterances."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from emoscale.representations.windows import half_overlapping_windows


@given(st.integers(1, 300), st.integers(1, 60))
def test_each_frame_is_kept_once_from_the_window_in_whose_middle_it_lies(
    length: int, longest: int
) -> None:
    windows = half_overlapping_windows(length, longest)
    kept = [frame for window in windows for frame in range(window.first, window.last)]
    assert kept == list(range(length))
    assert all(window.stop - window.start == min(length, longest) for window in windows)
    for window in windows:
        for frame in range(window.first, window.last):
            nearest = min(abs(2 * frame + 1 - w.start - w.stop) for w in windows)
            assert abs(2 * frame + 1 - window.start - window.stop) == nearest


@given(st.integers(1, 300), st.integers(2, 60))
def test_neighbours_share_at_least_half(length: int, longest: int) -> None:
    windows = half_overlapping_windows(length, longest)
    for before, after in itertools.pairwise(windows):
        assert before.start < after.start
        assert 2 * (before.stop - after.start) >= longest
