"""Shards: parts of a corpus that are checked, and whose features are extracted, separately."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from emoscale.corpus.readers import Utterance


def split_into_shards(utterances: Sequence[Utterance], shards: int) -> list[list[Utterance]]:
    """Assign utterances to shards.

    Parameters
    ----------
    utterances : sequence of Utterance
        Utterances of the corpus.
    shards : int
        Number of shards.

    Returns
    -------
    list of list of Utterance
        Utterances of each shard, sorted by key; some may be empty.
    """
    split: list[list[Utterance]] = [[] for _ in range(shards)]
    for utterance in sorted(utterances, key=lambda each: each.utterance):
        split[shard_index(utterance.utterance, shards)].append(utterance)
    return split


def shard_index(utterance: str, shards: int) -> int:
    """Return the shard of an utterance; it depends on the key only, not on other utterances.

    Parameters
    ----------
    utterance : str
        Key of the utterance.
    shards : int
        Number of shards.

    Returns
    -------
    int
        Shard number, from 0.
    """
    prefix = hashlib.sha256(utterance.encode()).digest()[:8]
    return int.from_bytes(prefix, "big") % shards
