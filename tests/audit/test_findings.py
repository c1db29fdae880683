"""Each planted defect is found and named; a clean corpus has none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from emoscale.audit.finding import AUDIT
from emoscale.audit.findings import audit_corpus, audit_warnings, raise_on_errors
from emoscale.audit.guessing import guess_by
from emoscale.config.corpus import AuditSettings
from emoscale.runtime.errors import ProtocolError
from emoscale.tables.parquet import read_table, write_table
from tests.audit.corpus import CLASSES, changed, clean_acoustics, clean_utterances, pairs

NAME = pl.col("utterance")
SESSIONS = AuditSettings(unit="session")


def findings(
    utterances: pl.DataFrame,
    found: pl.DataFrame | None = None,
    acoustics: pl.DataFrame | None = None,
    unit: str = "session",
    **settings: list[str],
) -> list[dict[str, object]]:
    measured = clean_acoustics(utterances) if acoustics is None else acoustics
    asked = AuditSettings.model_validate({"unit": unit, **settings})
    audit = audit_corpus(utterances, measured, pairs() if found is None else found, asked)
    return audit.findings.to_dicts()


def only(rows: list[dict[str, object]]) -> tuple[object, object, str]:
    (row,) = rows
    return row["finding"], row["severity"], str(row["detail"])


@pytest.mark.parametrize("unit", ["session", "speaker"])
def test_a_clean_corpus_has_no_finding(unit: str) -> None:
    assert findings(clean_utterances(), unit=unit) == []


def test_one_recording_in_two_sessions_breaks_a_protocol_of_sessions() -> None:
    finding, severity, detail = only(findings(clean_utterances(), pairs(("s0F000", "s3F000"))))
    assert (finding, severity) == ("same recording", "error")
    assert "s0F000 and s3F000 are the same recording" in detail
    assert "correlation 0.990; the second -12.0 dB and +0.100 s" in detail
    assert "under two sessions (s0 and s3)" in detail
    assert "labels.exclude" in detail


def test_one_recording_twice_in_a_session_weakens() -> None:
    utterances = clean_utterances()
    finding, severity, detail = only(findings(utterances, pairs(("s0F000", "s0M000"))))
    assert (finding, severity) == ("same recording", "warning")
    assert "it counts twice" in detail
    _, severity, detail = only(findings(utterances, pairs(("s0F000", "s0M000")), unit="speaker"))
    assert severity == "error"
    assert "under two speakers (s0F and s0M)" in detail


def test_what_a_protocol_cannot_part_or_may_part_only_weakens() -> None:
    """Only tested units are certainly apart; of a table's folds nothing is known here."""
    utterances, found = clean_utterances(), pairs(("s0F000", "s3F000"))
    assert only(findings(utterances, found, test_units=["s1"]))[1] == "warning"
    assert only(findings(utterances, found, test_units=["s3"]))[1] == "error"
    assert only(findings(utterances, found, unit="file"))[1] == "warning"
    known = changed(utterances, NAME == "s1F005", speaker="s4F")
    assert only(findings(known, test_units=["s2"]))[1] == "note"
    lacking = (pl.col("session") == "s2") & (pl.col("label") == "sadness")
    trained = findings(changed(utterances, lacking, label=None), test_units=["s1"])
    assert {row["severity"] for row in trained} == {"note"}


def test_one_recording_with_two_labels() -> None:
    rows = findings(clean_utterances(), pairs(("s0F000", "s0F001"), how="identical"))
    assert [row["finding"] for row in rows] == ["same recording", "two labels for one recording"]
    assert "the same samples" in str(rows[0]["detail"])
    assert "anger and happiness" in str(rows[1]["detail"])


def test_a_recording_under_three_keys_is_two_findings() -> None:
    rows = findings(clean_utterances(), pairs(("s0F000", "s0F004"), ("s0F004", "s0F008")))
    assert [(row["subject"], row["other"]) for row in rows] == [
        ("s0F000", "s0F004"),
        ("s0F000", "s0F008"),
    ]


