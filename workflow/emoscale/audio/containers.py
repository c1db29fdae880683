"""How many bytes of samples a sound file promises, and how many it has.

libsndfile reads a file that was cut off as if it ended there, so a damaged copy would become a
shorter utterance. Each container states its length in a header of its own; FLAC and MP3 are told by
the number of samples that can be decoded.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

# What programs that write to a pipe leave as a length: SoX 0x7ffff000, others a little more or all
# ones, each rounded down to whole samples.
_SMALLEST_PLACEHOLDER = 0x7FFFF000 - 4096

_MOST_CHUNKS = 10_000  # a file of zeros is one of empty chunks

_OGG_PAGE_LONGEST = 65_307
_OGG_HEADER = 27
_END_OF_STREAM = 4


def missing_bytes(path: Path) -> int:
    """Bytes of samples that the header promises and the file does not have; 0 where it is whole.

    0 too where the container does not say (a file that was written to a pipe; MP3).
    """
    with open(path, "rb") as file:
        start = file.read(16)
        size = os.fstat(file.fileno()).st_size
        if start[:4] in (b"RIFF", b"RIFX") and start[8:12] == b"WAVE":
            order = "<" if start[:4] == b"RIFF" else ">"
            return _missing(_chunks(file, order), b"data", size)
        if start[:4] == b"RF64" and start[8:12] == b"WAVE":
            return _missing_of_rf64(file, size)
        if start[:4] == b"FORM" and start[8:12] in (b"AIFF", b"AIFC"):
            return _missing(_chunks(file, ">"), b"SSND", size)
        if start[:7] == b"NIST_1A":
            return _missing_of_sphere(file, size)
        if start[:4] == b"OggS":
            return _missing_of_ogg(file, size)
    return 0


def _chunks(file: BinaryIO, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, stated size and first byte of each chunk of a RIFF or AIFF file."""
    place = 12
    for _ in range(_MOST_CHUNKS):
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            return
        name, length = struct.unpack(f"{order}4sI", head)
        yield name, length, place + 8
        place += 8 + length + length % 2


def _missing(chunks: Iterator[tuple[bytes, int, int]], wanted: bytes, size: int) -> int:
    for name, length, first in chunks:
        if name == wanted:
            return 0 if length >= _SMALLEST_PLACEHOLDER else max(0, first + length - size)
    return 0


def _missing_of_rf64(file: BinaryIO, size: int) -> int:
    length = 0
    for name, stated, first in _chunks(file, "<"):
        if name == b"ds64":
            file.seek(first + 8)
            length = int.from_bytes(file.read(8), "little")
        elif name == b"data":
            length = length if stated == 0xFFFFFFFF else stated
            return max(0, first + length - size)
    return 0


def _missing_of_sphere(file: BinaryIO, size: int) -> int:
    """NIST SPHERE: a text header that states its own length and the number of samples."""
    file.seek(0)
    header = file.read(1024).decode("latin-1")
    values = dict(re.findall(r"^(\w+) -i (\d+)", header, flags=re.MULTILINE))
    try:
        length = int(header.split()[1])
        samples = int(values["sample_count"]) * int(values["sample_n_bytes"])
    except (KeyError, IndexError, ValueError):
        return 0  # not a header that libsndfile reads either
    return max(0, length + samples * int(values.get("channel_count", 1)) - size)


def _missing_of_ogg(file: BinaryIO, size: int) -> int:
    """The last page must end with the file and say that it is the last."""
    first = max(0, size - 2 * _OGG_PAGE_LONGEST)
    file.seek(first)
    tail = file.read()
    place = tail.rfind(b"OggS")
    while place >= 0:
        head = tail[place : place + _OGG_HEADER]
        if len(head) == _OGG_HEADER:
            segments = tail[place + _OGG_HEADER : place + _OGG_HEADER + head[26]]
            end = place + _OGG_HEADER + head[26] + sum(segments)
            if end == len(tail) and head[5] & _END_OF_STREAM:
                return 0
        place = tail.rfind(b"OggS", 0, place)
    return 1
