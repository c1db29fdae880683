from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emoscale.config.representations import WaveformSettings
from emoscale.representations.registry import build_representation

RAW = build_representation(WaveformSettings(kind="waveform"))


@given(st.lists(st.integers(-32_767, 32_767), min_size=1, max_size=200))
def test_sixteen_bits_come_back_to_the_bit(samples: list[int]) -> None:
    waveform = (np.array(samples, dtype=np.float64) / 32_767).astype(np.float32)
    (frames,) = RAW.extract([waveform])
    assert frames.dtype == np.int16
    assert frames[:, 0].tolist() == samples


def test_what_is_too_loud_is_clipped() -> None:
    (frames,) = RAW.extract([np.array([1.5, -1.5, 0.0], dtype=np.float32)])
    assert frames[:, 0].tolist() == [32_767, -32_767, 0]
    assert (RAW.dimension, RAW.frame_rate) == (1, 16_000.0)
