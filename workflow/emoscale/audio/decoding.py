"""Decoding and validation of recordings, and their conversion to 16 kHz mono float32."""

from __future__ import annotations

import errno
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from emoscale.audio import media
from emoscale.audio.containers import is_lfs_pointer, media_container, missing_bytes
from emoscale.audio.waveform import SAMPLE_RATE
from emoscale.config.corpus import AudioChecks
from emoscale.runtime.errors import AudioError

FORMATS = frozenset({"WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3", "AIFF", "NIST"})
"""Supported containers by libsndfile's names: those whose truncation can be detected."""

SUFFIXES = (
    *(".aif", ".aiff", ".flac", ".mp3", ".nist", ".oga", ".ogg", ".opus", ".sph", ".wav"),
    *media.SUFFIXES,
)
"""Suffixes (in any case) of the files that a search in a folder finds."""

_UNKNOWN_LENGTH = 1 << 62  # libsndfile's length of a FLAC file that was written to a pipe
_BLOCK_VALUES = 1 << 20
_MAX_VALUES = 1 << 29  # samples of all channels, 2 GiB; kilobytes of FLAC can decode to more
_SAMPLE_RATE_RANGE = (1_000, 1_000_000)  # Hz; others are damaged headers and would fill memory


@dataclass(frozen=True)
class Recording:
    """Decoded samples of one utterance at the file's sample rate."""

    samples: NDArray[np.float32]
    """Samples ``[samples, channels]``, full scale 1."""

    sample_rate: int
    """Sample rate, Hz."""

    @property
    def seconds(self) -> float:
        """Duration, seconds."""
        return len(self.samples) / self.sample_rate

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.samples.shape[1])

    def sha256(self) -> str:
        """Return the sha256 of samples, sample rate and number of channels.

        The file's header and name do not count.
        """
        state = hashlib.sha256(f"{self.sample_rate} {self.channels} ".encode())
        state.update(np.ascontiguousarray(self.samples, dtype="<f4").tobytes())
        return state.hexdigest()

    def waveform(self) -> NDArray[np.float32]:
        """Return the waveform ``[samples]`` at 16 kHz: channels averaged, then resampled."""
        mono = self.samples.mean(axis=1, dtype=np.float32)
        if self.sample_rate != SAMPLE_RATE:
            mono = soxr.resample(mono, self.sample_rate, SAMPLE_RATE, quality="VHQ")
        return np.ascontiguousarray(mono, dtype=np.float32)


def read_recording(
    path: Path | str, start: float | None = None, end: float | None = None
) -> Recording:
    """Decode an audio file, or a span of it, with libsndfile or, from video, with FFmpeg.

    Parameters
    ----------
    path : Path or str
        WAV, FLAC, OGG, MP3, AIFF, NIST SPHERE, MP4, M4A, WebM or Matroska file.
    start : float or None
        Start of the span, seconds; None: the start of the file.
    end : float or None
        End of the span, seconds; None: the end of the file.

    Returns
    -------
    Recording
        Samples at the file's sample rate.

    Raises
    ------
    AudioError
        If the recording cannot be used, with the reason `missing`, `empty`, `unreadable`,
        `not downloaded`, `no audio`, `truncated`, `too long` or `outside the file`; or with the
        reason `TRANSIENT_ERROR` if the disk or the network failed.
    UserError
        If the file is MP4, M4A, WebM or Matroska, and PyAV is not installed.
    """
    path = Path(path)
    try:
        if path.stat().st_size == 0:
            raise AudioError("empty", f"{path}: the file is empty (0 bytes)")
        if is_lfs_pointer(path):
            raise AudioError(
                "not downloaded",
                f"{path}: is a Git LFS pointer, not the recording; run git lfs pull in the folder",
            )
        missing = missing_bytes(path)
        if missing:
            raise AudioError(
                "truncated", f"{path}: the file is {missing} bytes shorter than its header states"
            )
        container = media_container(path)
        if container is not None:
            return _read_media_span(path, container, start, end)
        with _SequentialSoundFile(path) as file:
            return _read_span(file, path, start, end)
    except FileNotFoundError:
        raise AudioError("missing", f"{path}: no such file") from None
    except OSError as error:
        reason = TRANSIENT_ERROR if error.errno in _TRANSIENT_ERRNOS else "unreadable"
        raise AudioError(reason, f"{path}: {error.strerror}") from None
    except soundfile.LibsndfileError as error:
        raise AudioError("unreadable", f"{path}: {error.error_string}") from None
    except (soundfile.SoundFileError, TypeError, ValueError) as error:
        # soundfile's own checks, such as of a file named .raw, or of a name with a zero byte
        raise AudioError("unreadable", f"{path}: {error}") from None


TRANSIENT_ERROR = "not read"
"""Reason of an `AudioError` where the disk, the network or memory failed, not the recording."""

_TRANSIENT_ERRNOS = {
    *(errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN),
    *(errno.ENOMEM, errno.EMFILE, errno.ENFILE),
}


class _SequentialSoundFile(soundfile.SoundFile):  # type: ignore[misc]
    """Sound file read without seeking: soundfile seeks after each read, which some files refuse."""

    def seekable(self) -> bool:
        return False