def test_what_is_excluded_breaks_no_more_and_is_noted() -> None:
    table = changed(clean_utterances(), NAME == "s3F000", label=None)
    rows = findings(table, pairs(("s0F000", "s3F000")), exclude=["s3F000"])
    assert [row["severity"] for row in rows] == ["note", "note"]
    assert "labels.exclude leaves out 1 utterances: s3F000" in str(rows[1]["detail"])


@pytest.mark.parametrize("unit", ["session", "speaker"])
def test_a_speaker_with_two_sexes_breaks(unit: str) -> None:
    table = changed(clean_utterances(), NAME == "s1F005", sex="M")
    finding, severity, detail = only(findings(table, unit=unit))
    assert (finding, severity) == ("speaker of two sexes", "error")
    assert "speaker s1F has two sexes (s1F000 and s1F005 differ)" in detail


def test_two_sexes_outside_the_study_are_a_note() -> None:
    table = changed(clean_utterances(), NAME == "s1F005", sex="M", label=None)
    _, severity, _ = only(findings(table))
    assert severity == "note"


def test_a_speaker_in_two_sessions_breaks_where_sessions_are_the_folds() -> None:
    table = changed(clean_utterances(), NAME == "s1F005", speaker="s4F")
    finding, severity, detail = only(findings(table))
    assert (finding, severity) == ("speaker in two sessions", "error")
    assert "speaker s4F speaks in the sessions s1 and s4" in detail
    assert only(findings(table, unit="speaker"))[1] == "note"


@pytest.mark.parametrize(("column", "what"), [("speaker", "the speaker"), ("sex", "the speaker's")])
def test_labels_that_follow_speakers(column: str, what: str) -> None:
    table = clean_utterances()
    women = pl.when(pl.col("sex") == "F").then(pl.lit("anger")).otherwise(pl.lit("sadness"))
    rows = findings(table.with_columns(label=women))
    (row,) = [row for row in rows if row["subject"] == column]
    assert row["severity"] == "warning"
    assert row["value"] == 1.0
    assert str(row["detail"]).startswith(f"{what}")
    assert "tells the label with a UA of 100%" in str(row["detail"])


def test_labels_that_follow_the_recording_format() -> None:
    table = changed(clean_utterances(), pl.col("label") == "anger", sample_rate=44_100)
    finding, severity, _ = only(findings(table))
    assert (finding, severity) == ("labels follow the file's sample rate", "warning")


def test_small_corpora_are_not_accused_falsely() -> None:
    """With 8 labels a speaker, guessing by speaker beats chance by accident, always."""
    accused = 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        table = pl.DataFrame(
            {
                "speaker": [f"s{number % 10}" for number in range(80)],
                "label": generator.choice(CLASSES, 80),
            }
        )
        guess = guess_by("speaker", table)
        assert guess is not None
        assert guess.unweighted_accuracy > 0.3  # chance is 0.25
        accused += guess.p_value < 0.05
    assert accused <= 6  # of 40, at the level of 5 %: 2 expected, more than 6 once in 400


def test_repeated_text_by_style() -> None:
    table = changed(clean_utterances(), pl.col("style") == "scripted", text_key="the same line")
    table = changed(table, NAME.is_in(["s0F000", "s0M000"]), text_key="said in one session")
    finding, severity, detail = only(findings(table))
    assert (finding, severity) == ("repeated text", "warning")
    assert detail.startswith("scripted: 100% of the utterances with a transcript")
    assert len(findings(table, unit="speaker")) == 2


def test_a_class_that_a_session_lacks() -> None:
    lacking = (pl.col("session") == "s2") & (pl.col("label") == "sadness")
    table = changed(clean_utterances(), lacking, label=None)
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
    few = table.filter((pl.col("label") != "sadness") | NAME.str.ends_with("003"))
    names = {row["finding"] for row in findings(few, acoustics=clean_acoustics(few))}
    assert "uneven classes" in names
    silent = table.filter((pl.col("speaker") != "s0F") | (NAME < "s0F004"))
    rows = findings(silent, acoustics=clean_acoustics(silent))
    assert ("uneven speakers", "s0F") in {(row["finding"], row["other"]) for row in rows}


