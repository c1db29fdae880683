"""Digests of what each workflow step reads of a corpus, computed before any step runs.

Snakemake compares them as parameters of the steps. Files are identified by their content, so moved
files or changed file times rerun nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any

from emoscale.config.corpus import (
    CorpusSettings,
    DemoCorpus,
    SeveralCorpora,
    generated_part,
)
from emoscale.corpus.readers import CorpusManifest, Utterance, read_corpus
from emoscale.corpus.shards import split_into_shards
from emoscale.runtime.file_digests import FileDigest, FileDigests
from emoscale.runtime.files import write_json
from emoscale.runtime.provenance import digest

# 16 bits at 16 kHz; compressed files contain more audio, which the margin of the limits covers.
_BYTES_PER_SECOND = 32_000


@dataclass(frozen=True)
class CorpusDigests:
    """Digests of a corpus by what steps read of it; a step is rerun when its digest changes."""

    audio: tuple[str, ...]
    """[shards] Utterance keys, their files with start, end and maximum duration, and the content of
    the files."""

    texts: tuple[str, ...]
    """[shards] Transcripts and word times of the utterances."""

    speakers: str
    """Speaker of each utterance."""

    declared: str
    """All other metadata of the utterances, and the rejected entries; no transcripts."""

    audio_seconds: tuple[float, ...]
    """[shards] Approximate duration of the utterances, seconds: the amount of work."""


def compute_corpus_digests(
    settings: CorpusSettings, shards: int, digests: FileDigests
) -> CorpusDigests:
    """Read a corpus's metadata and texts, and compute the digests of them and of its audio files.

    A generated corpus may not exist yet: its settings count instead.

    Parameters
    ----------
    settings : CorpusSettings
        The corpus of the study.
    shards : int
        Number of shards.
    digests : FileDigests
        Cache of file digests.

    Returns
    -------
    CorpusDigests
        The digests.

    Raises
    ------
    CorpusError
        If the corpus cannot be read.
    """
    generated = _generated_corpora(settings)
    manifest = _read_existing(settings)
    root = Path(settings.root)
    files = {each.audio: root / each.audio for each in manifest.utterances}
    content = dict(zip(files, digests.compute(files.values()), strict=True))
    utterances_of = Counter(each.audio for each in manifest.utterances)
    split = split_into_shards(manifest.utterances, shards)
    return CorpusDigests(
        audio=tuple(
            digest(
                [
                    [
                        *(u.utterance, u.audio, u.start, u.end, u.maximum_seconds),
                        getattr(content[u.audio], "sha256", ""),
                    ]
                    for u in shard
                ]
                + generated
            )
            for shard in split
        ),
        texts=tuple(
            digest([[u.utterance, u.transcript, u.words] for u in shard] + generated)
            for shard in split
        ),
        speakers=digest([[u.utterance, u.speaker] for shard in split for u in shard] + generated),
        declared=_metadata_digest(manifest, generated),
        audio_seconds=tuple(
            sum(_approximate_seconds(u, content[u.audio], utterances_of[u.audio]) for u in shard)
            + _generated_seconds(settings) / shards
            for shard in split
        ),
    )


def write_corpus_digests(digests: CorpusDigests, path: Path | str) -> None:
    """Write digests as JSON, for later starts at which the corpus cannot be read.

    Parameters
    ----------
    digests : CorpusDigests
        The digests.
    path : Path or str
        JSON file to write.
    """
    write_json(path, asdict(digests))


def read_corpus_digests(path: Path | str, shards: int) -> CorpusDigests | None:
    """Read the digests that `write_corpus_digests` wrote.

    Parameters
    ----------
    path : Path or str
        JSON file.
    shards : int
        Number of shards.

    Returns
    -------
    CorpusDigests or None
        None if the file is missing, invalid or for another number of shards.
    """
    try:
        saved: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        digests = CorpusDigests(
            tuple(saved["audio"]),
            tuple(saved["texts"]),
            str(saved["speakers"]),
            str(saved["declared"]),
            tuple(map(float, saved["audio_seconds"])),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return digests if len(digests.audio) == len(digests.texts) == shards else None


def _approximate_seconds(
    utterance: Utterance, content: FileDigest | None, utterances_of_file: int
) -> float:
    """Duration between start and end; without an end, an equal part of the file's size."""
    if utterance.end is not None:
        return max(utterance.end - (utterance.start or 0.0), 0.0)
    if content is None:
        return 0.0  # the file cannot be read, so its utterances will be rejected
    return content.size_bytes / _BYTES_PER_SECOND / utterances_of_file


def _generated_corpora(settings: CorpusSettings) -> list[list[Any]]:
    """Name and settings of each generated corpus."""
    corpora = settings.corpora if isinstance(settings, SeveralCorpora) else {"": settings}
    return [
        [name, corpus.model_dump(mode="json", exclude={"name", "root"})]
        for name, corpus in corpora.items()
        if isinstance(corpus, DemoCorpus)
    ]


def _read_existing(settings: CorpusSettings) -> CorpusManifest:
    """Read a corpus without its generated parts."""
    if isinstance(settings, DemoCorpus):
        return CorpusManifest(settings.reader)
    if isinstance(settings, SeveralCorpora):
        existing = {
            name: corpus
            for name, corpus in settings.corpora.items()
            if not isinstance(corpus, DemoCorpus)
        }
        settings = settings.model_copy(update={"corpora": existing})
    return read_corpus(settings)


def _generated_seconds(settings: CorpusSettings) -> float:
    corpus = generated_part(settings)
    return 3.0 * corpus.sessions * corpus.utterances_per_session if corpus else 0.0


def _metadata_digest(manifest: CorpusManifest, generated: list[list[Any]]) -> str:
    by_key = sorted(manifest.utterances, key=lambda each: each.utterance)
    rows = [list(astuple(replace(each, transcript=None, words=None))) for each in by_key]
    rejected = [list(astuple(row)) for row in manifest.rejected]
    return digest([manifest.corpus, rows, rejected, *generated])