def _read_media_span(
    path: Path, container: str, start: float | None, end: float | None
) -> Recording:
    blocks: list[NDArray[np.float32]] = []
    decoded_samples, sample_rate = 0, 0
    for block, sample_rate in media.decode_media(path, container):
        blocks.append(block)
        decoded_samples += len(block)
        if decoded_samples * block.shape[1] > _MAX_VALUES:
            raise _too_long(path)
        if end is not None and decoded_samples >= end * sample_rate:
            break
    if not blocks:
        raise AudioError("empty", f"{path}: the audio stream has no samples")
    first = 0 if start is None else round(start * sample_rate)
    last = decoded_samples if end is None else round(end * sample_rate)
    if not 0 <= first < min(last, decoded_samples) or decoded_samples < last - sample_rate // 100:
        raise _outside(path, start, end)
    return Recording(np.concatenate(blocks)[first:last], sample_rate)


def _outside(path: Path, start: float | None, end: float | None) -> AudioError:
    return AudioError(
        "outside the file", f"{path}: the span from {start} s to {end} s is not within the file"
    )


def _too_long(path: Path | str) -> AudioError:
    return AudioError(
        "too long",
        f"{path}: decodes to more than {_MAX_VALUES:,} samples; split it into shorter files",
    )


def _read_span(
    file: soundfile.SoundFile, path: Path, start: float | None, end: float | None
) -> Recording:
    if file.format not in FORMATS:
        raise AudioError(
            "unreadable",
            f"{path}: the container {file.format} is not supported; convert it to WAV or FLAC",
        )
    sample_rate = file.samplerate
    if not _SAMPLE_RATE_RANGE[0] <= sample_rate <= _SAMPLE_RATE_RANGE[1]:
        raise AudioError(
            "unreadable",
            f"{path}: the header states a sample rate of {sample_rate} Hz; the file is damaged",
        )
    stated_samples = file.frames if file.frames < _UNKNOWN_LENGTH else None
    if stated_samples == 0:
        raise AudioError("empty", f"{path}: the header states 0 samples")
    first = 0 if start is None else round(start * sample_rate)
    last = None if end is None else round(end * sample_rate)
    outside = _outside(path, start, end)
    if first < 0 or (last is not None and last <= first):
        raise outside
    if stated_samples is not None and first >= stated_samples:
        raise outside
    if first and file.format != "MP3" and file.subtype != "GSM610":
        file.seek(first)
    elif first:  # libsndfile cannot seek in GSM, and seeks inexactly in MP3
        _read_samples(file, first)
    samples = _read_samples(file, None if last is None else last - first)
    decoded_end = first + len(samples)
    if stated_samples is not None and decoded_end < min(
        stated_samples, last if last is not None else stated_samples
    ):
        raise AudioError(
            "truncated",
            f"{path}: the header states {stated_samples} samples, but only {decoded_end} can be "
            "decoded",
        )
    tolerance = sample_rate // 100  # times in labels are rounded
    if not len(samples) or (last is not None and decoded_end < last - tolerance):
        raise outside
    return Recording(samples, sample_rate)


def _read_samples(file: soundfile.SoundFile, remaining: int | None) -> NDArray[np.float32]:
    """Decode ``[samples, channels]`` from the current position; None: to the end of the file.

    Samples are read in blocks, because a damaged header may state any length.
    """
    blocks = [np.empty((0, file.channels), dtype=np.float32)]
    decoded_values = 0
    max_block = max(1, _BLOCK_VALUES // file.channels)
    while remaining is None or remaining > 0:
        block_samples = max_block if remaining is None else min(remaining, max_block)
        block = file.read(block_samples, dtype="float32", always_2d=True)
        blocks.append(block)
        if len(block) < block_samples:
            break
        remaining = None if remaining is None else remaining - len(block)
        decoded_values += block.size
        if decoded_values > _MAX_VALUES:
            raise _too_long(file.name)
    samples: NDArray[np.float32] = np.concatenate(blocks)
    return samples


def check_recording(recording: Recording, checks: AudioChecks, name: str) -> None:
    """Check that a recording is usable.

    Parameters
    ----------
    recording : Recording
        Decoded recording.
    checks : AudioChecks
        Limits of duration and peak.
    name : str
        Name of the recording in messages.

    Raises
    ------
    AudioError
        If the recording is not usable, with the reason `too short`, `not finite`, `out of range`
        or `silent`.
    """
    if recording.seconds < checks.minimum_seconds:
        raise AudioError(
            "too short",
            f"{name}: lasts {recording.seconds:.3f} s, less than {checks.minimum_seconds} s",
        )
    largest = float(np.abs(recording.samples).max())
    if not np.isfinite(largest):
        raise AudioError("not finite", f"{name}: has samples that are infinite or NaN")
    if largest > checks.maximum_peak:
        raise AudioError(
            "out of range",
            f"{name}: has a sample of {largest:.1e} of full scale; the file is damaged",
        )
    peak = float(np.abs(recording.samples.mean(axis=1)).max())
    if peak <= checks.minimum_peak:
        raise AudioError(
            "silent",
            f"{name}: is silent: the peak of the mean of its channels is {peak:.1e} of full scale",
        )


def read_waveform(
    path: Path | str, start: float | None = None, end: float | None = None
) -> NDArray[np.float32]:
    """Read an audio file, or a span of it, as the waveform that representations are computed from.

    Parameters
    ----------
    path : Path or str
        Audio file.
    start : float or None
        Start of the span, seconds; None: the start of the file.
    end : float or None
        End of the span, seconds; None: the end of the file.

    Returns
    -------
    ndarray
        Waveform ``[samples]`` at 16 kHz, one channel.

    Raises
    ------
    AudioError
        See `read_recording`.
    """
    return read_recording(path, start, end).waveform()
