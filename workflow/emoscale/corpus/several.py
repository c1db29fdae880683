"""Several corpora read as one; utterance and speaker names are prefixed with the corpus's name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

from emoscale.config.corpus import CORPUS_SEPARATOR, SeveralCorpora
from emoscale.corpus.readers import CorpusManifest, Utterance, read_corpus
from emoscale.runtime.errors import CorpusError


def read(settings: SeveralCorpora) -> CorpusManifest:
    """Read every corpus; audio paths are relative to the common root.

    Parameters
    ----------
    settings : SeveralCorpora
        The corpora.

    Returns
    -------
    CorpusManifest
        Utterances and rejected entries of all corpora.

    Raises
    ------
    CorpusError
        If one of the corpora cannot be read; the message names it.
    """
    combined = CorpusManifest(settings.reader)
    for name, corpus in settings.within().items():
        try:
            manifest = read_corpus(corpus)
        except CorpusError as error:
            raise CorpusError(
                f"corpus.corpora.{name} (whose root is relative to corpus.root): {error}"
            ) from None
        folder = PurePosixPath(settings.corpora[name].root)
        for utterance in manifest.utterances:
            combined.add(_prefixed(utterance, name, folder), str(folder / utterance.audio))
        for row in manifest.rejected:
            combined.reject(
                str(folder / row.file),
                row.reason,
                row.detail,
                utterance=row.utterance and _prefixed_name(name, row.utterance),
                location=row.location,
            )
    return combined


def _prefixed(utterance: Utterance, corpus: str, folder: PurePosixPath) -> Utterance:
    """Copy of an utterance with the corpus's name in its names and the folder in its path."""
    return replace(
        utterance,
        corpus=corpus,
        utterance=_prefixed_name(corpus, utterance.utterance),
        audio=str(folder / utterance.audio),
        speaker=_prefixed_name(corpus, utterance.speaker),
        session=utterance.session and _prefixed_name(corpus, utterance.session),
        dialog=utterance.dialog and _prefixed_name(corpus, utterance.dialog),
    )


def _prefixed_name(corpus: str, name: str) -> str:
    return f"{corpus}{CORPUS_SEPARATOR}{name}"
