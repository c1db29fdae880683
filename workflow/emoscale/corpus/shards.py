"""Deals utterances to shards, so that each stays in its shard whatever else comes or goes."""

from __future__ import annotations

import hashlib


def shard_of(utterance: str, shards: int) -> int:
    """Number of the shard that holds this utterance, from its key alone."""
    first = hashlib.sha256(utterance.encode()).digest()[:8]
    return int.from_bytes(first, "big") % shards
