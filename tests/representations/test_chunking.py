"""Overlapping chunks of long utterances."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from emoscale.representations.chunking import half_overlapping_chunks


@given(st.integers(1, 300), st.integers(1, 60))
def test_each_frame_is_used_once_from_the_chunk_with_the_nearest_centre(
    length: int, max_length: int
) -> None:
    chunks = half_overlapping_chunks(length, max_length)
    used = [frame for chunk in chunks for frame in range(chunk.first, chunk.last)]
    assert used == list(range(length))
    assert all(chunk.stop - chunk.start == min(length, max_length) for chunk in chunks)
    for chunk in chunks:
        for frame in range(chunk.first, chunk.last):
            nearest = min(abs(2 * frame + 1 - each.start - each.stop) for each in chunks)
            assert abs(2 * frame + 1 - chunk.start - chunk.stop) == nearest


@given(st.integers(1, 300), st.integers(2, 60))
def test_adjacent_chunks_overlap_by_at_least_half(length: int, max_length: int) -> None:
    chunks = half_overlapping_chunks(length, max_length)
    for previous, following in itertools.pairwise(chunks):
        assert previous.start < following.start
        assert 2 * (previous.stop - following.start) >= max_length
