"""Which steps share a job of a cluster: those that are short, as many as fill a stated time.

A pack is a group of Snakemake's: its steps are run one after the other in one job, each with its
own files, log and record. What is packed with what decides nothing but when it runs.
"""

from __future__ import annotations

BUCKETS = (8, 16, 32, 64, 128, 256)
"""Seconds; a step belongs to the first that it is expected to fit in."""


def bucket_of(seconds: float) -> int | None:
    """The bucket of a step that is expected to take so long; None: a job of its own.

    >>> bucket_of(13.0), bucket_of(1000.0)
    (16, None)
    """
    return next((bucket for bucket in BUCKETS if seconds <= bucket), None)


def steps_a_job(minutes: float) -> dict[str, int]:
    """How many steps of each bucket fill a job of so many minutes: a profile's `group-components`.

    >>> steps_a_job(10.0)["pack_16s"]
    37
    """
    return {f"pack_{bucket}s": max(1, int(minutes * 60 / bucket)) for bucket in BUCKETS}