@pytest.mark.parametrize(
    ("column", "value", "finding"),
    [
        ("clipped_fraction", 0.02, "clipping"),
        ("silence_fraction", 0.9, "silence"),
        ("snr_db", 1.0, "noise"),
    ],
)
def test_bad_sound(column: str, value: float, finding: str) -> None:
    utterances = clean_utterances()
    acoustics = clean_acoustics(utterances)
    one = changed(acoustics, NAME == "s0F000", **{column: value})
    name, severity, detail = only(findings(utterances, acoustics=one))
    assert (name, severity) == (finding, "note")
    assert "1 of 240 utterances" in detail
    assert "s0F000" in detail
    many = changed(acoustics, NAME.str.starts_with("s0F"), **{column: value})
    assert only(findings(utterances, acoustics=many))[:2] == (finding, "warning")


def test_durations() -> None:
    table = changed(clean_utterances(), NAME == "s0F000", seconds=0.2)
    table = changed(table, NAME == "s0F001", seconds=45.0)
    table = table.with_columns(
        seconds=pl.when(label="sadness").then(pl.col("seconds") * 2).otherwise(pl.col("seconds"))
    )
    found = {row["finding"]: str(row["detail"]) for row in findings(table)}
    assert set(found) == {
        "very short utterances",
        "very long utterances",
        "durations differ by class",
    }
    assert "s0F000: 0.20 s" in found["very short utterances"]
    assert "s0F001: 45.00 s" in found["very long utterances"]
    assert found["durations differ by class"].startswith("half of sadness is longer")


def test_utterances_that_the_raters_left_out() -> None:
    torn = [{"rater": rater, "label": label} for rater, label in zip("abc", CLASSES, strict=False)]
    table = clean_utterances()
    votes = [
        torn if name in ("s0F000", "s0F001") else own
        for name, own in table.select("utterance", "votes").iter_rows()
    ]
    table = table.with_columns(votes=pl.Series(votes, dtype=table.schema["votes"]))
    table = changed(table, NAME == "s0F000", label=None)
    rows = {row["finding"]: row for row in findings(table)}
    assert set(rows) == {"left out without majority", "label without majority"}
    assert rows["left out without majority"]["value"] == 1.0
    assert "1 of 240 rated utterances" in str(rows["left out without majority"]["detail"])


def test_the_gravest_stands_first_and_ends_the_run() -> None:
    table = changed(clean_utterances(), NAME == "s1F005", sex="M")
    clipped = changed(clean_acoustics(table), NAME == "s0F000", clipped_fraction=0.5)
    pair = pairs(("s0F000", "s0F004"), ("s2F000", "s3F000"))
    audit = audit_corpus(table, clipped, pair, SESSIONS).findings
    assert audit["severity"].to_list() == ["error", "error", "warning", "note"]
    sentence = r"breaks the protocol: s2F000 and s3F000 are .*\(1 more break the protocol\)"
    with pytest.raises(ProtocolError, match=sentence):
        raise_on_errors(audit)
    raise_on_errors(audit.filter(pl.col("severity") != "error"))


def test_warnings_are_one_a_kind_and_leave_the_rest_to_the_protocol(tmp_path: Path) -> None:
    table = clean_utterances()
    acoustics = changed(clean_acoustics(table), NAME.str.starts_with("s0"), clipped_fraction=0.5)
    acoustics = changed(acoustics, NAME.str.starts_with("s1"), snr_db=0.0)
    pair = pairs(("s0F000", "s0F001"), ("s0M000", "s0M001"))
    table = changed(table, pl.col("style") == "scripted", text_key="the same line")
    audit = audit_corpus(table, acoustics, pair, SESSIONS).findings
    warnings = audit_warnings(audit)
    assert [warning.split(" ")[0] for warning in warnings] == ["s0F000", "48", "48"]
    assert warnings[0].endswith("(and 1 more in the audit)")
    assert not any("; " in warning for warning in warnings)  # which parts a score's notes
    write_table(audit, tmp_path / "audit.parquet", AUDIT)
    assert read_table(tmp_path / "audit.parquet", AUDIT).equals(audit)
