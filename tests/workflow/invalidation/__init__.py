"""The invalidation table: for every key of the configuration, which steps a change of it reruns.

The effects are written down here; that Snakemake does just that is shown by test_invalidation.py.
"""
