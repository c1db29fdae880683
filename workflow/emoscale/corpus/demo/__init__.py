"""Synthetic demo corpus in IEMOCAP's layout: generated once, then read with the IEMOCAP reader.

`script` plans the dialogs and labels, `voice` the acoustic properties, `text_to_speech` runs
espeak-ng in a separate process, and `release` writes the files. Scores on this corpus show that the
pipeline works, not how well a model recognises emotion.
"""

from pathlib import Path

from emoscale.config.corpus import DemoCorpus
from emoscale.corpus.readers import CorpusManifest
from emoscale.corpus.releases.iemocap import read_sessions


def read(settings: DemoCorpus) -> CorpusManifest:
    """Read the generated corpus.

    Parameters
    ----------
    settings : DemoCorpus
        Root of the corpus.

    Returns
    -------
    CorpusManifest
        The utterances, and the entries that are faulty on purpose.

    Raises
    ------
    CorpusError
        If it has not been generated.
    """
    manifest = CorpusManifest(settings.reader)
    read_sessions(Path(settings.root), None, manifest)
    return manifest
