"""All findings about a corpus, the gravest first."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import polars as pl

from emoscale.audit.balance import (
    findings_about_balance,
    findings_about_durations,
    findings_about_labels,
    findings_about_text,
)
from emoscale.audit.finding import AUDIT, BREAKS, SEVERITIES, WEAKENS, Finding
from emoscale.audit.guessing import Guess
from emoscale.audit.people import findings_about_guesses, findings_about_speakers, guesses
from emoscale.audit.sound import (
    SAME_RECORDING,
    findings_about_same_recordings,
    findings_about_sound,
)
from emoscale.config.corpus import AuditSettings
from emoscale.runtime.errors import ProtocolError
from emoscale.tables.parquet import dataframe_of

SAID_OF_FOLDS = (SAME_RECORDING, "repeated text")
"""What the check of the protocol says more exactly, because it knows the folds."""


@dataclass(frozen=True)
class Audit:
    """What an audit found."""

    findings: pl.DataFrame
    """Columns of `AUDIT`."""

    guesses: dict[str, Guess]
    """How far each property alone tells the label, by its column."""


def audit_corpus(
    utterances: pl.DataFrame,
    acoustics: pl.DataFrame,
    pairs: pl.DataFrame,
    settings: AuditSettings,
) -> Audit:
    """Look through a labelled corpus.

    `utterances` are the utterance table, `acoustics` and `pairs` what was measured (`ACOUSTICS`,
    `SAME_RECORDINGS`).
    """
    labelled = utterances.drop_nulls("label")
    guessed = guesses(labelled)
    chance = 1 / labelled["label"].n_unique()
    found: list[Finding] = [
        *findings_about_same_recordings(utterances, pairs, settings),
        *findings_about_speakers(utterances, settings),
        *findings_about_guesses(guessed, chance),
        *findings_about_balance(labelled, settings),
        *findings_about_text(labelled, settings),
        *findings_about_durations(labelled),
        *findings_about_sound(labelled, acoustics),
        *findings_about_labels(utterances, settings.exclude),
    ]
    found.sort(key=lambda finding: SEVERITIES.index(finding.severity))  # stable within
    return Audit(dataframe_of([asdict(finding) for finding in found], AUDIT), guessed)


def raise_on_errors(findings: pl.DataFrame) -> None:
    """Raise `ProtocolError` with the first finding that breaks, and how many more there are."""
    breaking = findings.filter(pl.col("severity") == BREAKS)["detail"].to_list()
    if breaking:
        more = f" ({len(breaking) - 1} more break the protocol)" if len(breaking) > 1 else ""
        raise ProtocolError(f"the corpus breaks the protocol: {breaking[0]}{more}")


def audit_warnings(findings: pl.DataFrame) -> list[str]:
    """Sentences that belong beside the scores: one a kind of finding that weakens them."""
    weakening = findings.filter(
        pl.col("severity") == WEAKENS, ~pl.col("finding").is_in(SAID_OF_FOLDS)
    )
    warnings = []
    for (_,), rows in weakening.group_by("finding", maintain_order=True):
        more = f" (and {len(rows) - 1} more in the audit)" if len(rows) > 1 else ""
        warnings.append(rows["detail"][0] + more)
    return warnings
