"""What a step asks of a cluster, from how much work it is; no number of a result depends on it."""
