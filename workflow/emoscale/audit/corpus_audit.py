"""Audit of a corpus: all findings in descending order of severity."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import polars as pl

from emoscale.audit.balance import (
    findings_about_balance,
    findings_about_durations,
    findings_about_labels,
    findings_about_text,
)
from emoscale.audit.confounders import (
    MajorityBaseline,
    findings_about_confounders,
    majority_baselines,
)
from emoscale.audit.finding import AUDIT, ERROR, SEVERITIES, WARNING, Finding
from emoscale.audit.overlaps import findings_about_overlaps
from emoscale.audit.recordings import (
    SAME_RECORDING,
    findings_about_audio_quality,
    findings_about_duplicates,
)
from emoscale.audit.speakers import findings_about_speakers
from emoscale.config.corpus import AuditSettings
from emoscale.runtime.errors import ProtocolError
from emoscale.tables.parquet import dataframe_of

CHECKED_PER_FOLD = (SAME_RECORDING, "repeated text")
"""Kinds of finding that the protocol check reports more exactly, because it knows the folds."""


@dataclass(frozen=True)
class Audit:
    """Results of an audit."""

    findings: pl.DataFrame
    """Findings, with the columns of `AUDIT`."""

    majority_baselines: dict[str, MajorityBaseline]
    """Accuracy of predicting the label from each confounder, by its column."""


def audit_corpus(
    utterances: pl.DataFrame,
    acoustics: pl.DataFrame,
    pairs: pl.DataFrame,
    settings: AuditSettings,
) -> Audit:
    """Audit a labelled corpus.

    Parameters
    ----------
    utterances : DataFrame
        Utterance table with transcripts.
    acoustics : DataFrame
        Acoustic measures (columns of `ACOUSTICS`).
    pairs : DataFrame
        Pairs of utterances that are the same recording (columns of `DUPLICATE_PAIRS`).
    settings : AuditSettings
        Fold unit, tested units and excluded utterances.

    Returns
    -------
    Audit
        Findings and majority-class baselines.
    """
    labelled = utterances.drop_nulls("label")
    baselines = majority_baselines(labelled)
    chance = 1 / labelled["label"].n_unique()
    findings: list[Finding] = [
        *findings_about_duplicates(utterances, pairs, settings),
        *findings_about_overlaps(utterances, pairs, settings),
        *findings_about_speakers(utterances, settings),
        *findings_about_confounders(baselines, chance),
        *findings_about_balance(labelled, settings),
        *findings_about_text(labelled, settings),
        *findings_about_durations(labelled),
        *findings_about_audio_quality(labelled, acoustics),
        *findings_about_labels(utterances, settings.exclude),
    ]
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))  # stable sort
    return Audit(dataframe_of([asdict(finding) for finding in findings], AUDIT), baselines)


def raise_on_errors(findings: pl.DataFrame) -> None:
    """Raise an error if there is a finding of severity `ERROR`.

    Parameters
    ----------
    findings : DataFrame
        Findings, with the columns of `AUDIT`.

    Raises
    ------
    ProtocolError
        With the first such finding, and the number of further ones.
    """
    errors = findings.filter(pl.col("severity") == ERROR)["detail"].to_list()
    if errors:
        further = len(errors) - 1
        more = f" (and {further} more error{'s' * (further > 1)} in the audit)" if further else ""
        raise ProtocolError(f"the corpus violates the protocol: {errors[0]}{more}")


def audit_warnings(findings: pl.DataFrame) -> list[str]:
    """Return the warnings that are shown with every score, one per kind of finding.

    Kinds that the protocol check reports for each fold are left out (`CHECKED_PER_FOLD`).

    Parameters
    ----------
    findings : DataFrame
        Findings, with the columns of `AUDIT`.

    Returns
    -------
    list of str
        The first warning of each kind, with the number of further ones.
    """
    selected = findings.filter(
        pl.col("severity") == WARNING, ~pl.col("finding").is_in(CHECKED_PER_FOLD)
    )
    warnings = []
    for (_,), rows in selected.group_by("finding", maintain_order=True):
        more = f" (and {len(rows) - 1} more in the audit)" if len(rows) > 1 else ""
        warnings.append(rows["detail"][0] + more)
    return warnings
