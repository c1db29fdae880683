"""Sound files: headers above all, since they say how much is to be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import soundfile

from emoscale.audio.decoding import check_recording, read_recording
from emoscale.config.corpus import AudioChecks
from tests.fuzz.damage import change_file
from tests.fuzz.kind import Kind

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
RATE, CHANNELS = 16_000, 2


def _make(form: str) -> Callable[[Path], None]:
    container, subtype = FORMS[form]

    def make(folder: Path) -> None:
        time = np.arange(RATE // 2) / RATE
        tone = 0.3 * np.sin(2 * np.pi * 440 * time)
        samples = np.stack([tone] * CHANNELS, axis=1)
        soundfile.write(folder / f"tone.{form}", samples, RATE, subtype, format=container)

    return make


def _change(form: str) -> Callable[[Path, Random], None]:
    change_header = change_file("tone.*", head=1100 if form == "sph" else 96)

    def change(folder: Path, random: Random) -> None:
        change_header(folder, random)
        if random.random() < 0.05:  # and much of nothing, which costs no room on the disk
            with open(folder / f"tone.{form}", "r+b") as file:
                file.truncate(random.choice((1 << 20, 1 << 26)))

    return change


def _read(folder: Path) -> None:
    (path,) = folder.glob("tone.*")
    recording = read_recording(path)
    check_recording(recording, AudioChecks(), path.name)
    recording.waveform()
    recording.sha256()
    read_recording(path, 0.1, 0.2)


SOUNDS = [Kind(form, _make(form), _change(form), _read) for form in FORMS]
