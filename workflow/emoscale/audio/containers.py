"""Containers of audio: which one a file is, and whether the file is as long as its header states.

libsndfile reads a truncated file as if it ended there, so a damaged copy would become a shorter
utterance. Containers whose header states a length are checked here. For FLAC and MP3, the number
of decoded samples is checked when the file is decoded.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

# Programs that write to a pipe leave a placeholder as the length: SoX writes 0x7ffff000, others a
# little more or all ones, each rounded down to whole samples.
_MIN_PLACEHOLDER = 0x7FFFF000 - 4096

_MAX_CHUNKS = 10_000  # a file of zeros would otherwise be read as endless empty chunks

LFS_POINTER = "version https://git-lfs.github.com/spec/"
"""Begin of the small text file that Git LFS leaves instead of a file that was not downloaded."""

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"  # Matroska's first two elements

_OGG_MAX_PAGE_BYTES = 65_307
_OGG_HEADER_BYTES = 27
_OGG_END_OF_STREAM = 4


def is_lfs_pointer(path: Path) -> bool:
    """Return whether a file is a Git LFS pointer.

    Parameters
    ----------
    path : Path
        Any file.

    Returns
    -------
    bool
        True for a pointer.
    """
    with open(path, "rb") as file:
        return file.read(len(LFS_POINTER)) == LFS_POINTER.encode()


def media_container(path: Path) -> str | None:
    """Return the container of a file that libsndfile cannot read.

    Parameters
    ----------
    path : Path
        Audio or video file.

    Returns
    -------
    str or None
        FFmpeg's name of the container: mp4 (also M4A, MOV) or matroska (also WebM); None: another.
    """
    with open(path, "rb") as file:
        magic = file.read(8)
    if magic[4:] == b"ftyp":
        return "mp4"
    return "matroska" if magic[:4] == _EBML else None


def missing_bytes(path: Path) -> int:
    """Return how many bytes of samples a file lacks, according to its header.

    Parameters
    ----------
    path : Path
        Audio file.

    Returns
    -------
    int
        Missing bytes; 0 if the file is complete, or if its container states no length (a file
        that was written to a pipe, FLAC, MP3). 1 for a truncated Ogg file.
    """
    with open(path, "rb") as file:
        magic = file.read(16)
        file_bytes = os.fstat(file.fileno()).st_size
        if magic[:4] in (b"RIFF", b"RIFX") and magic[8:12] == b"WAVE":
            byte_order = "<" if magic[:4] == b"RIFF" else ">"
            return _missing_from_chunk(_chunks(file, byte_order), b"data", file_bytes)
        if magic[:4] == b"RF64" and magic[8:12] == b"WAVE":
            return _missing_from_rf64(file, file_bytes)
        if magic[:4] == b"FORM" and magic[8:12] in (b"AIFF", b"AIFC"):
            return _missing_from_chunk(_chunks(file, ">"), b"SSND", file_bytes)
        if magic[:7] == b"NIST_1A":
            return _missing_from_sphere(file, file_bytes)
        if magic[:4] == b"OggS":
            return _missing_from_ogg(file, file_bytes)
        if magic[4:8] == b"ftyp":
            return _missing_from_boxes(file, file_bytes)
        if magic[:4] == _EBML:
            return _missing_from_matroska(file, file_bytes)
    return 0


def _chunks(file: BinaryIO, byte_order: str) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, stated length and data offset of each chunk of a RIFF or AIFF file."""
    offset = 12
    for _ in range(_MAX_CHUNKS):
        file.seek(offset)
        header = file.read(8)
        if len(header) < 8:
            return
        name, length = struct.unpack(f"{byte_order}4sI", header)
        yield name, length, offset + 8
        offset += 8 + length + length % 2


def _missing_from_chunk(
    chunks: Iterator[tuple[bytes, int, int]], data_chunk: bytes, file_bytes: int
) -> int:
    for name, length, offset in chunks:
        if name == data_chunk:
            return 0 if length >= _MIN_PLACEHOLDER else max(0, offset + length - file_bytes)
    return 0


def _missing_from_rf64(file: BinaryIO, file_bytes: int) -> int:
    length = 0
    for name, stated_length, offset in _chunks(file, "<"):
        if name == b"ds64":
            file.seek(offset + 8)
            length = int.from_bytes(file.read(8), "little")
        elif name == b"data":
            length = length if stated_length == 0xFFFFFFFF else stated_length
            return max(0, offset + length - file_bytes)
    return 0


def _missing_from_sphere(file: BinaryIO, file_bytes: int) -> int:
    """NIST SPHERE: a text header that states its own length and the number of samples."""
    file.seek(0)
    header = file.read(1024).decode("latin-1")
    values = dict(re.findall(r"^(\w+) -i (\d+)", header, flags=re.MULTILINE))
    try:
        header_bytes = int(header.split()[1])
        channel_bytes = int(values["sample_count"]) * int(values["sample_n_bytes"])
    except (KeyError, IndexError, ValueError):
        return 0  # libsndfile refuses this header as well
    return max(0, header_bytes + channel_bytes * int(values.get("channel_count", 1)) - file_bytes)


def _missing_from_ogg(file: BinaryIO, file_bytes: int) -> int:
    """Ogg: the last page must end with the file and carry the end-of-stream flag."""
    file.seek(max(0, file_bytes - 2 * _OGG_MAX_PAGE_BYTES))
    tail = file.read()
    offset = tail.rfind(b"OggS")
    while offset >= 0:
        header = tail[offset : offset + _OGG_HEADER_BYTES]
        if len(header) == _OGG_HEADER_BYTES:
            table_offset = offset + _OGG_HEADER_BYTES
            segment_table = tail[table_offset : table_offset + header[26]]
            end = table_offset + header[26] + sum(segment_table)
            if end == len(tail) and header[5] & _OGG_END_OF_STREAM:
                return 0
        offset = tail.rfind(b"OggS", 0, offset)
    return 1


def _missing_from_boxes(file: BinaryIO, file_bytes: int) -> int:
    """MP4: boxes on the top level follow each other to the end of the file (ISO/IEC 14496-12)."""
    offset = 0
    for _ in range(_MAX_CHUNKS):
        file.seek(offset)
        header = file.read(16)
        if len(header) < 8:
            break
        length = int.from_bytes(header[:4], "big")
        if length == 1:  # the length is in the next 8 bytes
            length = int.from_bytes(header[8:], "big")
        if (
            length < 8
        ):  # 0: to the end of the file; others are damaged, and the decoder refuses them
            return 0
        offset += length
    return max(0, offset - file_bytes)


def _missing_from_matroska(file: BinaryIO, file_bytes: int) -> int:
    """Matroska, WebM: an EBML header, then a segment with everything else (RFC 8794, RFC 9559)."""
    offset = 4
    for _ in range(2):
        file.seek(offset)
        start = file.read(8)
        if not start or not start[0]:
            return 0  # damaged; the decoder refuses it
        width = 9 - start[0].bit_length()  # the leading zero bits are the number of further bytes
        length = int.from_bytes(start[:width], "big") & ((1 << 7 * width) - 1)
        offset += width + length
        if length == (1 << 7 * width) - 1:
            return 0  # unknown, as in a file that was written to a pipe
        file.seek(offset)
        if file.read(4) != _SEGMENT:
            break
        offset += 4
    return max(0, offset - file_bytes)
