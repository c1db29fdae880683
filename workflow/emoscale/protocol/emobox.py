"""Folds of EmoBox, matched with the recordings of a corpus.

References
----------
Ma et al.: "EmoBox: Multilingual Multi-corpus Speech Emotion Recognition Toolkit and Benchmark",
Interspeech 2024. The folds are in the folders `data/<corpus>` of its repository.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath

import polars as pl

from emoscale.runtime.errors import ProtocolError

_FILE = re.compile(r"_(?P<role>train|valid|test)_fold_(?P<fold>\d+)\.jsonl$")
_ROLES = {"train": "train", "valid": "dev", "test": "test"}
_LISTED = {"fold": pl.String, "role": pl.String, "wav": pl.String, "emotion": pl.String}


@dataclass(frozen=True)
class ImportedFolds:
    """Folds of EmoBox with the keys of a corpus."""

    table: pl.DataFrame
    """`utterance`, `fold` and `role`, as `protocol.fold_file` has them, and `emotion`, EmoBox's
    label; null: EmoBox does not list the utterance, which is training data because the fold has no
    list of it."""

    unmatched: list[str]
    """Recordings that EmoBox lists and the corpus does not have."""


def import_folds(folder: Path, recordings: pl.DataFrame) -> ImportedFolds:
    """Read the folds of EmoBox for a corpus.

    A recording is matched by its name without suffix, which is the name of a file or a key of the
    corpus; of several files with this name, the one in the same folders is taken. In a fold without
    a list of the training data, all other recordings are training data; if the fold has a list of
    development data, those in other official splits than train are not.

    Parameters
    ----------
    folder : Path
        Folder with `fold_1`, `fold_2` …, such as `EmoBox/data/cremad`.
    recordings : DataFrame
        All usable recordings of the corpus (schema `RECORDINGS`).

    Returns
    -------
    ImportedFolds
        The folds.

    Raises
    ------
    ProtocolError
        If the folder has no such folds, a line of a list cannot be read, or recordings cannot be
        matched one to one.
    """
    listed = _read_lists(folder)
    index = _RecordingIndex(recordings)
    key_of = {wav: index.key(wav) for wav in listed["wav"].unique(maintain_order=True)}
    keys = pl.Series("utterance", [key_of[wav] for wav in listed["wav"]], dtype=pl.String)
    matched = listed.with_columns(keys).drop_nulls("utterance")
    _check_unique(folder, matched)
    folds = []
    for (name,), fold in matched.select("utterance", "fold", "role", "emotion").group_by(
        "fold", maintain_order=True
    ):
        folds.append(fold)
        if "train" not in listed.filter(fold=name)["role"]:
            others = recordings.join(fold, on="utterance", how="anti")
            if "dev" in fold["role"]:  # MSP-Podcast's official split, which has more test splits
                others = others.filter(pl.col("split").fill_null("train") == "train")
            folds.append(
                others.select(
                    "utterance",
                    fold=pl.lit(name),
                    role=pl.lit("train"),
                    emotion=pl.lit(None, pl.String),
                )
            )
    return ImportedFolds(pl.concat(folds), [wav for wav, key in key_of.items() if key is None])


def describe_folds(folds: ImportedFolds, recordings: pl.DataFrame) -> list[str]:
    """Describe what a user of the folds must know, one line each.

    Parameters
    ----------
    folds : ImportedFolds
        The folds.
    recordings : DataFrame
        All usable recordings of the corpus (schema `RECORDINGS`).

    Returns
    -------
    list of str
        The size of each fold, the test speakers that are also in training or development, other
        labels than the corpus's, and the settings of a study with these folds.
    """
    table = folds.table.join(recordings.select("utterance", "speaker"), on="utterance")
    lines, sharing, incomplete = [], False, False
    for (name,), fold in table.group_by("fold", maintain_order=True):
        counts = ", ".join(
            f"{count:,} {role}" for role, count in fold["role"].value_counts().sort("role").rows()
        )
        tested = {*fold.filter(role="test")["speaker"]}
        known = tested & {*fold.filter(pl.col("role") != "test")["speaker"]}
        unlisted = len(recordings) - len(fold)
        others = " (all others: EmoBox lists none)" if fold["emotion"].null_count() else ""
        sharing, incomplete = sharing or bool(known), incomplete or unlisted > 0
        lines.append(
            f"fold {name}: {counts}{others}; {len(known)} of {len(tested)} test speakers are also "
            "in training or development"
            + (f"; {unlisted:,} recordings are not listed" if unlisted else "")
        )
    differing = _differing_labels(folds.table, recordings)
    if differing:
        lines.append(
            f"EmoBox has another label for {differing:,} of "
            f"{folds.table.drop_nulls('emotion')['utterance'].n_unique():,} recordings; the study "
            "uses the corpus's"
        )
    development = "file" if "dev" in table["role"] else "random"
    settings = f"folds: {table['fold'].n_unique()}, development: {development}"
    settings += ", allow_shared_speakers: true" if sharing else ""
    settings += ", ignore_unmatched: true" if incomplete else ""
    return [*lines, f"protocol: {{fold_unit: file, fold_file: …, {settings}}}"]


def _read_lists(folder: Path) -> pl.DataFrame:
    """Return the listed recordings (`_LISTED`), sorted by the number of the fold."""
    files = sorted(
        (int(match["fold"]), path, _ROLES[match["role"]])
        for path in folder.glob("fold_*/*.jsonl")
        if (match := _FILE.search(path.name)) and path.parent.name == f"fold_{match['fold']}"
    )
    tested = {number for number, _, role in files if role == "test"}
    missing = sorted({number for number, _, _ in files} - tested)
    if missing or not files:
        raise ProtocolError(
            f"{folder} has no list fold_{missing[0] if missing else 1}/…_test_fold_….jsonl; name "
            "the folder of one corpus, such as EmoBox/data/cremad"
        )
    return pl.DataFrame(
        [
            (str(number), role, wav, emotion)
            for number, path, role in files
            for wav, emotion in _read_list(path)
        ],
        schema=_LISTED,
        orient="row",
    )


def _read_list(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the recording and the label of each line."""
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            wav, emotion = str(entry["wav"]), str(entry["emo"])
            _parts(wav)
        except (ValueError, KeyError, TypeError):
            raise ProtocolError(
                f"{path}, line {number}: is not a JSON object with wav and emo; copy the file again"
            ) from None
        yield wav, emotion


