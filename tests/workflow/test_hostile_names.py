"""A whole study whose recordings, speakers and folders have names that attack a shell or a page."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import soundfile

from tests.audit.speech import RATE
from tests.workflow.small_study import ROWS, STUDY, snakemake, write_config

pytestmark = pytest.mark.slow
NAMES = (
    "a b.wav",
    "--help it's.wav",
    'say "so".wav',
    "a;touch pwned.wav",
    "$(touch pwned).wav",
    "`touch pwned`.wav",
    "line\nbreak.wav",
    "{shard} {input}.wav",
)
"""File names of the recordings of the small study."""

SCRIPT = "-rf <script>alert(1)</script>"
SPEAKERS = {"1F": SCRIPT, "1M": "$(touch pwned)", "2F": "a;touch pwned", "2M": 'it\'s "{me}"'}
FOLDER = "my 'own' \"study\" $(touch pwned); `touch pwned` & é"


def _write_corpus(folder: Path) -> None:
    folder.mkdir(parents=True)
    rows = []
    for name, row in zip(NAMES, ROWS, strict=True):
        soundfile.write(folder / name, row["wave"], RATE)
        rows.append(
            [name, SPEAKERS[row["speaker"]], row["session"], row["emotion"], f"{name} -- said"]
        )
    rows += [
        ["../outside.wav", "x", 1, "sad", "who"],
        ["/etc/passwd", "x", 1, "sad", "what"],
        ["--help.wav", SCRIPT, 1, "sad", "is not there"],
    ]
    with open(folder / "utterances.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "speaker", "session", "emotion", "transcript"])
        writer.writerows(rows)


def _all_paths(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the study and return the folder of its results."""
    parent = tmp_path_factory.mktemp("hostile")
    folder = parent / FOLDER
    _write_corpus(folder / "the corpus; touch pwned" / "it's")
    config: dict[str, Any] = {
        **STUDY,
        "results": 'all "results" of $(touch pwned)\'s',
        "corpus": {"reader": "csv", "root": "the corpus; touch pwned/it's"},
    }
    path = write_config(folder, config)
    existing = _all_paths(parent)
    ran = snakemake(folder, path)
    assert ran.returncode == 0, ran.stdout
    new = {name.removeprefix(f"{FOLDER}/") for name in _all_paths(parent) - existing}
    assert {Path(name).parts[0] for name in new} == {config["results"], ".snakemake"}
    return folder / str(config["results"]) / "small"


def test_no_name_is_executed(run: Path) -> None:
    # Folders of this test have the word within longer names.
    assert not [path for path in run.parents[2].rglob("*") if path.name == "pwned"]


def test_every_recording_is_used(run: Path) -> None:
    recordings = pl.read_parquet(run / "corpus" / "recordings.parquet")
    assert sorted(recordings["audio"]) == sorted(NAMES)
    assert set(recordings["speaker"]) == set(SPEAKERS.values())
    predictions = pl.read_parquet(run / "tables" / "predictions.parquet")
    assert set(predictions["utterance"]) == {name.removesuffix(".wav") for name in NAMES}


def test_rejected_recordings_are_listed_with_their_reason(run: Path) -> None:
    with open(run / "corpus" / "rejected.csv", newline="", encoding="utf-8") as file:
        rejected = {row["utterance"]: row["reason"] for row in csv.DictReader(file)}
    assert rejected == {
        "../outside.wav": "outside the corpus",
        "/etc/passwd": "outside the corpus",
        "--help": "missing",
    }


def test_names_are_escaped_in_pages(run: Path) -> None:
    pages = list(run.rglob("*.html"))
    assert {"report.html", "audit.html"} <= {page.name for page in pages}
    assert [page.name for page in pages if "<script>alert" in page.read_text()] == []
    assert any("&lt;script&gt;alert" in page.read_text() for page in pages)
