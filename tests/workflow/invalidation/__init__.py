"""The invalidation table: the steps that a change of each configuration key reruns.

`test_invalidation.py` compares the effects in the table with Snakemake's plan.
"""
