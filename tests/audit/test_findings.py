"""Each planted defect is found; a corpus without defects has no findings."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from emoscale.audit.confounders import majority_baseline
from emoscale.audit.corpus_audit import audit_corpus, audit_warnings, raise_on_errors
from emoscale.audit.finding import AUDIT
from emoscale.config.corpus import AuditSettings
from emoscale.runtime.errors import ProtocolError
from emoscale.tables.parquet import read_table, write_table
from tests.audit.corpus import CLASSES, changed, clean_acoustics, clean_utterances, pairs

NAME = pl.col("utterance")
SESSIONS = AuditSettings(unit="session")


def findings(
    utterances: pl.DataFrame,
    duplicate_pairs: pl.DataFrame | None = None,
    acoustics: pl.DataFrame | None = None,
    unit: str = "session",
    **settings: list[str],
) -> list[dict[str, object]]:
    measures = clean_acoustics(utterances) if acoustics is None else acoustics
    audit_settings = AuditSettings.model_validate({"unit": unit, **settings})
    pair_table = pairs() if duplicate_pairs is None else duplicate_pairs
    audit = audit_corpus(utterances, measures, pair_table, audit_settings)
    return audit.findings.to_dicts()


def single_finding(rows: list[dict[str, object]]) -> tuple[object, object, str]:
    (row,) = rows
    return row["finding"], row["severity"], str(row["detail"])


@pytest.mark.parametrize("unit", ["session", "speaker"])
def test_a_clean_corpus_has_no_findings(unit: str) -> None:
    assert findings(clean_utterances(), unit=unit) == []


def test_duplicates_across_session_folds_are_errors() -> None:
    finding, severity, detail = single_finding(
        findings(clean_utterances(), pairs(("s0F000", "s3F000")))
    )
    assert (finding, severity) == ("same recording", "error")
    assert "s0F000 and s3F000 are the same recording" in detail
    assert "correlation 0.990; the second -12.0 dB and +0.100 s" in detail
    assert "across two sessions (s0 and s3)" in detail
    assert "labels.exclude" in detail


def test_duplicates_within_a_session_fold_are_warnings() -> None:
    utterances = clean_utterances()
    finding, severity, detail = single_finding(findings(utterances, pairs(("s0F000", "s0M000"))))
    assert (finding, severity) == ("same recording", "warning")
    assert "it is counted twice" in detail
    _, severity, detail = single_finding(
        findings(utterances, pairs(("s0F000", "s0M000")), unit="speaker")
    )
    assert severity == "error"
    assert "across two speakers (s0F and s0M)" in detail


def test_duplicates_in_untested_units_or_table_folds_are_warnings() -> None:
    """Only tested units are certainly separate; the folds of a table are unknown to the audit."""
    utterances, pair = clean_utterances(), pairs(("s0F000", "s3F000"))
    assert single_finding(findings(utterances, pair, test_units=["s1"]))[1] == "warning"
    assert single_finding(findings(utterances, pair, test_units=["s3"]))[1] == "error"
    assert single_finding(findings(utterances, pair, unit="file"))[1] == "warning"
    shared_speaker = changed(utterances, NAME == "s1F005", speaker="s4F")
    assert single_finding(findings(shared_speaker, test_units=["s2"]))[1] == "note"
    missing_class = (pl.col("session") == "s2") & (pl.col("label") == "sadness")
    rows = findings(changed(utterances, missing_class, label=None), test_units=["s1"])
    assert {row["severity"] for row in rows} == {"note"}


def test_duplicates_with_different_labels() -> None:
    rows = findings(clean_utterances(), pairs(("s0F000", "s0F001"), how="identical"))
    assert [row["finding"] for row in rows] == ["same recording", "two labels for one recording"]
    assert "the same samples" in str(rows[0]["detail"])
    assert "anger and happiness" in str(rows[1]["detail"])


def test_a_recording_with_three_keys_has_two_findings() -> None:
    rows = findings(clean_utterances(), pairs(("s0F000", "s0F004"), ("s0F004", "s0F008")))
    assert [(row["subject"], row["other"]) for row in rows] == [
        ("s0F000", "s0F004"),
        ("s0F000", "s0F008"),
    ]


def parts_of_one_file(*names: str, start: float = 2.0) -> pl.DataFrame:
    """Utterances are parts of one file, each of 2.5 s, and begin every `start` seconds."""
    table = clean_utterances()
    for number, name in enumerate(names):
        first = start * number
        where = pl.col("utterance").eq(name)
        table = changed(table, where, audio="dialogue.wav", start=first, end=first + 2.5)
    return table


def test_overlapping_utterances_across_session_folds_are_errors() -> None:
    table = parts_of_one_file("s0F000", "s3F000")
    finding, severity, detail = single_finding(findings(table))
    assert (finding, severity) == ("overlapping utterances", "error")
    assert "s0F000 and s3F000 overlap by 0.50 s in dialogue.wav" in detail
    assert "in the session s0 and in the session s3" in detail
    assert "labels.exclude" in detail
    assert single_finding(findings(table, unit="file"))[1] == "warning"
    assert single_finding(findings(table, test_units=["s1"]))[1] == "warning"
    assert findings(parts_of_one_file("s0F000", "s3F000", start=2.4)) == []
    assert single_finding(findings(table, pairs(("s0F000", "s3F000"))))[0] == "same recording"


def test_a_file_has_one_finding_of_overlapping_utterances() -> None:
    finding, severity, detail = single_finding(
        findings(parts_of_one_file("s0F000", "s0F001", "s0F002"))
    )
    assert (finding, severity) == ("overlapping utterances", "warning")
    assert "(2 pairs of its utterances overlap), so the audio that they share is counted" in detail
    assert "; " not in detail  # separates the notes of a score


def test_a_whole_file_overlaps_its_parts() -> None:
    table = changed(
        parts_of_one_file("s0F000"), NAME == "s0F001", audio="dialogue.wav", seconds=9.0
    )
    assert "overlap by 2.50 s" in single_finding(findings(table))[2]


def test_excluded_utterances_are_notes() -> None:
    table = changed(clean_utterances(), NAME == "s3F000", label=None)
    rows = findings(table, pairs(("s0F000", "s3F000")), exclude=["s3F000"])
    assert [row["severity"] for row in rows] == ["note", "note"]
    assert "labels.exclude leaves out 1 utterances: s3F000" in str(rows[1]["detail"])


@pytest.mark.parametrize("unit", ["session", "speaker"])
def test_conflicting_sex_labels_are_errors(unit: str) -> None:
    table = changed(clean_utterances(), NAME == "s1F005", sex="M")
    finding, severity, detail = single_finding(findings(table, unit=unit))
    assert (finding, severity) == ("speaker of two sexes", "error")
    assert "speaker s1F is labelled with two sexes (s1F000 and s1F005 differ)" in detail


def test_conflicting_sex_labels_outside_the_study_are_notes() -> None:
    table = changed(clean_utterances(), NAME == "s1F005", sex="M", label=None)
    _, severity, _ = single_finding(findings(table))
    assert severity == "note"


def test_speakers_in_two_session_folds_are_errors() -> None:
    table = changed(clean_utterances(), NAME == "s1F005", speaker="s4F")
    finding, severity, detail = single_finding(findings(table))
    assert (finding, severity) == ("speaker in two sessions", "error")
    assert "speaker s4F speaks in the sessions s1 and s4" in detail
    assert single_finding(findings(table, unit="speaker"))[1] == "note"


@pytest.mark.parametrize(("column", "text"), [("speaker", "the speaker"), ("sex", "the speaker's")])
def test_labels_that_follow_speakers(column: str, text: str) -> None:
    table = clean_utterances()
    women = pl.when(pl.col("sex") == "F").then(pl.lit("anger")).otherwise(pl.lit("sadness"))
    rows = findings(table.with_columns(label=women))
    (row,) = [row for row in rows if row["subject"] == column]
    assert row["severity"] == "warning"
    assert row["value"] == 1.0
    assert str(row["detail"]).startswith(text)
    assert "predicts the label with a UA of 100%" in str(row["detail"])


def test_labels_that_follow_the_recording_format() -> None:
    table = changed(clean_utterances(), pl.col("label") == "anger", sample_rate=44_100)
    finding, severity, _ = single_finding(findings(table))
    assert (finding, severity) == ("labels follow the file's sample rate", "warning")


def test_false_positive_rate_on_small_corpora() -> None:
    """With 8 labels per speaker, the majority-class baseline always exceeds chance."""
    false_positives = 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        table = pl.DataFrame(
            {
                "speaker": [f"s{number % 10}" for number in range(80)],
                "label": generator.choice(CLASSES, 80),
            }
        )
        baseline = majority_baseline("speaker", table)
        assert baseline is not None
        assert baseline.unweighted_accuracy > 0.3  # chance is 0.25
        false_positives += baseline.p_value < 0.05
    assert false_positives <= 6  # of 40 at the 5 % level: 2 expected, P(more than 6) = 1/400


def test_repeated_text_by_style() -> None:
    table = changed(clean_utterances(), pl.col("style") == "scripted", text_key="the same line")
    table = changed(table, NAME.is_in(["s0F000", "s0M000"]), text_key="text of one session")
    finding, severity, detail = single_finding(findings(table))
    assert (finding, severity) == ("repeated text", "warning")
    assert detail.startswith("scripted: 100% of the utterances with a transcript")
    assert len(findings(table, unit="speaker")) == 2


def test_classes_missing_from_a_session() -> None:
    missing_class = (pl.col("session") == "s2") & (pl.col("label") == "sadness")
    table = changed(clean_utterances(), missing_class, label=None)
    rows = [row for row in findings(table) if "missing" in str(row["finding"])]
    assert [(row["subject"], row["severity"]) for row in rows] == [
        ("s2", "error"),
        ("s2F", "note"),
        ("s2M", "note"),
    ]
    severities = {row["severity"] for row in findings(table, unit="speaker")}
    assert severities == {"note"}


def test_uneven_classes_and_speakers() -> None:
    table = clean_utterances()
    rare_class = table.filter((pl.col("label") != "sadness") | NAME.str.ends_with("003"))
    names = {row["finding"] for row in findings(rare_class, acoustics=clean_acoustics(rare_class))}
    assert "uneven classes" in names
    rare_speaker = table.filter((pl.col("speaker") != "s0F") | (NAME < "s0F004"))
    rows = findings(rare_speaker, acoustics=clean_acoustics(rare_speaker))
    assert ("uneven speakers", "s0F") in {(row["finding"], row["other"]) for row in rows}


@pytest.mark.parametrize(("utterances", "is_expected"), [(36, False), (37, True)])
def test_a_speaker_with_over_a_third_of_the_utterances(utterances: int, is_expected: bool) -> None:
    """The other nine speakers have 72 utterances, so 36 are a third of all."""
    counts = pl.when(pl.col("speaker") == "s0F").then(utterances).otherwise(8)
    table = clean_utterances(utterances_per_speaker=40).filter(
        pl.col("utterance").str.slice(-3).cast(pl.Int64) < counts
    )
    rows = findings(table, acoustics=clean_acoustics(table))
    dominant = [row for row in rows if row["finding"] == "one speaker dominates"]
    assert bool(dominant) == is_expected
    for row in dominant:
        assert (row["severity"], row["subject"], row["value"]) == ("warning", "s0F", 37 / 109)
        assert str(row["detail"]).startswith("speaker s0F has 34% of the utterances, so")


@pytest.mark.parametrize(
    ("column", "value", "finding"),
    [
        ("clipped_fraction", 0.02, "clipping"),
        ("silence_fraction", 0.9, "silence"),
        ("snr_db", 1.0, "noise"),
    ],
)
def test_audio_defects(column: str, value: float, finding: str) -> None:
    utterances = clean_utterances()
    acoustics = clean_acoustics(utterances)
    one_defect = changed(acoustics, NAME == "s0F000", **{column: value})
    name, severity, detail = single_finding(findings(utterances, acoustics=one_defect))
    assert (name, severity) == (finding, "note")
    assert "1 of 240 utterances" in detail
    assert "s0F000" in detail
    many_defects = changed(acoustics, NAME.str.starts_with("s0F"), **{column: value})
    assert single_finding(findings(utterances, acoustics=many_defects))[:2] == (finding, "warning")


def test_durations() -> None:
    table = changed(clean_utterances(), NAME == "s0F000", seconds=0.2)
    table = changed(table, NAME == "s0F001", seconds=45.0)
    table = table.with_columns(
        seconds=pl.when(label="sadness").then(pl.col("seconds") * 2).otherwise(pl.col("seconds"))
    )
    details = {row["finding"]: str(row["detail"]) for row in findings(table)}
    assert set(details) == {
        "very short utterances",
        "very long utterances",
        "durations differ by class",
    }
    assert "s0F000: 0.20 s" in details["very short utterances"]
    assert "s0F001: 45.00 s" in details["very long utterances"]
    assert re.match(
        r"the median duration is [\d.]+ s for sadness and", details["durations differ by class"]
    )


def test_utterances_without_a_majority_label() -> None:
    disagreeing = [
        {"rater": rater, "label": label} for rater, label in zip("abc", CLASSES, strict=False)
    ]
    table = clean_utterances()
    votes = [
        disagreeing if name in ("s0F000", "s0F001") else agreeing
        for name, agreeing in table.select("utterance", "votes").iter_rows()
    ]
    table = table.with_columns(votes=pl.Series(votes, dtype=table.schema["votes"]))
    table = changed(table, NAME == "s0F000", label=None)
    rows = {row["finding"]: row for row in findings(table)}
    assert set(rows) == {"left out without majority", "label without majority"}
    assert rows["left out without majority"]["value"] == 1.0
    assert "1 of 240 rated utterances" in str(rows["left out without majority"]["detail"])


def test_errors_come_first_and_stop_the_study() -> None:
    table = changed(clean_utterances(), NAME == "s1F005", sex="M")
    clipped = changed(clean_acoustics(table), NAME == "s0F000", clipped_fraction=0.5)
    pair = pairs(("s0F000", "s0F004"), ("s2F000", "s3F000"))
    audit = audit_corpus(table, clipped, pair, SESSIONS).findings
    assert audit["severity"].to_list() == ["error", "error", "warning", "note"]
    message = r"violates the protocol: s2F000 and s3F000 are .*\(and 1 more error in the audit\)"
    with pytest.raises(ProtocolError, match=message):
        raise_on_errors(audit)
    raise_on_errors(audit.filter(pl.col("severity") != "error"))


def test_one_warning_per_kind_without_those_checked_per_fold(tmp_path: Path) -> None:
    table = clean_utterances()
    acoustics = changed(clean_acoustics(table), NAME.str.starts_with("s0"), clipped_fraction=0.5)
    acoustics = changed(acoustics, NAME.str.starts_with("s1"), snr_db=0.0)
    pair = pairs(("s0F000", "s0F001"), ("s0M000", "s0M001"))
    table = changed(table, pl.col("style") == "scripted", text_key="the same line")
    audit = audit_corpus(table, acoustics, pair, SESSIONS).findings
    warnings = audit_warnings(audit)
    assert [warning.split(" ")[0] for warning in warnings] == ["s0F000", "48", "48"]
    assert warnings[0].endswith("(and 1 more in the audit)")
    assert not any("; " in warning for warning in warnings)  # separates the notes of a score
    write_table(audit, tmp_path / "audit.parquet", AUDIT)
    assert read_table(tmp_path / "audit.parquet", AUDIT).equals(audit)
