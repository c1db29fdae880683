"""All shards of one representation as one store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from emoscale.errors import StoreError
from emoscale.provenance import digest
from emoscale.store.shard import (
    ShardContents,
    ShardHeader,
    read_header,
    read_shard,
    shard_digest,
)
from emoscale.tables import FEATURE_INDEX, frame_of, read_metadata, read_table, write_table


@dataclass(frozen=True)
class Features:
    """Ragged frames of some utterances, packed without padding."""

    frames: NDArray[np.generic]
    """[total frames, dimension], the utterances one after the other."""

    lengths: NDArray[np.int64]
    """[utterances], frames of each."""


def index_shards(shards: Sequence[Path], path: Path) -> None:
    """Verify every shard of a representation and write where each utterance is, to `path`.

    The index lies in the same folder as the shards. Raises `StoreError` where a shard is damaged,
    two were made in different ways, or an utterance stands in two.
    """
    rows: list[dict[str, object]] = []
    digests: dict[str, str] = {}
    first: ShardHeader | None = None
    for shard in shards:
        header, contents = read_header(shard), read_shard(shard)
        first = first or header
        if _origin(header) != _origin(first):
            raise StoreError(
                f"{shard} was extracted with other settings, code or weights than {shards[0]}; "
                "remove it and run again"
            )
        digests[shard.name] = shard_digest(shard)
        rows += [
            {"utterance": key, "shard": shard.name, "row": row, "frames": int(frames)}
            for row, (key, frames) in enumerate(
                zip(contents.utterances, np.diff(contents.offsets), strict=True)
            )
        ]
    if first is None:
        raise StoreError(f"{path}: there is no shard to index")
    table = frame_of(rows, FEATURE_INDEX).sort("utterance")
    twice = table.filter(pl.col("utterance").is_duplicated())
    if len(twice):
        raise StoreError(f"{path}: {twice['utterance'][0]} stands in two shards")
    metadata = {
        "shards": json.dumps(digests, sort_keys=True),
        "features_sha256": digest(digests),
        "representation": first.representation,
        "dimension": str(first.dimension),
        "frame_rate": str(first.frame_rate or 0.0),
        "checkpoint_sha256": first.checkpoint_sha256,
    }
    write_table(table, path, FEATURE_INDEX, metadata)


class FeatureStore:
    """Reads the features of utterances by their keys.

    Opens nothing until asked; every shard that is read is checked against its digests and against
    the index.
    """

    def __init__(self, index: Path | str) -> None:
        self.path = Path(index)
        self._index = read_table(index, FEATURE_INDEX)
        metadata = read_metadata(index)
        self._digests: dict[str, str] = json.loads(metadata["shards"])
        self.sha256 = metadata["features_sha256"]
        self.dimension = int(metadata["dimension"])
        self.frame_rate = float(metadata["frame_rate"]) or None

    def load(self, utterances: Sequence[str]) -> Features:
        """Frames of the named utterances, in the order given.

        Raises `StoreError` where one is missing, or a shard is damaged or not the indexed one.
        """
        wanted = pl.DataFrame({"utterance": list(utterances)}, schema={"utterance": pl.String})
        places = wanted.join(self._index, on="utterance", how="left", maintain_order="left")
        missing = places.filter(pl.col("shard").is_null())["utterance"]
        if len(missing):
            raise StoreError(
                f"{self.path}: has no features of {missing[0]}"
                + (f" and {len(missing) - 1} others" if len(missing) > 1 else "")
                + "; extract them again"
            )
        lengths = places["frames"].to_numpy().astype(np.int64)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        frames: NDArray[np.generic] | None = None
        numbered = places.with_row_index("place")
        for (shard,), group in sorted(numbered.group_by("shard"), key=lambda item: item[0]):
            contents = self._read(str(shard))
            read = _dense(contents)
            if frames is None:
                frames = np.empty((int(starts[-1]), self.dimension), dtype=read.dtype)
            for place, key, row in group.select("place", "utterance", "row").iter_rows():
                if contents.utterances[row] != key:
                    raise StoreError(f"{self.path}: {key} is not where the index says")
                first, last = contents.offsets[row], contents.offsets[row + 1]
                frames[starts[place] : starts[place + 1]] = read[first:last]
        if frames is None:
            frames = np.empty((0, self.dimension), dtype=np.float16)
        return Features(frames, lengths)

    def _read(self, shard: str) -> ShardContents:
        path = self.path.parent / shard
        if shard_digest(path) != self._digests[shard]:
            raise StoreError(f"{path} is not the shard that was indexed; run again")
        return read_shard(path)


def _dense(contents: ShardContents) -> NDArray[np.generic]:
    """Frames [N, dimension]; of codes, the vectors of all groups side by side, in float16."""
    if contents.codebook is None:
        return contents.frames
    columns = contents.frames.T.astype(np.int64)
    books = contents.codebook.astype(np.float16)
    return np.concatenate([book[codes] for book, codes in zip(books, columns, strict=True)], axis=1)


def _origin(header: ShardHeader) -> tuple[object, ...]:
    return (
        header.representation,
        header.dimension,
        header.frame_rate,
        header.code_sha256,
        header.checkpoint_sha256,
    )
