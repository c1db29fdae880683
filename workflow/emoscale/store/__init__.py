"""The sharded feature store: HDF5 shards, written once, verified and read by utterance key."""

from emoscale.store.index import FeatureStore, index_shards
from emoscale.store.shard import ShardContents, ShardHeader, read_header, read_shard
from emoscale.store.writer import ShardWriter, write_shard

__all__ = [
    "FeatureStore",
    "ShardContents",
    "ShardHeader",
    "ShardWriter",
    "index_shards",
    "read_header",
    "read_shard",
    "write_shard",
]
