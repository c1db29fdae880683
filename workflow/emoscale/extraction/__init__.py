"""From a shard of the corpus to a shard of features."""
