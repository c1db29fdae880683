"""Recordings as the rest of the project sees them: 16 kHz, one channel, float32, checked."""

from __future__ import annotations

import errno
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from emoscale.audio.containers import missing_bytes
from emoscale.config.corpus import AudioChecks
from emoscale.config.representations import SAMPLE_RATE as SAMPLE_RATE
from emoscale.runtime.errors import AudioError

Waveform = NDArray[np.float32]
"""[samples] at 16 kHz, full scale 1."""

FORMATS = frozenset({"WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3", "AIFF", "NIST"})
"""libsndfile's names of the containers that are read: those whose truncation can be seen."""

_UNKNOWN_FRAMES = 1 << 62  # libsndfile's answer for a FLAC that was written to a pipe
_BLOCK_SAMPLES = 1 << 20
_MOST_VALUES = 1 << 29  # samples of all channels, 2 GiB; kilobytes of FLAC can decode to more
_RATES = (1_000, 1_000_000)  # Hz; others are a damaged header's, and resampled would fill memory


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

    WAV, FLAC, OGG, MP3, AIFF and NIST SPHERE, through libsndfile. Raises `AudioError` with the
    reason `missing`, `empty`, `unreadable`, `truncated`, `too long` or `outside the file`; or with
    `PASSING_ERROR`, where the disk or the network failed, which says nothing of the recording.
    """
    path = Path(path)
    try:
        if path.stat().st_size == 0:
            raise AudioError("empty", f"{path}: the file has no bytes")
        missing = missing_bytes(path)
        if missing:
            raise AudioError("truncated", f"{path}: ends {missing} bytes before its header says")
        with _StraightFile(path) as file:
            return _read_part(file, path, start, end)
    except FileNotFoundError:
        raise AudioError("missing", f"{path}: there is no such file") from None
    except OSError as error:
        reason = PASSING_ERROR if error.errno in _PASSING else "unreadable"
        raise AudioError(reason, f"{path}: {error.strerror}") from None
    except soundfile.LibsndfileError as error:
        raise AudioError("unreadable", f"{path}: {error.error_string}") from None
    except (soundfile.SoundFileError, TypeError, ValueError) as error:
        # soundfile's own checks, such as of a file that is named .raw, or a name with a zero byte
        raise AudioError("unreadable", f"{path}: {error}") from None


PASSING_ERROR = "not read"
"""Reason of an `AudioError` that is none of the recording's."""

_PASSING = {
    *(errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN),
    *(errno.ENOMEM, errno.EMFILE, errno.ENFILE),
}


class _StraightFile(soundfile.SoundFile):  # type: ignore[misc]
    """Reads straight on: soundfile otherwise seeks after every read, which some files refuse."""

    def seekable(self) -> bool:
        return False


def _read_part(
    file: soundfile.SoundFile, path: Path, start: float | None, end: float | None
) -> Recording:
    if file.format not in FORMATS:
        raise AudioError(
            "unreadable", f"{path}: {file.format} is not read; convert it to WAV or FLAC"
        )
    rate = file.samplerate
    if not _RATES[0] <= rate <= _RATES[1]:
        raise AudioError(
            "unreadable", f"{path}: its header says {rate} samples a second; the file is damaged"
        )
    promised = file.frames if file.frames < _UNKNOWN_FRAMES else None
    if promised == 0:
        raise AudioError("empty", f"{path}: its header says that there are no samples")
    first = 0 if start is None else round(start * rate)
    last = None if end is None else round(end * rate)
    outside = AudioError(
        "outside the file", f"{path}: {start} s to {end} s is not within the recording"
    )
    if first < 0 or (last is not None and last <= first):
        raise outside
    if promised is not None and first >= promised:
        raise outside
    if first and file.format != "MP3" and file.subtype != "GSM610":
        file.seek(first)
    elif first:  # libsndfile cannot seek in GSM, and is not exact in MP3
        _read_until(file, first)
    samples = _read_until(file, None if last is None else last - first)
    there = first + len(samples)
    if promised is not None and there < min(promised, last if last is not None else promised):
        raise AudioError(
            "truncated", f"{path}: its header promises {promised} samples, {there} are there"
        )
    if not len(samples) or (last is not None and there < last - rate // 100):  # rounded times
        raise outside
    return Recording(samples, rate)


def _read_until(file: soundfile.SoundFile, wanted: int | None) -> NDArray[np.float32]:
    """[samples, channels] from where the file stands; block by block, as headers may lie."""
    blocks = [np.empty((0, file.channels), dtype=np.float32)]
    decoded = 0
    most = max(1, _BLOCK_SAMPLES // file.channels)
    while wanted is None or wanted > 0:
        ask = most if wanted is None else min(wanted, most)
        block = file.read(ask, dtype="float32", always_2d=True)
        blocks.append(block)
        if len(block) < ask:
            break
        wanted = None if wanted is None else wanted - len(block)
        decoded += block.size
        if decoded > _MOST_VALUES:
            raise AudioError(
                "too long",
                f"{file.name}: decodes to more than {_MOST_VALUES:,} samples; cut it into shorter "
                "files",
            )
    samples: NDArray[np.float32] = np.concatenate(blocks)
    return samples


def check_recording(recording: Recording, checks: AudioChecks, name: str) -> None:
    """Raise `AudioError` where a recording is not fit for use.

    The reasons are `too short`, `not finite`, `out of range` and `silent`.
    """
    if recording.seconds < checks.minimum_seconds:
        raise AudioError(
            "too short",
            f"{name}: {recording.seconds:.3f} s is less than {checks.minimum_seconds} s",
        )
    largest = float(np.abs(recording.samples).max())
    if not np.isfinite(largest):
        raise AudioError("not finite", f"{name}: some samples are infinite or not a number")
    if largest > checks.maximum_peak:
        raise AudioError(
            "out of range", f"{name}: a sample is {largest:.1e} of full scale; the file is damaged"
        )
    peak = float(np.abs(recording.samples.mean(axis=1)).max())
    if peak <= checks.minimum_peak:
        raise AudioError(
            "silent",
            f"{name}: the largest sample of its channels' mean is {peak:.1e} of full scale",
        )


def read_waveform(
    path: Path | str, start: float | None = None, end: float | None = None
) -> NDArray[np.float32]:
    """[samples] at 16 kHz, one channel: what representations are computed from."""
    return read_recording(path, start, end).waveform()
