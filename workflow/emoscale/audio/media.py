"""Audio in MP4, M4A, WebM and Matroska files, decoded by FFmpeg through PyAV.

PyAV is an optional dependency; other recordings are read without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from emoscale.runtime.errors import AudioError, UserError

SUFFIXES = (".m4a", ".mkv", ".mp4", ".webm")
"""Suffixes (in any case) of the files that a search in a folder finds."""


def decode_media(path: Path, container: str) -> Iterator[tuple[NDArray[np.float32], int]]:
    """Decode the first audio stream of a file from its beginning.

    There is no seeking: in compressed streams, the samples after a seek are inexact.

    Parameters
    ----------
    path : Path
        Audio or video file.
    container : str
        FFmpeg's name of the container.

    Yields
    ------
    samples : ndarray
        The next samples ``[samples, channels]``, full scale 1.
    sample_rate : int
        Sample rate, Hz.

    Raises
    ------
    UserError
        If PyAV is not installed.
    AudioError
        If the file has no audio stream, or cannot be decoded.
    """
    av = _import_av(path)
    # An opened file, because FFmpeg would take a name such as "concat:a" for a protocol.
    with open(path, "rb") as file:
        try:
            with av.open(file, "r", format=container, metadata_errors="replace") as media:
                if not media.streams.audio:
                    raise AudioError("no audio", f"{path}: the file has no audio stream")
                to_float = av.AudioResampler(format="flt")
                for frame in media.decode(media.streams.audio[0]):
                    for block in to_float.resample(frame):
                        samples = block.to_ndarray().reshape(block.samples, -1)
                        yield samples, block.sample_rate
        except av.FFmpegError as error:
            raise AudioError("unreadable", f"{path}: {error.strerror}") from None


def _import_av(path: Path) -> ModuleType:
    try:
        import av
    except ImportError:
        raise UserError(
            f"{path}: reading audio from {', '.join(SUFFIXES)} files requires the package PyAV, "
            "which is optional; run pip install -c envs/constraints.txt -e '.[containers]'"
        ) from None
    return av
