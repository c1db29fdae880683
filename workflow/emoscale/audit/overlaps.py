"""Utterances of one audio file that overlap in time, and findings about them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from emoscale.audit.finding import ERROR, NOTE, WARNING, Finding
from emoscale.config.corpus import AuditSettings

OVERLAP_SECONDS = 0.1
"""Longest overlap that is tolerated, seconds: the precision of start and end."""


def overlapping_utterances(
    utterances: pl.DataFrame,
) -> Iterator[tuple[dict[str, Any], dict[str, Any], float]]:
    """Find utterances that share more than `OVERLAP_SECONDS` of one audio file.

    Utterances with identical samples are left out: they are duplicates.

    Parameters
    ----------
    utterances : DataFrame
        Utterance table, or any table with its columns `utterance`, `audio`, `start`, `end`,
        `seconds` and `audio_sha256`.

    Yields
    ------
    tuple
        Two rows of the table, sorted by key, and their overlap in seconds.
    """
    first = pl.col("start").fill_null(0.0)
    placed = utterances.filter(pl.len().over("audio") > 1).with_columns(
        first.alias("_first"), pl.coalesce("end", first + pl.col("seconds")).alias("_last")
    )
    earlier: list[dict[str, Any]] = []
    for row in placed.sort("audio", "_first", "utterance").iter_rows(named=True):
        earlier = [
            other
            for other in earlier
            if other["audio"] == row["audio"] and other["_last"] - row["_first"] > OVERLAP_SECONDS
        ]
        for other in earlier:
            seconds = round(min(other["_last"], row["_last"]) - row["_first"], 3)
            if seconds > OVERLAP_SECONDS and other["audio_sha256"] != row["audio_sha256"]:
                one, two = sorted((other, row), key=lambda each: str(each["utterance"]))
                yield one, two, seconds
        earlier.append(row)


def findings_about_overlaps(
    utterances: pl.DataFrame, pairs: pl.DataFrame, settings: AuditSettings
) -> Iterator[Finding]:
    """Find audio files with utterances that overlap.

    They are errors across tested fold units, and warnings within a fold unit.

    Parameters
    ----------
    utterances : DataFrame
        Utterance table, including utterances outside the study.
    pairs : DataFrame
        Columns of `DUPLICATE_PAIRS`; pairs that are the same recording have a finding of their own.
    settings : AuditSettings
        Fold unit and tested units.

    Yields
    ------
    Finding
        One error, warning or note per file and severity, about the longest overlap.
    """
    same_recording = set(pairs.select("utterance", "other").iter_rows())
    overlaps: dict[tuple[str, str], list[tuple[float, str, str, list[str]]]] = {}
    for one, two, seconds in overlapping_utterances(utterances):
        if (one["utterance"], two["utterance"]) in same_recording:
            continue
        units = sorted({one[settings.column], two[settings.column]})
        if one["label"] is None or two["label"] is None:
            severity = NOTE
        else:
            severity = ERROR if len(units) > 1 and settings.tests(*units) else WARNING
        overlap = (seconds, one["utterance"], two["utterance"], units)
        overlaps.setdefault((one["audio"], severity), []).append(overlap)
    for (audio, severity), of_file in overlaps.items():
        seconds, utterance, other, units = max(of_file, key=lambda overlap: overlap[0])
        detail = f"{utterance} and {other} overlap by {seconds:.2f} s in {audio}"
        if len(of_file) > 1:
            detail += f" ({len(of_file)} pairs of its utterances overlap)"
        if severity == NOTE:
            detail += ", and at least one of them is not in the study"
        elif severity == WARNING:
            detail += ", so the audio that they share is counted twice"
        else:
            detail += (
                f", in the {settings.unit} {units[0]} and in the {settings.unit} {units[1]}, so a "
                "model would be tested on training data; correct their start and end, or add one "
                "of them to labels.exclude"
            )
        yield Finding("overlapping utterances", severity, utterance, detail, other, seconds)
