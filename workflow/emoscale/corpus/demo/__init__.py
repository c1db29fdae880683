"""A synthetic corpus in IEMOCAP's layout: generated once, then read as IEMOCAP is.

What is said stands in `script`, how it sounds in `voice`, the speaking itself (espeak-ng, in a
process of its own) in `speak`, and the files in `release`. Scores on it say that the pipeline
works, never how well anything recognises emotion.
"""

from emoscale.corpus.iemocap import read

__all__ = ["read"]
