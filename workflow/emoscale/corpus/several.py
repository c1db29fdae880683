"""Several corpora as one: each with its own reader, all names with the corpus's before them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

from emoscale.config.corpus import OF_CORPUS, SeveralCorpora
from emoscale.corpus.reading import Reading, Utterance, read_corpus
from emoscale.runtime.errors import CorpusError


def read(settings: SeveralCorpora) -> Reading:
    """Every utterance of every corpus, its audio relative to the common root.

    Raises `CorpusError`, naming the corpus, where one of them is not what its reader expects.
    """
    together = Reading(settings.reader)
    for name, corpus in settings.within().items():
        try:
            own = read_corpus(corpus)
        except CorpusError as error:
            raise CorpusError(
                f"corpus.corpora.{name} (whose root is relative to corpus.root): {error}"
            ) from None
        folder = PurePosixPath(settings.corpora[name].root)
        for utterance in own.utterances:
            together.add(_within(utterance, name, folder), str(folder / utterance.audio))
        for row in own.rejected:
            together.reject(
                str(folder / row.file),
                row.reason,
                row.detail,
                utterance=row.utterance and _name_within(name, row.utterance),
                location=row.location,
            )
    return together


def _within(utterance: Utterance, corpus: str, folder: PurePosixPath) -> Utterance:
    """The same utterance as one of several corpora."""
    return replace(
        utterance,
        corpus=corpus,
        utterance=_name_within(corpus, utterance.utterance),
        audio=str(folder / utterance.audio),
        speaker=_name_within(corpus, utterance.speaker),
        session=utterance.session and _name_within(corpus, utterance.session),
        dialog=utterance.dialog and _name_within(corpus, utterance.dialog),
    )


def _name_within(corpus: str, name: str) -> str:
    return f"{corpus}{OF_CORPUS}{name}"
