"""What a corpus says of its utterances before any audio is read, so that a change touches only its
own steps: digests of each shard's files, of its texts, and of everything that is declared."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

from emoscale.config.corpus import CorpusSettings
from emoscale.corpus.reading import Reading, Utterance, read_corpus
from emoscale.corpus.shards import shard_of
from emoscale.runtime.files import write_json
from emoscale.runtime.provenance import digest


@dataclass(frozen=True)
class Survey:
    """Digests that change with what the steps read; equal ones make nothing rerun."""

    audio: tuple[str, ...]
    """[shards] of the utterances' keys and places, and of their files' sizes and times."""

    texts: tuple[str, ...]
    """[shards] of the utterances' transcripts and word times."""

    declared: str
    """Of everything that the corpus says, and of what was left out and why."""

    audio_bytes: tuple[int, ...] = ()
    """[shards] of their files together: how much work they are; empty: not known."""


def survey_corpus(settings: CorpusSettings, shards: int) -> Survey:
    """Read the corpus's tables, labels and texts, and look at its audio files without opening them.

    Raises `CorpusError` as the reader does.
    """
    reading = read_corpus(settings)
    root = Path(settings.root)
    dealt = deal(reading.utterances, shards)
    return Survey(
        audio=tuple(digest([_file(root, each) for each in shard]) for shard in dealt),
        texts=tuple(
            digest([[each.utterance, each.transcript, each.words] for each in shard])
            for shard in dealt
        ),
        declared=_declared(reading),
        audio_bytes=tuple(_bytes(root, shard) for shard in dealt),
    )


def deal(utterances: Sequence[Utterance], shards: int) -> list[list[Utterance]]:
    """The utterances of each shard, sorted by key; some may be empty."""
    dealt: list[list[Utterance]] = [[] for _ in range(shards)]
    for utterance in sorted(utterances, key=lambda each: each.utterance):
        dealt[shard_of(utterance.utterance, shards)].append(utterance)
    return dealt


def keep_survey(survey: Survey, path: Path | str) -> None:
    """Write down what the corpus was when it was read."""
    write_json(path, asdict(survey))


def kept_survey(path: Path | str, shards: int) -> Survey | None:
    """What `keep_survey` wrote; None where it did not, or for another number of shards."""
    try:
        kept: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        survey = Survey(
            tuple(kept["audio"]),
            tuple(kept["texts"]),
            str(kept["declared"]),
            tuple(map(int, kept.get("audio_bytes", ()))),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return survey if len(survey.audio) == len(survey.texts) == shards else None


def _declared(reading: Reading) -> str:
    by_key = sorted(reading.utterances, key=lambda each: each.utterance)
    rejected = [list(astuple(row)) for row in reading.rejected]
    return digest([reading.corpus, [list(astuple(each)) for each in by_key], rejected])


def _bytes(root: Path, utterances: Sequence[Utterance]) -> int:
    """Each file once, however many utterances are in it."""
    places = {root / each.audio for each in utterances}
    return sum(size for size in map(_size, places) if size > 0)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return 0


def _file(root: Path, utterance: Utterance) -> list[Any]:
    """An utterance's place, with size and time of its file; -1 where there is none."""
    try:
        status = os.stat(root / utterance.audio)
        found = [status.st_size, status.st_mtime_ns]
    except (OSError, ValueError):  # ValueError: a name that no file system knows
        found = [-1, -1]
    return [utterance.utterance, utterance.audio, utterance.start, utterance.end, *found]
