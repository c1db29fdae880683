"""Findings about recordings: duplicates, clipping, silence and noise."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from emoscale.audit.duplicates import duplicate_groups, iterate_duplicate_groups
from emoscale.audit.finding import ERROR, NOTE, WARNING, Finding, abbreviate_list
from emoscale.config.corpus import AuditSettings

CLIPPED_FRACTION = 0.001
"""Fraction of clipped samples from which a recording counts as clipped."""

SILENCE_FRACTION = 0.8
"""Fraction of silent frames from which a recording counts as silent."""

LOW_SNR_DB = 5.0
"""Signal-to-noise ratio below which a recording counts as noisy, dB."""

WARNING_FRACTION = 0.05
"""Fraction of affected utterances from which a defect is a warning instead of a note."""

SAME_RECORDING = "same recording"

_PLURAL = {"session": "sessions", "speaker": "speakers", "corpus": "corpora"}


def findings_about_duplicates(
    utterances: pl.DataFrame, pairs: pl.DataFrame, settings: AuditSettings
) -> Iterator[Finding]:
    """Find recordings with several keys.

    They are errors across tested fold units, and warnings within a fold unit.

    Parameters
    ----------
    utterances : DataFrame
        Utterance table, including utterances outside the study.
    pairs : DataFrame
        Columns of `DUPLICATE_PAIRS`.
    settings : AuditSettings
        Fold unit and tested units.

    Yields
    ------
    Finding
        Errors, warnings and notes.
    """
    measures = {
        (row["utterance"], row["other"]): (row["correlation"], _match_text(row))
        for row in pairs.iter_rows(named=True)
    }
    for members in iterate_duplicate_groups(duplicate_groups(pairs), utterances):
        ordered = members.sort(pl.col("label").is_null(), "utterance")
        first, *others = ordered.iter_rows(named=True)
        for other in others:
            units = first[settings.column], other[settings.column]
            one, two = sorted([first["utterance"], other["utterance"]])
            correlation, match_text = measures.get(
                (one, two), (None, "through other utterances of its group")
            )
            detail = f"{one} and {two} are the same recording ({match_text})"
            if first["label"] is None or other["label"] is None:
                severity = NOTE
                detail += "; at least one of them is not in the study"
            elif units[0] != units[1] and settings.tests(*units):
                severity = ERROR
                detail += (
                    f", across two {_PLURAL[settings.unit]} ({' and '.join(units)}), so a model "
                    "would be tested on training data; correct the corpus, or add one of them to "
                    "labels.exclude"
                )
            else:
                severity = WARNING
                detail += "; it is counted twice"
            yield Finding(SAME_RECORDING, severity, one, detail, two, correlation)
            if severity != NOTE and first["label"] != other["label"]:
                labels = f"{first['label']} and {other['label']}"
                yield Finding(
                    "two labels for one recording",
                    WARNING,
                    one,
                    f"{one} and {two} are the same recording, but have the labels {labels}",
                    two,
                )


def findings_about_audio_quality(
    labelled: pl.DataFrame, acoustics: pl.DataFrame
) -> Iterator[Finding]:
    """Find recordings that are clipped, mostly silent, or noisy.

    Parameters
    ----------
    labelled : DataFrame
        Utterance table, utterances of the study only.
    acoustics : DataFrame
        Columns of `ACOUSTICS`.

    Yields
    ------
    Finding
        At most one warning or note for each of clipping, silence and noise.
    """
    measured = labelled.select("utterance").join(acoustics, on="utterance")
    clipped, silent, snr_db = (
        pl.col(name) for name in ("clipped_fraction", "silence_fraction", "snr_db")
    )
    for finding, rows, column, defect in (
        (
            "clipping",
            measured.filter(clipped >= CLIPPED_FRACTION).sort(-clipped, "utterance"),
            "clipped_fraction",
            f"have {CLIPPED_FRACTION:.1%} or more of their samples clipped",
        ),
        (
            "silence",
            measured.filter(silent >= SILENCE_FRACTION).sort(-silent, "utterance"),
            "silence_fraction",
            f"are silent in {SILENCE_FRACTION:.0%} or more of their frames",
        ),
        (
            "noise",
            measured.filter(snr_db < LOW_SNR_DB).sort(snr_db, "utterance"),
            "snr_db",
            f"have an estimated signal-to-noise ratio below {LOW_SNR_DB:.0f} dB",
        ),
    ):
        if not len(rows):
            continue
        fraction = len(rows) / len(measured)
        worst = float(rows[column][0])
        worst_text = f"{worst:.1f} dB" if column == "snr_db" else f"{worst:.1%}"
        detail = (
            f"{len(rows)} of {len(measured)} utterances {defect} (the worst is "
            f"{rows['utterance'][0]}: {worst_text})"
        )
        severity = WARNING if fraction >= WARNING_FRACTION else NOTE
        subject = abbreviate_list(rows["utterance"].to_list())
        yield Finding(finding, severity, subject, detail, value=fraction)


def _match_text(row: dict[str, object]) -> str:
    if row["match"] == "identical":
        return "the same samples"
    return (
        f"correlation {row['correlation']:.3f}; the second {row['gain_db']:+.1f} dB and "
        f"{row['lag_seconds']:+.3f} s"
    )
