"""Mean and standard deviation of the frames of each speaker, for normalisation by speaker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emoscale.runtime.errors import StoreError
from emoscale.store.features import Features
from emoscale.store.index import FeatureStore
from emoscale.tables.parquet import dataframe_of, read_metadata, read_table, write_table
from emoscale.tables.schemas import SPEAKER_STATISTICS

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SpeakerStatistics:
    """Mean and standard deviation over all frames of each speaker."""

    utterances: dict[str, list[str]]
    """Keys of the utterances of each speaker."""

    frames: list[int]
    """Number of frames of each speaker."""

    mean: Array
    """``[speakers, (layers,) dimension]``."""

    std: Array
    """Population standard deviation, of the same shape."""


def measure_speakers(
    batches: Iterable[tuple[Sequence[str], Features]], speaker_of: Mapping[str, str]
) -> SpeakerStatistics:
    """Compute the statistics of each speaker in one pass over the features.

    Parameters
    ----------
    batches : iterable of (sequence of str, Features)
        Keys of utterances and their features.
    speaker_of : mapping of str to str
        Speaker of each utterance.

    Returns
    -------
    SpeakerStatistics
        The statistics.

    Raises
    ------
    StoreError
        If the speaker of an utterance is unknown.
    """
    moments: dict[str, _Moments] = {}
    for keys, features in batches:
        for index, key in enumerate(keys):
            speaker = speaker_of.get(key)
            if not speaker:
                raise StoreError(
                    f"the speaker of {key} is unknown, so its features cannot be normalised by "
                    "speaker; name its speaker in the corpus, or set training.normalisation to "
                    "training"
                )
            if speaker not in moments:
                moments[speaker] = _Moments(features.frame_shape)
            moments[speaker].add(key, features.gather([index]))
    return SpeakerStatistics(
        {speaker: each.utterances for speaker, each in moments.items()},
        [each.frames for each in moments.values()],
        np.stack([each.mean for each in moments.values()]),
        np.stack([each.std for each in moments.values()]),
    )


class _Moments:
    """Running mean and sum of squared deviations of frames (Chan et al. 1979)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.utterances: list[str] = []
        self.frames = 0
        self.mean = np.zeros(shape)
        self._squares = np.zeros(shape)

    @property
    def std(self) -> Array:
        std: Array = np.sqrt(self._squares / max(1, self.frames))
        return std

    def add(self, key: str, frames: NDArray[np.generic]) -> None:
        self.utterances.append(key)
        count = len(frames)
        if not count:
            return
        centred = frames.astype(np.float32)
        mean = centred.mean(axis=0)
        centred -= mean
        total = self.frames + count
        delta = mean - self.mean
        self._squares += np.einsum("f...,f...->...", centred, centred)
        self._squares += delta**2 * (self.frames * count / total)
        self.mean += delta * (count / total)
        self.frames = total


def speaker_statistics_path(index: Path) -> Path:
    """Return the path of the table of a representation's speaker statistics.

    Parameters
    ----------
    index : Path
        Index of the representation.

    Returns
    -------
    Path
        A file in the folder of the index.
    """
    return index.with_name("speakers.parquet")


def write_speaker_statistics(store: FeatureStore, speaker_of: Mapping[str, str]) -> None:
    """Compute the statistics of all speakers of a representation and write their table.

    Parameters
    ----------
    store : FeatureStore
        Features of the representation, with all layers.
    speaker_of : mapping of str to str
        Speaker of each utterance.

    Raises
    ------
    StoreError
        If the speaker of an utterance is unknown, or a shard is damaged.
    """
    batches = ((keys, store.load(keys)) for keys in store.utterances_by_shard())
    statistics = measure_speakers(batches, speaker_of)
    rows = [
        {"speaker": speaker, "utterances": keys, "frames": frames, "mean": mean, "std": std}
        for (speaker, keys), frames, mean, std in zip(
            statistics.utterances.items(),
            statistics.frames,
            statistics.mean.reshape(len(statistics.frames), -1).tolist(),
            statistics.std.reshape(len(statistics.frames), -1).tolist(),
            strict=True,
        )
    ]
    write_table(
        dataframe_of(rows, SPEAKER_STATISTICS).sort("speaker"),
        speaker_statistics_path(store.path),
        SPEAKER_STATISTICS,
        {"features_sha256": store.sha256},
    )


def read_speaker_statistics(store: FeatureStore) -> SpeakerStatistics:
    """Read the statistics of all speakers of a representation.

    Parameters
    ----------
    store : FeatureStore
        Features of the representation.

    Returns
    -------
    SpeakerStatistics
        The statistics of the layer, or layers, that the store reads.

    Raises
    ------
    StoreError
        If the table is missing, damaged or of other features.
    """
    path = speaker_statistics_path(store.path)
    table = read_table(path, SPEAKER_STATISTICS)
    if read_metadata(path)["features_sha256"] != store.sha256:
        raise StoreError(f"{path}: was computed from other features; remove it and run again")
    layers = (len(store.layers),) if store.layers else ()
    mean, std = (
        np.array(table[name].to_list()).reshape(len(table), *layers, store.dimension)
        for name in ("mean", "std")
    )
    if store.layer is not None:
        number = store.layers.index(store.layer)
        mean, std = mean[:, number], std[:, number]
    utterances = dict(table.select("speaker", "utterances").iter_rows())
    return SpeakerStatistics(utterances, table["frames"].to_list(), mean, std)