class _RecordingIndex:
    """Recordings of a corpus by their names."""

    def __init__(self, recordings: pl.DataFrame) -> None:
        self._candidates: dict[str, dict[str, tuple[str, ...]]] = {}
        for key, audio in recordings.select("utterance", "audio").iter_rows():
            folders = _parts(audio)
            for name in {folders[-1], unicodedata.normalize("NFC", key)}:
                self._candidates.setdefault(name, {})[key] = folders

    def key(self, wav: str) -> str | None:
        """Return the key of a recording of EmoBox; None: the corpus does not have it."""
        parts = _parts(wav)
        candidates = self._candidates.get(parts[-1], {})
        common = {key: _common_ending(parts, folders) for key, folders in candidates.items()}
        longest = max(common.values(), default=0)
        best = [key for key, length in common.items() if length == longest]
        if len(best) > 1:
            raise ProtocolError(
                f"EmoBox's {wav} may be each of {len(best)} utterances of the corpus ("
                f"{', '.join(best[:3])}); give the corpus the folders that EmoBox has"
            )
        return best[0] if best else None


def _parts(path: str) -> tuple[str, ...]:
    """Return the folders and the name without suffix."""
    return PurePosixPath(unicodedata.normalize("NFC", path)).with_suffix("").parts


def _common_ending(one: tuple[str, ...], two: tuple[str, ...]) -> int:
    pairs = zip(reversed(one), reversed(two), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _check_unique(folder: Path, matched: pl.DataFrame) -> None:
    twice = matched.filter(pl.struct("utterance", "fold").is_duplicated())
    if len(twice):
        key, fold = twice["utterance"][0], twice["fold"][0]
        lines = twice.filter(utterance=key, fold=fold)
        raise ProtocolError(
            f"{folder}, fold {fold}: {' and '.join(lines['wav'].unique().sort())} in the roles "
            f"{' and '.join(lines['role'].unique().sort())} are the same utterance of the corpus, "
            f"{key}; complete the corpus, or correct the lists"
        )


def _differing_labels(table: pl.DataFrame, recordings: pl.DataFrame) -> int:
    """Count the recordings whose label is not what EmoBox's label usually is in the corpus."""
    pairs = (
        table.drop_nulls("emotion")
        .unique("utterance")
        .join(recordings.select("utterance", corpus_label="emotion"), on="utterance")
        .group_by("emotion", "corpus_label")
        .len()
    )
    usual = pairs.group_by("emotion").agg(pl.col("len").max())
    return int(pairs["len"].sum()) - int(usual["len"].sum())
