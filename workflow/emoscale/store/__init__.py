"""The sharded feature store: HDF5 shards, written once, verified and read by utterance key."""
