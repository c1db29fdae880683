"""Recordings that stand under several keys, are clipped, empty or noisy."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from emoscale.audit.finding import BREAKS, NOTE, WEAKENS, Finding, named
from emoscale.audit.same_recordings import duplicate_groups, groups_within
from emoscale.config.corpus import AuditSettings

CLIPPED_SHARE = 0.001
"""Share of clipped samples from which on a recording counts as clipped."""

SILENT_SHARE = 0.8
NOISY_DB = 5.0
WEAKENING_SHARE = 0.05
"""A fault of so many of the study's utterances weakens its scores."""

SAME_RECORDING = "same recording"

_PLURAL = {"session": "sessions", "speaker": "speakers", "corpus": "corpora"}


def findings_about_same_recordings(
    utterances: pl.DataFrame, pairs: pl.DataFrame, settings: AuditSettings
) -> Iterator[Finding]:
    """Recordings under several keys: across fold units they break, within one they weaken."""
    details = {
        (row["utterance"], row["other"]): (row["correlation"], _how(row))
        for row in pairs.iter_rows(named=True)
    }
    for members in groups_within(duplicate_groups(pairs), utterances):
        ordered = members.sort(pl.col("label").is_null(), "utterance")
        first, *others = ordered.iter_rows(named=True)
        for other in others:
            units = first[settings.column], other[settings.column]
            one, two = sorted([first["utterance"], other["utterance"]])
            value, how = details.get((one, two), (None, "through others of its group"))
            detail = f"{one} and {two} are the same recording ({how})"
            if first["label"] is None or other["label"] is None:
                severity = NOTE
                detail += "; not both are in the study"
            elif units[0] != units[1] and settings.tests(*units):
                severity = BREAKS
                detail += (
                    f", and stand under two {_PLURAL[settings.unit]} ({' and '.join(units)}), so "
                    "a model would be tested with what it learned; correct the corpus, or put one "
                    "of them under labels.exclude"
                )
            else:
                severity = WEAKENS
                detail += "; it counts twice"
            yield Finding(SAME_RECORDING, severity, one, detail, two, value)
            if severity != NOTE and first["label"] != other["label"]:
                both = f"{first['label']} and {other['label']}"
                yield Finding(
                    "two labels for one recording",
                    WEAKENS,
                    one,
                    f"{one} and {two} are the same recording, and its labels are {both}",
                    two,
                )


def findings_about_sound(labelled: pl.DataFrame, acoustics: pl.DataFrame) -> Iterator[Finding]:
    """Clipped recordings, and such that hold little but silence, or much noise."""
    measured = labelled.select("utterance").join(acoustics, on="utterance")
    clipped, silent, noise = (
        pl.col(name) for name in ("clipped_fraction", "silence_fraction", "snr_db")
    )
    for finding, rows, column, what in (
        (
            "clipping",
            measured.filter(clipped >= CLIPPED_SHARE).sort(-clipped, "utterance"),
            "clipped_fraction",
            f"have {CLIPPED_SHARE:.1%} or more of their samples clipped",
        ),
        (
            "silence",
            measured.filter(silent >= SILENT_SHARE).sort(-silent, "utterance"),
            "silence_fraction",
            f"are silent in {SILENT_SHARE:.0%} or more of their frames",
        ),
        (
            "noise",
            measured.filter(noise < NOISY_DB).sort(noise, "utterance"),
            "snr_db",
            f"have an estimated signal-to-noise ratio below {NOISY_DB:.0f} dB",
        ),
    ):
        if not len(rows):
            continue
        share = len(rows) / len(measured)
        worst = float(rows[column][0])
        text = f"{worst:.1f} dB" if column == "snr_db" else f"{worst:.1%}"
        detail = (
            f"{len(rows)} of {len(measured)} utterances {what} (the worst is "
            f"{rows['utterance'][0]}: {text})"
        )
        severity = WEAKENS if share >= WEAKENING_SHARE else NOTE
        yield Finding(finding, severity, named(rows["utterance"].to_list()), detail, value=share)


def _how(row: dict[str, object]) -> str:
    if row["match"] == "identical":
        return "the same samples"
    return (
        f"correlation {row['correlation']:.3f}; the second {row['gain_db']:+.1f} dB and "
        f"{row['lag_seconds']:+.3f} s"
    )
