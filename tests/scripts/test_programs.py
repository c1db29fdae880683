"""Every program in scripts/ works by hand, and ends a mistake with a sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT, WriteWav

ELSEWHERE = "fairseq_backend.py"  # runs in another Python, beside fairseq
PROGRAMS = sorted((PROJECT / "scripts").glob("*.py"))


def run(name: str, *arguments: str | Path) -> subprocess.CompletedProcess:
    program = [sys.executable, str(PROJECT / "scripts" / name), *map(str, arguments)]
    return subprocess.run(program, capture_output=True, text=True)


@pytest.mark.parametrize(
    "path", [path for path in PROGRAMS if path.name != ELSEWHERE], ids=lambda path: path.name
)
def test_it_says_what_it_does(path: Path) -> None:
    ran = run(path.name, "--help")
    assert ran.returncode == 0
    assert ran.stdout.startswith("Usage: ")
    assert not ran.stderr


def test_the_fairseq_backend_says_where_it_runs() -> None:
    ran = run(ELSEWHERE, "--help")
    assert ran.returncode == 1
    assert "has no fairseq. Let Snakemake make the environment" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_no_program_hides_a_module_that_a_library_imports() -> None:
    """A script's folder comes first on its path: scripts/tabulate.py would hide tabulate."""
    import importlib.metadata

    installed = importlib.metadata.packages_distributions()
    known = set(sys.stdlib_module_names) | set(installed)
    assert [path.name for path in PROGRAMS if path.stem in known] == []


def test_by_hand_from_a_table_to_features(tmp_path: Path, write_wav: WriteWav) -> None:
    for number in range(4):
        write_wav(f"{number}.wav", frequency=200.0 + 100 * number)
    rows = [f"{n}.wav,speaker{n % 2},{'happy' if n < 2 else 'sad'}" for n in range(4)]
    (tmp_path / "utterances.csv").write_text("\n".join(["file,speaker,emotion", *rows, ""]))
    recordings, rejected = tmp_path / "recordings.parquet", tmp_path / "rejected.parquet"
    corpus = json.dumps({"reader": "csv", "root": str(tmp_path)})
    read = run(
        "read_corpus.py", "--settings", corpus, "--recordings", recordings, "--rejected", rejected
    )
    assert read.returncode == 0, read.stderr
    assert read.stdout.startswith("4 utterances can be used; 0 rows")
    labels = json.dumps({"classes": {"up": ["happy"], "down": ["sad"]}})
    table = tmp_path / "utterances.parquet"
    labelled = run(
        "label_corpus.py", "--settings", labels, "--recordings", recordings, "--utterances", table
    )
    assert labelled.stdout == "up: 2\ndown: 2\noutside the study: 0\n"
    dealt = run("deal_shards.py", "--recordings", recordings, tmp_path / "00.parquet")
    assert dealt.returncode == 0, dealt.stderr
    shard = tmp_path / "mfcc" / "00.h5"
    extracted = run(
        "extract_features.py", "--settings", '{"kind": "mfcc"}', "--root", tmp_path,
        "--shard", tmp_path / "00.parquet", "--output", shard,
    )  # fmt: skip
    assert extracted.returncode == 0, extracted.stderr
    assert "mfcc 00: 2 of 2 seconds of audio" in extracted.stderr
    indexed = run("index_features.py", "--output", shard.with_name("index.parquet"), shard)
    assert indexed.returncode == 0, indexed.stderr


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        (
            "read_corpus.py",
            ["--settings", "{", "--recordings", "a", "--rejected", "b"],
            "Error: --settings: Invalid JSON",
        ),
        (
            "read_corpus.py",
            [
                "--settings",
                '{"reader": "csv", "root": "no"}',
                "--recordings",
                "a",
                "--rejected",
                "b",
            ],
            "Error: no/utterances.csv does not exist",
        ),
        (
            "index_features.py",
            ["--output", "index.parquet", "missing.h5"],
            "Error: missing.h5 does not exist",
        ),
        ("predict.py", ["nothing", "a.wav"], "Error: nothing/run.json does not exist: name the"),
        (
            "predict.py",
            ["nothing", "a.wav", "--output", "a.xlsx"],
            "Error: a.xlsx: is not one of .csv, .json, .parquet; end its name",
        ),
        (
            "draw_attention.py",
            ["nothing", "u1", "--output", "a.pdf"],
            "Error: a.pdf: is not one of .svg, .png, .html, .json, .parquet",
        ),
        ("show_results.py", ["nothing"], "Error: nothing/tables/scores.parquet does not exist"),
    ],
)
def test_a_mistake_is_a_sentence(name: str, arguments: list[str], sentence: str) -> None:
    ran = run(name, *arguments)
    assert ran.returncode == 1
    assert ran.stderr.startswith(sentence)
    assert "Traceback" not in ran.stderr
