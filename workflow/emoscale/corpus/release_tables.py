"""Published corpora whose labels are in tables: recordings by name, votes, and numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from emoscale.corpus.files import corpus_files
from emoscale.corpus.readers import CorpusManifest

NO_AGREEMENT = "no agreement"
"""Label of an utterance whose raters chose no label more often than all others."""


def recordings_by_name(root: Path, folder: str, manifest: CorpusManifest) -> dict[str, str]:
    """List the recordings in a folder and its subfolders.

    Parameters
    ----------
    root : Path
        The corpus root.
    folder : str
        The folder, relative to the root; one that does not exist has no recordings.
    manifest : CorpusManifest
        Rejects recordings of the same name as another one.

    Returns
    -------
    dict of str to str
        Path relative to the root, by name without suffix. A reader removes those with a label.
    """
    paths: dict[str, str] = {}
    if not (root / folder).is_dir():
        return paths
    for name in corpus_files(root / folder, manifest):
        path = str(PurePosixPath(folder, name))
        stem = PurePosixPath(name).stem
        if stem in paths:
            manifest.reject(
                path, "duplicate key", f"{stem} is already read from {paths[stem]}", utterance=stem
            )
        paths.setdefault(stem, path)
    return paths


def reject_unlabelled(recordings: Mapping[str, str], manifest: CorpusManifest) -> None:
    """Reject the recordings without a label.

    Parameters
    ----------
    recordings : mapping of str to str
        Path by name.
    manifest : CorpusManifest
        Receives the entries.
    """
    for name, path in recordings.items():
        manifest.reject(path, "no label", f"{name} has a recording and no label", utterance=name)


def vote_list(votes: Iterable[tuple[str, str]]) -> list[dict[str, str]] | None:
    """Return the votes of an utterance, each once: some releases repeat rows.

    Parameters
    ----------
    votes : iterable of tuple
        Rater and label.

    Returns
    -------
    list of dict or None
        `rater` and `label`; None without a vote.

    Examples
    --------
    >>> vote_list([("E1", "anger"), ("E2", "neutral"), ("E1", "anger")])
    [{'rater': 'E1', 'label': 'anger'}, {'rater': 'E2', 'label': 'neutral'}]
    """
    return [{"rater": rater, "label": label} for rater, label in dict.fromkeys(votes)] or None


def plurality(counts: Mapping[str, int]) -> str:
    """Return the label with most votes.

    Parameters
    ----------
    counts : mapping of str to int
        Number of votes for each label.

    Returns
    -------
    str
        The label; `NO_AGREEMENT` for a tie.

    Examples
    --------
    >>> plurality({"anger": 2, "neutral": 1}), plurality({"anger": 1, "neutral": 1})
    ('anger', 'no agreement')
    """
    first, *others = [name for name, count in counts.items() if count == max(counts.values())]
    return NO_AGREEMENT if others else first


def number(text: str) -> float | None:
    """Return the number that a field states.

    Parameters
    ----------
    text : str
        The field.

    Returns
    -------
    float or None
        The number; None for anything else, such as an empty field or NaN.
    """
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
