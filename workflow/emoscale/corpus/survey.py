"""Survey of a corpus: digests of what each step reads of it, taken before any step runs.

Snakemake compares them as parameters of the steps. Files count by their content, so the same bytes
rerun nothing wherever they lie and whatever their times are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any

from emoscale.config.corpus import CorpusSettings
from emoscale.corpus.reading import Reading, Utterance, read_corpus
from emoscale.runtime.file_digests import FileDigests
from emoscale.runtime.files import write_json
from emoscale.runtime.provenance import digest


@dataclass(frozen=True)
class Survey:
    """Digests that change with what the steps read; equal ones make nothing rerun."""

    audio: tuple[str, ...]
    """[shards] of the utterances' keys, their places in files, and the files' content."""

    texts: tuple[str, ...]
    """[shards] of the utterances' transcripts and word times."""

    speakers: str
    """Of who speaks each utterance."""

    declared: str
    """Of everything else that the corpus says of its utterances, and of what was left out and why:
    no transcripts."""

    audio_bytes: tuple[int, ...]
    """[shards] of their files together: how much work they are."""


def survey_corpus(settings: CorpusSettings, shards: int, digests: FileDigests) -> Survey:
    """Read the corpus's tables, labels and texts, and digest the content of its audio files.

    Raises `CorpusError` as the reader does.
    """
    reading = read_corpus(settings)
    root = Path(settings.root)
    files = {each.audio: root / each.audio for each in reading.utterances}
    content = dict(zip(files, digests.of(files.values()), strict=True))
    dealt = deal(reading.utterances, shards)
    return Survey(
        audio=tuple(
            digest(
                [
                    [u.utterance, u.audio, u.start, u.end, getattr(content[u.audio], "sha256", "")]
                    for u in shard
                ]
            )
            for shard in dealt
        ),
        texts=tuple(digest([[u.utterance, u.transcript, u.words] for u in s]) for s in dealt),
        speakers=digest([[u.utterance, u.speaker] for shard in dealt for u in shard]),
        declared=_declared(reading),
        audio_bytes=tuple(
            sum(getattr(content[name], "bytes", 0) for name in {u.audio for u in shard})
            for shard in dealt
        ),
    )


def deal(utterances: Sequence[Utterance], shards: int) -> list[list[Utterance]]:
    """The utterances of each shard, sorted by key; some may be empty."""
    dealt: list[list[Utterance]] = [[] for _ in range(shards)]
    for utterance in sorted(utterances, key=lambda each: each.utterance):
        dealt[shard_of(utterance.utterance, shards)].append(utterance)
    return dealt


def shard_of(utterance: str, shards: int) -> int:
    """Number of the shard that holds this utterance, from its key alone: it stays where it is
    whatever else comes or goes."""
    first = hashlib.sha256(utterance.encode()).digest()[:8]
    return int.from_bytes(first, "big") % shards


def write_survey(survey: Survey, path: Path | str) -> None:
    """Keep a survey for when the corpus cannot be read."""
    write_json(path, asdict(survey))


def read_survey(path: Path | str, shards: int) -> Survey | None:
    """What `write_survey` wrote; None where it did not, or for another number of shards."""
    try:
        kept: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        survey = Survey(
            tuple(kept["audio"]),
            tuple(kept["texts"]),
            str(kept["speakers"]),
            str(kept["declared"]),
            tuple(map(int, kept["audio_bytes"])),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return survey if len(survey.audio) == len(survey.texts) == shards else None


def _declared(reading: Reading) -> str:
    by_key = sorted(reading.utterances, key=lambda each: each.utterance)
    rows = [list(astuple(replace(each, transcript=None, words=None))) for each in by_key]
    return digest([reading.corpus, rows, [list(astuple(row)) for row in reading.rejected]])
