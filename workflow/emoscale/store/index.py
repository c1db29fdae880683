"""All shards of one representation as one store."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from emoscale.runtime.errors import DamagedFileError, StoreError
from emoscale.runtime.provenance import digest
from emoscale.store.memory_budget import MemoryBudget
from emoscale.store.shard import (
    ShardContents,
    ShardHeader,
    read_header,
    read_shard,
    shard_digest,
    verify_shard,
)
from emoscale.tables.parquet import dataframe_of, read_metadata, read_table, write_table
from emoscale.tables.schemas import FEATURE_INDEX


@dataclass(frozen=True)
class Features:
    """Ragged frames of some utterances, packed without padding."""

    frames: NDArray[np.generic]
    """[total frames, dimension], the utterances one after the other; [total frames, layers,
    dimension] where several layers are read."""

    lengths: NDArray[np.int64]
    """[utterances], frames of each."""

    characters: NDArray[np.int32] | None = None
    """[total frames, 2] of text: where each token stands in its transcript."""

    seconds: NDArray[np.float64] | None = None
    """[total frames, 2] of text: when it is spoken; not a number where that is unknown."""


def index_shards(shards: Sequence[Path], path: Path) -> None:
    """Verify every shard of a representation and write where each utterance is, to `path`.

    The index lies in the same folder as the shards. Raises `StoreError` where a shard is damaged,
    two were made in different ways, or an utterance stands in two.
    """
    rows: list[dict[str, object]] = []
    digests: dict[str, str] = {}
    corpus: dict[str, str] = {}
    first: ShardHeader | None = None
    for shard in shards:
        header, contents = read_header(shard), verify_shard(shard)
        first = first or header
        if _origin(header) != _origin(first):
            raise StoreError(
                f"{shard} was extracted with other settings, code or weights than {shards[0]}; "
                "remove it and run again"
            )
        digests[shard.name] = shard_digest(shard)
        corpus[shard.name] = header.shard_sha256
        rows += [
            {
                "utterance": key,
                "shard": shard.name,
                "row": row,
                "frames": int(contents.frames[row]),
                "chunks": int(contents.chunks[row]),
            }
            for row, key in enumerate(contents.utterances)
        ]
    if first is None:
        raise StoreError(f"{path}: there is no shard to index")
    table = dataframe_of(rows, FEATURE_INDEX).sort("utterance")
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
        "code_sha256": first.code_sha256,
        "corpus_sha256": digest(corpus),
        "layers": json.dumps(first.layers),
        "pretrained_weights": first.pretrained_weights,
    }
    write_table(table, path, FEATURE_INDEX, metadata)


class FeatureStore:
    """Reads the features of utterances by their keys; of a layered representation, one or all.

    Opens nothing until asked; every shard that is read is checked against its digests and against
    the index. Raises `StoreError` where the representation does not have the layer.
    """

    def __init__(self, index: Path | str, layer: int | None = None) -> None:
        self.path = Path(index)
        self.layer = layer
        self._index = read_table(index, FEATURE_INDEX)
        metadata = read_metadata(index)
        self.shards: dict[str, str] = json.loads(metadata["shards"])
        self.sha256 = metadata["features_sha256"]
        self.dimension = int(metadata["dimension"])
        self.frame_rate = float(metadata["frame_rate"]) or None
        self.pretrained_weights = metadata["pretrained_weights"]
        self.checkpoint_sha256 = metadata["checkpoint_sha256"]
        self.corpus_sha256 = metadata["corpus_sha256"]
        self._representation = metadata["representation"]
        self.layers: tuple[int, ...] = tuple(json.loads(metadata["layers"]))
        if layer is not None and layer not in self.layers:
            has = ", ".join(map(str, self.layers)) or "none"
            raise StoreError(f"{index}: there is no layer {layer} (there: {has})")

    @property
    def name(self) -> str:
        """What the study calls the representation."""
        return self.path.parent.name

    def description(self) -> dict[str, Any]:
        """What is needed to compute the same features of other recordings."""
        return {
            "name": self.name,
            "settings": json.loads(self._representation),
            "layer": self.layer,
            "pretrained_weights": self.pretrained_weights,
            "checkpoint_sha256": self.checkpoint_sha256,
        }

    @property
    def reads_layers(self) -> bool:
        """Whether frames are [frames, layers, dimension]: there are some, and none was chosen."""
        return self.layer is None and bool(self.layers)

    @property
    def values_a_frame(self) -> int:
        """Numbers of one frame, all layers together where all are read."""
        return self.dimension * (len(self.layers) if self.reads_layers else 1)

    @property
    def longest(self) -> int:
        """Frames of the longest utterance."""
        return int(self._index["frames"].to_numpy().max(initial=0))

    def chunked(self, utterances: Sequence[str]) -> int:
        """How many of these utterances were too long to be computed as a whole."""
        wanted = pl.col("utterance").is_in(list(utterances))
        return len(self._index.filter(wanted & (pl.col("chunks") > 1)))

    def load(self, utterances: Sequence[str], budget: MemoryBudget | None = None) -> Features:
        """Frames of the named utterances, in the order given, allocated by `budget`.

        Raises `StoreError` where one is missing, or a shard is damaged or not the indexed one.
        """
        budget = budget or MemoryBudget()
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
        loaded: dict[str, NDArray[np.generic]] = {}
        numbered = places.with_row_index("place")
        for (shard,), group in sorted(numbered.group_by("shard"), key=lambda item: item[0]):
            contents = self._read(str(shard))
            for name, read in _columns_of(contents).items():
                if name not in loaded:
                    loaded[name] = budget.array((int(starts[-1]), *read.shape[1:]), read.dtype)
                whole = loaded[name]
                for place, key, row in group.select("place", "utterance", "row").iter_rows():
                    if contents.utterances[row] != key:
                        raise StoreError(f"{self.path}: {key} is not where the index says")
                    first, last = contents.offsets[row], contents.offsets[row + 1]
                    whole[starts[place] : starts[place + 1]] = read[first:last]
        frames = loaded.get("frames", np.empty(self._frame_shape(), dtype=np.float16))
        characters: Any = loaded.get("characters")
        seconds: Any = loaded.get("seconds")
        return Features(frames, lengths, characters, seconds)

    def _frame_shape(self) -> tuple[int, ...]:
        layers = (len(self.layers),) if self.reads_layers else ()
        return (0, *layers, self.dimension)

    def _read(self, shard: str) -> ShardContents:
        try:
            self._check_there(shard)
            self._check_indexed(shard)
            layers = self.layers if self.reads_layers else (self.layer,)
            whole = [read_shard(self.path.parent / shard, layer) for layer in layers]
        except DamagedFileError as error:
            # The workflow looks at the index; only without it are the shards looked at.
            also = None if error.path == self.path else self.path
            raise DamagedFileError(error.path, error.detail, also) from None
        if not self.reads_layers:
            return whole[0]
        return dataclasses.replace(
            whole[0], frames=np.stack([contents.frames for contents in whole], axis=1)
        )

    def _check_there(self, shard: str) -> None:
        if not (self.path.parent / shard).exists():
            detail = f"names {shard}, which is not there"
            raise DamagedFileError(self.path, detail)

    def _check_indexed(self, shard: str) -> None:
        path = self.path.parent / shard
        if shard_digest(path) != self.shards[shard]:
            detail = "is not the shard that was indexed"
            raise DamagedFileError(path, detail)


def _columns_of(contents: ShardContents) -> dict[str, NDArray[np.generic]]:
    """What there is of each frame."""
    columns = {"frames": _dense(contents)}
    if contents.characters is not None:
        columns["characters"] = contents.characters
    if contents.seconds is not None:
        columns["seconds"] = contents.seconds
    return columns


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
        header.layers,
        header.pretrained_weights,
    )
