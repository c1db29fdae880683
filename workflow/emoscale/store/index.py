"""Index and reader of the shards of one representation."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from emoscale.runtime.errors import DamagedFileError, StoreError
from emoscale.runtime.provenance import digest
from emoscale.store.features import Features, UtteranceFrames
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


def index_shards(shards: Sequence[Path], path: Path) -> None:
    """Verify all shards of a representation and write the index of its utterances.

    Parameters
    ----------
    shards : sequence of Path
        Shards of the representation.
    path : Path
        Index to write, in the folder of the shards.

    Raises
    ------
    StoreError
        If a shard is damaged, shards differ in settings, code, weights or package versions, or an
        utterance is in two shards.
    """
    rows: list[dict[str, object]] = []
    digests: dict[str, str] = {}
    corpus_digests: dict[str, str] = {}
    shards_of_versions: dict[str, list[str]] = {}
    reference: ShardHeader | None = None
    for shard in shards:
        header, summary = read_header(shard), verify_shard(shard)
        reference = reference or header
        if _extraction_key(header) != _extraction_key(reference):
            raise StoreError(
                f"{shard} was extracted with other settings, code or weights than {shards[0]}; "
                "remove it and run again"
            )
        shards_of_versions.setdefault(header.versions, []).append(shard.name)
        digests[shard.name] = shard_digest(shard)
        corpus_digests[shard.name] = header.shard_sha256
        rows += [
            {
                "utterance": key,
                "shard": shard.name,
                "row": row,
                "frames": int(summary.frames[row]),
                "chunks": int(summary.chunks[row]),
            }
            for row, key in enumerate(summary.utterances)
        ]
    if reference is None:
        raise StoreError(f"{path}: there are no shards to index")
    _check_versions(path.parent, shards_of_versions)
    table = dataframe_of(rows, FEATURE_INDEX).sort("utterance")
    duplicates = table.filter(pl.col("utterance").is_duplicated())
    if len(duplicates):
        raise StoreError(f"{path}: {duplicates['utterance'][0]} is in two shards")
    metadata = {
        "shards": json.dumps(digests, sort_keys=True),
        "features_sha256": digest(digests),
        "representation": reference.representation,
        "dimension": str(reference.dimension),
        "frame_rate": str(reference.frame_rate or 0.0),
        "checkpoint_sha256": reference.checkpoint_sha256,
        "code_sha256": reference.code_sha256,
        "corpus_sha256": digest(corpus_digests),
        "layers": json.dumps(reference.layers),
        "pretrained_weights": reference.pretrained_weights,
        "versions": reference.versions,
    }
    write_table(table, path, FEATURE_INDEX, metadata)


class FeatureStore:
    """Reads the features of utterances by key, of one layer or all layers.

    Shards are opened on demand, and checked against their digests and the index.

    Parameters
    ----------
    index : Path or str
        Index file of the representation.
    layer : int or None
        Layer to read; None for all layers of a layered representation, or one without layers.

    Raises
    ------
    StoreError
        If the representation does not have the layer.
    """

    def __init__(self, index: Path | str, layer: int | None = None) -> None:
        self.path = Path(index)
        self.layer = layer
        self._index = read_table(index, FEATURE_INDEX)
        metadata = read_metadata(index)
        if "versions" not in metadata:
            raise DamagedFileError(self.path, "was written by another version of emoscale")
        self.shards: dict[str, str] = json.loads(metadata["shards"])
        self.sha256 = metadata["features_sha256"]
        self.dimension = int(metadata["dimension"])
        self.frame_rate = float(metadata["frame_rate"]) or None
        self.pretrained_weights = metadata["pretrained_weights"]
        self.checkpoint_sha256 = metadata["checkpoint_sha256"]
        self.corpus_sha256 = metadata["corpus_sha256"]
        self.versions: dict[str, str] = json.loads(metadata["versions"])
        self._representation = metadata["representation"]
        self.layers: tuple[int, ...] = tuple(json.loads(metadata["layers"]))
        if layer is not None and layer not in self.layers:
            available = ", ".join(map(str, self.layers)) or "none"
            raise StoreError(f"{index}: there is no layer {layer} (available: {available})")

    @property
    def name(self) -> str:
        """Name of the representation in the study."""
        return self.path.parent.name

    def description(self) -> dict[str, Any]:
        """Return what determines the features of a recording, beside the code."""
        return {
            "name": self.name,
            "settings": json.loads(self._representation),
            "layer": self.layer,
            "pretrained_weights": self.pretrained_weights,
            "checkpoint_sha256": self.checkpoint_sha256,
            "package_versions": self.versions,
        }

    @property
    def has_layer_axis(self) -> bool:
        """Whether frames are ``[frames, layers, dimension]``: layered, and no layer selected."""
        return self.layer is None and bool(self.layers)

    @property
    def values_per_frame(self) -> int:
        """Number of values per frame, in all layers that are read."""
        return self.dimension * (len(self.layers) if self.has_layer_axis else 1)

    @property
    def max_frames(self) -> int:
        """Number of frames of the longest utterance."""
        return int(self._index["frames"].to_numpy().max(initial=0))

    def utterances_by_shard(self) -> Iterator[list[str]]:
        """Iterate over the keys of the utterances of each shard.

        Yields
        ------
        list of str
            The keys of one shard.
        """
        for _, rows in self._index.sort("shard", "row").group_by("shard", maintain_order=True):
            yield rows["utterance"].to_list()

    def count_chunked(self, utterances: Sequence[str]) -> int:
        """Count the utterances that were computed in more than one chunk.

        Parameters
        ----------
        utterances : sequence of str
            Keys of utterances.

        Returns
        -------
        int
            Number of utterances.
        """
        requested = pl.col("utterance").is_in(list(utterances))
        return len(self._index.filter(requested & (pl.col("chunks") > 1)))

    def load(self, utterances: Sequence[str]) -> Features:
        """Find the features of utterances in the shards, which are memory-mapped.

        Parameters
        ----------
        utterances : sequence of str
            Keys of utterances.

        Returns
        -------
        Features
            Features in the order of `utterances`.

        Raises
        ------
        StoreError
            If an utterance is missing, or a shard is damaged or differs from the indexed one.
        """
        requested = pl.DataFrame({"utterance": list(utterances)}, schema={"utterance": pl.String})
        locations = requested.join(self._index, on="utterance", how="left", maintain_order="left")
        missing = locations.filter(pl.col("shard").is_null())["utterance"]
        if len(missing):
            raise StoreError(
                f"{self.path}: has no features of {missing[0]}"
                + (f" and {len(missing) - 1} others" if len(missing) > 1 else "")
                + "; extract them again"
            )
        _raise_limit_of_open_files()
        frames: dict[int, UtteranceFrames] = {}
        characters: dict[int, NDArray[np.int32]] = {}
        seconds: dict[int, NDArray[np.float64]] = {}
        numbered = locations.with_row_index("position")
        for (shard,), group in sorted(numbered.group_by("shard"), key=lambda item: item[0]):
            contents = self._read(str(shard))
            codebook = contents.codebook
            vectors = None if codebook is None else codebook.astype(np.float16)
            columns = group.select("position", "utterance", "row", "frames")
            for position, key, row, count in columns.iter_rows():
                first, last = contents.offsets[row], contents.offsets[row + 1]
                if contents.utterances[row] != key or last - first != count:
                    raise StoreError(
                        f"{self.path}: {key} is not at the position given in the index"
                    )
                layers = [layer[first:last] for layer in contents.layers]
                frames[position] = UtteranceFrames(layers, vectors)
                if contents.characters is not None:
                    characters[position] = contents.characters[first:last]
                if contents.seconds is not None:
                    seconds[position] = contents.seconds[first:last]
        positions = range(len(locations))
        return Features(
            [frames[position] for position in positions],
            locations["frames"].to_numpy().astype(np.int64),
            (len(self.layers), self.dimension) if self.has_layer_axis else (self.dimension,),
            np.concatenate([characters[each] for each in positions]) if characters else None,
            np.concatenate([seconds[each] for each in positions]) if seconds else None,
        )

    def _read(self, shard: str) -> ShardContents:
        layers = self.layers if self.layer is None else (self.layer,)
        try:
            self._check_exists(shard)
            self._check_indexed(shard)
            return read_shard(self.path.parent / shard, layers or None)
        except DamagedFileError as error:
            # The workflow checks the index first, and the shards only if it is absent.
            index = None if error.path == self.path else self.path
            raise DamagedFileError(error.path, error.detail, index) from None

    def _check_exists(self, shard: str) -> None:
        if not (self.path.parent / shard).exists():
            detail = f"refers to {shard}, which is missing"
            raise DamagedFileError(self.path, detail)

    def _check_indexed(self, shard: str) -> None:
        path = self.path.parent / shard
        if shard_digest(path) != self.shards[shard]:
            detail = "is not the shard that was indexed"
            raise DamagedFileError(path, detail)


_OPEN_FILES = 4096  # of two representations with 1,000 shards each, and of libraries


def _raise_limit_of_open_files() -> None:
    """Raise this process's limit if the system allows it: each memory-mapped shard is open."""
    limit, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    new_limit = _OPEN_FILES if maximum == resource.RLIM_INFINITY else min(_OPEN_FILES, maximum)
    if limit != resource.RLIM_INFINITY and limit < new_limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (new_limit, maximum))


