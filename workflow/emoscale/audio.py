"""Recordings as the rest of the project sees them: 16 kHz, one channel, float32, checked."""

from __future__ import annotations

import hashlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from emoscale.config.corpus import AudioChecks
from emoscale.errors import AudioError

SAMPLE_RATE = 16_000
"""Hz; what every representation is given."""

_UNKNOWN_LENGTH = {0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF}  # what writers to a pipe leave behind


@dataclass(frozen=True)
class Recording:
    """The samples of one utterance as its file holds them."""

    samples: NDArray[np.float32]
    """[samples, channels], full scale 1."""

    sample_rate: int
    """Hz."""

    @property
    def seconds(self) -> float:
        """Duration."""
        return len(self.samples) / self.sample_rate

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.samples.shape[1])

    def sha256(self) -> str:
        """Digest of the samples, their rate and channels; header and name do not count."""
        state = hashlib.sha256(f"{self.sample_rate} {self.channels} ".encode())
        state.update(np.ascontiguousarray(self.samples, dtype="<f4").tobytes())
        return state.hexdigest()

    def waveform(self) -> NDArray[np.float32]:
        """[samples] at 16 kHz: channels averaged, then resampled."""
        mono = self.samples.mean(axis=1, dtype=np.float32)
        if self.sample_rate != SAMPLE_RATE:
            mono = soxr.resample(mono, self.sample_rate, SAMPLE_RATE, quality="VHQ")
        return np.ascontiguousarray(mono, dtype=np.float32)


def read_recording(
    path: Path | str, start: float | None = None, end: float | None = None
) -> Recording:
    """Decode a file, or the part of it from `start` to `end` (seconds).

    Any format that libsndfile knows (WAV, FLAC, OGG, MP3, NIST SPHERE, AIFF). Raises `AudioError`
    with the reason `missing`, `empty`, `unreadable`, `truncated` or `outside the file`.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise AudioError("missing", f"{path}: there is no such file") from None
    except OSError as error:
        raise AudioError("unreadable", f"{path}: {error.strerror}") from None
    if size == 0:
        raise AudioError("empty", f"{path}: the file has no bytes")
    try:
        _check_riff_is_whole(path)
        with soundfile.SoundFile(path) as file:
            promised, rate = file.frames, file.samplerate
            first = 0 if start is None else round(start * rate)
            last = promised if end is None else round(end * rate)
            if not 0 <= first < max(last, 1) or last > promised + rate // 100:
                raise AudioError(
                    "outside the file",
                    f"{path}: {start} s to {end} s is not within its {promised / rate:.3f} s",
                )
            last = min(last, promised)
            file.seek(first)
            samples = file.read(last - first, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError("unreadable", f"{path}: {error.error_string}") from None
    except OSError as error:
        raise AudioError("unreadable", f"{path}: {error.strerror}") from None
    if promised == 0:
        raise AudioError("empty", f"{path}: the file has a header and no samples")
    if len(samples) < last - first:
        raise AudioError(
            "truncated",
            f"{path}: the header promises {promised} samples, {first + len(samples)} are there",
        )
    return Recording(samples, rate)


def check_recording(recording: Recording, checks: AudioChecks, name: str) -> None:
    """Raise `AudioError` (`too short`, `not finite`, `silent`) for a recording not fit for use."""
    if recording.seconds < checks.minimum_seconds:
        raise AudioError(
            "too short",
            f"{name}: {recording.seconds:.3f} s is less than {checks.minimum_seconds} s",
        )
    if not np.isfinite(recording.samples).all():
        raise AudioError("not finite", f"{name}: some samples are infinite or not a number")
    peak = float(np.abs(recording.samples.mean(axis=1)).max())
    if peak <= checks.silence_peak:
        raise AudioError(
            "silent",
            f"{name}: the largest sample of its channels' mean is {peak:.1e} of full scale",
        )


def read_waveform(
    path: Path | str, start: float | None = None, end: float | None = None
) -> NDArray[np.float32]:
    """[samples] at 16 kHz, one channel: what representations are computed from."""
    return read_recording(path, start, end).waveform()


def _check_riff_is_whole(path: Path) -> None:
    """libsndfile reads a cut-off WAV without complaint, so compare its promise with its size."""
    with open(path, "rb") as file:
        header = file.read(12)
        if len(header) < 12 or header[:4] != b"RIFF" or header[8:] != b"WAVE":
            return
        promised = _riff_data_bytes(file)
        if promised is None or promised in _UNKNOWN_LENGTH:
            return
        there = os.fstat(file.fileno()).st_size - file.tell()
        if there < promised:
            raise AudioError(
                "truncated",
                f"{path}: the header promises {promised} bytes of samples, {there} are there",
            )


def _riff_data_bytes(file: BinaryIO) -> int | None:
    """Size that the `data` chunk claims, the file left at its first byte; None: no such chunk."""
    while len(head := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", head)
        if name == b"data":
            return int(size)
        file.seek(size + size % 2, os.SEEK_CUR)
    return None
