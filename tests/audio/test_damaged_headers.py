"""Damaged audio headers are decoded or refused with a message, at bounded memory and time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from emoscale.audio.decoding import check_recording, read_recording
from emoscale.config.corpus import AudioChecks
from tests.damage import check_reading, damaged_bytes

CONTAINERS = {
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


@pytest.mark.parametrize("extension", CONTAINERS)
def test_damaged_headers(tmp_path: Path, extension: str) -> None:
    container, subtype = CONTAINERS[extension]
    path = tmp_path / f"tone.{extension}"
    tone = 0.3 * np.sin(np.arange(4_000) / 6)
    soundfile.write(path, np.stack([tone] * 2, axis=1), 16_000, subtype, format=container)
    intact = path.read_bytes()
    read(path)
    header_damage = damaged_bytes(intact, 1100 if extension == "sph" else 96)

    @settings(max_examples=60)
    @given(
        content=header_damage | damaged_bytes(intact),
        sparse_bytes=st.sampled_from([0, 0, 0, 0, 1 << 22]),
    )
    def read_damaged(content: bytes, sparse_bytes: int) -> None:
        path.write_bytes(content)
        if sparse_bytes:  # a large sparse file, which takes no disk space
            with open(path, "r+b") as file:
                file.truncate(sparse_bytes)
        check_reading(tmp_path, lambda: read(path), [path.name])

    read_damaged()
