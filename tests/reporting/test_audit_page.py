from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from emoscale.audit.corpus_audit import audit_corpus
from emoscale.config.corpus import AuditSettings
from emoscale.reporting.audit_page import write_audit_page
from tests.audit.corpus import changed, clean_acoustics, clean_utterances, pairs


def page(
    tmp_path: Path, utterances: pl.DataFrame, same_recordings: pl.DataFrame, corpus: str = "csv"
) -> str:
    acoustics = clean_acoustics(utterances)
    audit = audit_corpus(utterances, acoustics, same_recordings, AuditSettings(unit="session"))
    path = tmp_path / "audit.html"
    write_audit_page(path, audit, utterances, acoustics, corpus)
    return path.read_text(encoding="utf-8")


def test_a_clean_corpus(tmp_path: Path) -> None:
    text = page(tmp_path, clean_utterances(), pairs())
    assert "No errors; no warnings; 0 notes." in text
    assert "240 of 240 usable utterances are in the study" in text
    for heading in ("By class", "By session", "By sex", "By style", "By speaker"):
        assert f"<h2>{heading}</h2>" in text
    assert text.count("<svg ") == 4
    assert "This corpus is synthetic" not in text


def test_errors_come_first_and_names_are_escaped(tmp_path: Path) -> None:
    table = changed(clean_utterances(), pl.col("speaker") == "s1F", speaker="<script>x</script>")
    table = changed(table, pl.col("utterance") == "s1F005", sex="M")
    text = page(tmp_path, table, pairs(("s0F000", "s0F001")), "demo (synthetic speech)")
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert text.index("<h2>Errors</h2>") < text.index("<h2>Warnings</h2>")
    assert "1 error to correct before anything is trained; 2 warnings;" in text
    assert "This corpus is synthetic" in text


def test_it_needs_no_network(tmp_path: Path) -> None:
    text = page(tmp_path, clean_utterances(), pairs())
    assert not re.search(r"<(script|link|img|iframe)|url\(|@import", text)
    assert set(re.findall(r"https?://[^\"' ]+", text)) <= {
        "http://www.w3.org/2000/svg",  # XML namespaces, which are not fetched
        "http://www.w3.org/1999/xlink",
    }


def test_missing_attributes_are_not_invented(tmp_path: Path) -> None:
    empty = [pl.lit(None, pl.String).alias(name) for name in ("sex", "session", "style")]
    acoustics = clean_acoustics(clean_utterances()).with_columns(snr_db=pl.lit(None, pl.Float64))
    table = clean_utterances().with_columns(empty)
    audit = audit_corpus(table, acoustics, pairs(), AuditSettings(unit="speaker"))
    assert set(audit.majority_baselines) == {"speaker"}
    write_audit_page(tmp_path / "audit.html", audit, table, acoustics, "csv")
    text = (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert "By sex" not in text
    assert text.count("<svg ") == 3
