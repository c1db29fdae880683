"""Deals utterances to shards, so that each stays in its shard whatever else comes or goes."""

from __future__ import annotations

import hashlib

import polars as pl

from emoscale.tables import SHARD


def shard_of(utterance: str, shards: int) -> int:
    """Number of the shard that holds this utterance, from its key alone."""
    first = hashlib.sha256(utterance.encode()).digest()[:8]
    return int.from_bytes(first, "big") % shards


def deal_shards(recordings: pl.DataFrame, shards: int) -> list[pl.DataFrame]:
    """The recordings' extraction columns, a table a shard, sorted by key; some may be empty."""
    numbered = recordings.select(SHARD.names).with_columns(
        _shard=pl.Series([shard_of(key, shards) for key in recordings["utterance"]], dtype=pl.Int64)
    )
    return [
        numbered.filter(pl.col("_shard") == number).drop("_shard").sort("utterance")
        for number in range(shards)
    ]