def _extraction_key(header: ShardHeader) -> tuple[object, ...]:
    """Return what must be equal in all shards of a representation."""
    return (
        header.representation,
        header.dimension,
        header.frame_rate,
        header.code_sha256,
        header.checkpoint_sha256,
        header.layers,
        header.pretrained_weights,
    )


def _check_versions(folder: Path, shards_of_versions: Mapping[str, Sequence[str]]) -> None:
    """Raise `StoreError` if the shards of a folder were extracted with different packages."""
    if len(shards_of_versions) > 1:
        groups = [
            f"{_enumerate(shards)} with {versions_text(json.loads(versions))}"
            for versions, shards in shards_of_versions.items()
        ]
        raise StoreError(
            f"{folder}: different versions of packages extracted {', and '.join(groups)}; remove "
            "the shards of all but the installed version, and run again"
        )


def versions_text(versions: Mapping[str, str]) -> str:
    """Return versions of packages as an enumeration.

    Parameters
    ----------
    versions : mapping of str to str
        Version by package.

    Returns
    -------
    str
        Text, such as ``soxr 1.0.0, torch 2.13.0``.
    """
    return ", ".join(f"{name} {version}" for name, version in versions.items()) or "none"


def _enumerate(shards: Sequence[str]) -> str:
    further = len(shards) - 3
    return ", ".join(shards[:3]) + (f" and {further} others" if further > 0 else "")
