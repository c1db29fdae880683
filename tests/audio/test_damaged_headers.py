"""Whatever a header says: samples, or a sentence; it costs neither memory nor time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from emoscale.audio.decoding import check_recording, read_recording
from emoscale.config.corpus import AudioChecks
from tests.damage import damaged_bytes, is_read

FORMS = {
    "wav": ("WAV", "PCM_16"),
    "wavex": ("WAVEX", "FLOAT"),
    "rf64": ("RF64", "PCM_24"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "aiff": ("AIFF", "PCM_16"),
    "sph": ("NIST", "PCM_16"),
}


def read(path: Path) -> None:
    recording = read_recording(path)
    check_recording(recording, AudioChecks(), path.name)
    recording.waveform()
    recording.sha256()
    read_recording(path, 0.1, 0.2)


@pytest.mark.parametrize("form", FORMS)
def test_damaged_headers(tmp_path: Path, form: str) -> None:
    container, subtype = FORMS[form]
    path = tmp_path / f"tone.{form}"
    tone = 0.3 * np.sin(np.arange(4_000) / 6)
    soundfile.write(path, np.stack([tone] * 2, axis=1), 16_000, subtype, format=container)
    whole = path.read_bytes()
    read(path)
    near = damaged_bytes(whole, 1100 if form == "sph" else 96)

    @settings(max_examples=60)
    @given(content=near | damaged_bytes(whole), nothing=st.sampled_from([0, 0, 0, 0, 1 << 22]))
    def read_damaged(content: bytes, nothing: int) -> None:
        path.write_bytes(content)
        if nothing:  # much of it, which costs no room on the disk
            with open(path, "r+b") as file:
                file.truncate(nothing)
        is_read(tmp_path, lambda: read(path), [path.name])

    read_damaged()
