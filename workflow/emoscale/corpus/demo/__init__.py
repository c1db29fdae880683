"""Synthetic demo corpus in IEMOCAP's layout: generated once, then read with the IEMOCAP reader.

`script` plans the dialogs and labels, `voice` the acoustic properties, `text_to_speech` runs
espeak-ng in a separate process, and `release` writes the files. Scores on this corpus show that the
pipeline works, not how well a model recognises emotion.
"""

from emoscale.corpus.iemocap import read

__all__ = ["read"]
