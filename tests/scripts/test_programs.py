"""Every program in scripts/ runs from the command line and reports mistakes in one message."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from emoscale.audit.duplicates import DUPLICATES
from emoscale.audit.finding import AUDIT
from emoscale.evaluation.corpus_pairs import CORPUS_PAIRS
from emoscale.evaluation.runs import runs_schema, study_predictions_schema
from emoscale.tables.parquet import dataframe_of, read_fold, read_table, write_parts, write_table
from emoscale.tables.schemas import RECORDINGS, TEXTS, UTTERANCES, fold_schema
from tests.conftest import PROJECT, WriteWav
from tests.evaluation import test_corpus_pairs as pairs
from tests.reporting.results_folder import filled

FAIRSEQ_BACKEND = "fairseq_backend.py"  # runs in a separate Python that has fairseq
PROGRAMS = sorted((PROJECT / "scripts").glob("*.py"))

SHARD_OPTIONS = ["--shard", "0", "--shards", "1", "--recordings", "a", "--rejected", "b"]


def run(name: str, *arguments: str | int | Path) -> subprocess.CompletedProcess:
    program = [sys.executable, str(PROJECT / "scripts" / name), *map(str, arguments)]
    return subprocess.run(program, capture_output=True, text=True)


def invoke(name: str, *arguments: str) -> Result:
    """Run a program in this process, which saves the time of imports."""
    spec = importlib.util.spec_from_file_location(
        name.removesuffix(".py"), PROJECT / "scripts" / name
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return CliRunner().invoke(module.main, arguments)


@pytest.mark.parametrize(
    "path", [path for path in PROGRAMS if path.name != FAIRSEQ_BACKEND], ids=lambda path: path.name
)
def test_help_is_printed(path: Path) -> None:
    ran = invoke(path.name, "--help")
    assert ran.exit_code == 0
    assert ran.stdout.startswith("Usage: ")
    assert not ran.stderr


def test_the_fairseq_backend_needs_fairseq() -> None:
    ran = run(FAIRSEQ_BACKEND, "--help")
    assert ran.returncode == 1
    assert "has no fairseq; create its environment" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_no_program_shadows_a_module() -> None:
    """A script's folder comes first on sys.path: scripts/tabulate.py would shadow tabulate."""
    import importlib.metadata

    installed = importlib.metadata.packages_distributions()
    known = set(sys.stdlib_module_names) | set(installed)
    assert [path.name for path in PROGRAMS if path.stem in known] == []


def test_programs_from_a_table_to_features(tmp_path: Path, write_wav: WriteWav) -> None:
    for number in range(4):
        write_wav(f"{number}.wav", frequency=200.0 + 100 * number)
    rows = [f"{n}.wav,speaker{n % 2},{'happy' if n < 2 else 'sad'}" for n in range(4)]
    (tmp_path / "utterances.csv").write_text("\n".join(["file,speaker,emotion", *rows, ""]))
    recordings, rejected = tmp_path / "recordings.parquet", tmp_path / "rejected.parquet"
    corpus = json.dumps({"reader": "csv", "root": str(tmp_path)})
    shard, rejected_shard = tmp_path / "00.parquet", tmp_path / "rejected" / "00.parquet"
    checked = run(
        "read_shard.py", "--corpus", corpus, "--shard", 0, "--shards", 1,
        "--recordings", shard, "--rejected", rejected_shard,
    )  # fmt: skip
    assert checked.stdout == "4 usable utterances, 0 rejected\n", checked.stderr
    read = run(
        "read_corpus.py", "--corpus", corpus, "--recordings", recordings, "--rejected", rejected,
        shard, rejected_shard,
    )  # fmt: skip
    assert read.returncode == 0, read.stderr
    assert read.stdout.startswith("4 usable utterances; 0 rejected")
    labels = json.dumps({"classes": {"up": ["happy"], "down": ["sad"]}})
    table = tmp_path / "utterances.parquet"
    labelled = run(
        "label_corpus.py", "--labels", labels, "--recordings", recordings, "--utterances", table
    )
    assert labelled.stdout == (
        "up: 2\ndown: 2\noutside the study: 0\nin the study, with votes for its classes: 0\n"
    )
    features = tmp_path / "mfcc" / "00.h5"
    extracted = run(
        "extract_features.py", "--settings", '{"kind": "mfcc"}', "--root", tmp_path,
        "--shard", shard, "--output", features,
    )  # fmt: skip
    assert extracted.returncode == 0, extracted.stderr
    assert "mfcc 00: 2 of 2 seconds of audio" in extracted.stderr
    indexed = run("index_features.py", "--output", features.with_name("index.parquet"), features)
    assert indexed.returncode == 0, indexed.stderr


def test_programs_from_votes_to_a_fold_without_a_development_set(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {
            **dict.fromkeys(RECORDINGS.names),
            "utterance": f"{speaker}{emotion}",
            "corpus": "by hand",
            "audio": f"{speaker}{emotion}.wav",
            "seconds": 1.0,
            "sample_rate": 16_000,
            "channels": 1,
            "speaker": speaker,
            "emotion": emotion,
            "votes": [{"rater": "E1", "label": emotion}, {"rater": "E2", "label": "ang"}]
            if speaker == "anna"
            else None,
            "audio_sha256": f"{speaker}{emotion}",
        }
        for speaker in ("anna", "bert")
        for emotion in ("ang", "neu", "xxx")
    ]
    recordings, table = tmp_path / "recordings.parquet", tmp_path / "utterances.parquet"
    write_table(dataframe_of(rows, RECORDINGS), recordings, RECORDINGS)
    labels = json.dumps({"classes": {"anger": ["ang"], "calm": ["neu"]}})
    labelled = run(
        "label_corpus.py", "--labels", labels, "--recordings", recordings, "--utterances", table
    )
    assert labelled.stdout.endswith("with votes for its classes: 2\n"), labelled.stderr
    protocol = json.dumps(
        {"fold_unit": "speakers", "folds": 2, "development": "none", "repeats": 1, "seed": 1}
    )
    fold, checks = tmp_path / "fold1.parquet", tmp_path / "checks.json"
    duplicates, audit = tmp_path / "duplicates.parquet", tmp_path / "audit.parquet"
    write_table(dataframe_of([], DUPLICATES), duplicates, DUPLICATES)
    texts = tmp_path / "texts.parquet"
    write_table(dataframe_of([], TEXTS), texts, TEXTS)
    finding: dict[str, object] = {
        "finding": "clipping", "severity": "warning", "subject": "all", "other": "", "value": 1.0,
        "detail": "all are clipped",
    }  # fmt: skip
    write_table(dataframe_of([finding], AUDIT), audit, AUDIT)
    fold_run = run(
        "make_fold.py", "--protocol", protocol, "--fold", "fold1", "--utterances", table,
        "--duplicates", duplicates, "--output", fold,
    )  # fmt: skip
    assert fold_run.stdout == "fold1: test 2\nfold1: train 2\n", fold_run.stderr
    votes = dict(read_fold(fold).select("utterance", "votes").iter_rows())
    both = [{"label": "anger", "share": 0.5}, {"label": "calm", "share": 0.5}]
    assert votes == {
        "annaang": [{"label": "anger", "share": 1.0}],
        "annaneu": both,
        "bertang": None,
        "bertneu": None,
    }
    checked = run(
        "check_protocol.py", "--protocol", protocol, "--sizes", '{"sizes": ["all"]}',
        "--utterances", table, "--texts", texts, "--duplicates", duplicates, "--audit", audit,
        "--output", checks, fold,
    )  # fmt: skip
    assert "warning: no development set: nothing was selected" in checked.stdout
    assert checked.stdout.endswith("warning: all are clipped\n")
    assert json.loads(checks.read_text())["folds"]["fold1"]["utterances"] == {"train": 2, "test": 2}


def test_the_program_of_corpus_pairs(tmp_path: Path) -> None:
    utterances, runs = pairs.UTTERANCES.to_dicts(), pairs.RUNS.to_dicts()
    runs += [{**row, "size": "8"} for row in runs]
    of_runs = runs_schema(pairs.CLASSES)
    tables = {
        "utterances": (filled(utterances, UTTERANCES), UTTERANCES),
        "runs": (filled(runs, of_runs), of_runs),
    }
    for fold, corpus in pairs.FOLDS.items():
        rows = [{**row, "role": "train"} for row in utterances if row["corpus"] == corpus]
        tables[fold] = (filled(rows, fold_schema(1)), fold_schema(1))
    for name, (table, schema) in tables.items():
        write_table(table, tmp_path / f"{name}.parquet", schema)
    schema = study_predictions_schema(pairs.CLASSES)
    smaller = pairs.predictions().with_columns(size=pl.lit("8"))
    parts = [filled(part.to_dicts(), schema) for part in (pairs.predictions(), smaller)]
    write_parts(parts, tmp_path / "predictions.parquet", schema)
    output = tmp_path / "pairs.parquet"
    ran = invoke(
        "score_corpus_pairs.py", "--seed", "1", "--output", str(output),
        *(f"--{name}={tmp_path / name}.parquet" for name in ("predictions", "runs", "utterances")),
        *(str(tmp_path / f"{fold}.parquet") for fold in pairs.FOLDS),
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    table = read_table(output, CORPUS_PAIRS)
    assert table["size"].to_list() == ["all"] * 4 + ["8"] * 4
    assert table.filter(size="all")["ua"].to_list() == [1.0, 0.5, 0.5, 1.0]
    assert output.with_suffix(".csv").read_text().startswith("experiment,size,training_corpus,")


def test_programs_of_unlabelled_speech(tmp_path: Path) -> None:
    root, output = tmp_path / "speech", tmp_path / "speech.parquet"
    generated = json.dumps(
        {"reader": "demo_speech", "root": str(root), "speakers": 2, "utterances_per_speaker": 2}
    )
    ran = invoke("generate_speech.py", "--speech", generated)
    assert ran.stdout == f"{root}: 4 synthetic utterances\n", ran.stderr
    (root / "speaker001" / "broken.wav").write_text("no audio")
    options = ["--held-out", "0.05", "--seed", "1", "--threads", "2"]
    files = ["--output", str(output), "--rejected", str(tmp_path / "rejected.csv")]
    ran = invoke("read_speech.py", "--speech", generated, *options, *files)
    assert ran.stdout == (
        "0.00 hours of speech in 4 recordings, of which 0.00 hours are held out\n"
        "speakers: 2\nrejected: 1\n  unreadable: 1\n"
    ), ran.stderr
    rejected = pl.read_csv(tmp_path / "rejected.csv")
    assert rejected["file"].to_list() == ["speaker001/broken.wav"]
    (root / "speaker001" / "broken.wav").unlink()

    names = sorted(str(path.relative_to(root)) for path in root.rglob("*.wav"))
    rows = [f"{name},{name[:10]},{'ang' if n % 2 else 'neu'}" for n, name in enumerate(names)]
    (root / "utterances.csv").write_text("\n".join(["file,speaker,emotion", *rows, ""]))
    corpus = json.dumps({"reader": "csv", "root": str(root)})
    shard, rejected_shard = str(tmp_path / "shard.parquet"), str(tmp_path / "rejected.parquet")
    measured, recordings = str(tmp_path / "measured.parquet"), str(tmp_path / "recordings.parquet")
    fold, overlap = str(tmp_path / "fold1.parquet"), tmp_path / "overlap.json"
    for name, *arguments in (
        ("read_shard.py", "--corpus", corpus, "--shard", "0", "--shards", "1",
         "--recordings", shard, "--rejected", rejected_shard),
        ("read_corpus.py", "--corpus", corpus, "--recordings", recordings,
         "--rejected", str(tmp_path / "all_rejected.parquet"), shard, rejected_shard),
        ("measure_shard.py", "--root", str(root), "--shard", shard, "--output", measured),
    ):  # fmt: skip
        assert invoke(name, *arguments).exit_code == 0
    roles = [
        {"utterance": name.removesuffix(".wav"), "role": role, "label": "x", "speaker": name[:10]}
        for name, role in zip(names, ("test", "train", "test", "test"), strict=True)
    ]
    schema = fold_schema(0)
    write_table(dataframe_of([{**role, "votes": None} for role in roles], schema), fold, schema)
    ran = invoke(
        "compare_speech.py", "--speech", str(output), str(root), "--root", str(root),
        "--recordings", recordings, "--shards", "1", "--output", str(overlap), measured, fold,
    )  # fmt: skip
    assert ran.stdout == (
        "tested recordings in the speech: 3 of 3; tested speakers: 2 of 2\n"
        "warning: the weights were pre-trained on speech of 2 of 2 tested speakers, with 3 of 3 "
        "tested recordings\n"
    ), ran.stderr
    assert json.loads(overlap.read_text()) == {
        "tested": 3,
        "recordings": 3,
        "speakers": 2,
        "tested_speakers": 2,
        "utterances": [role["utterance"] for role in roles if role["role"] == "test"],
    }


def test_results_of_many_experiments_fit_the_terminal(tmp_path: Path) -> None:
    names = [*(f"experiment{number}" for number in range(16)), "alike" + "_" * 59]
    scores = pl.DataFrame(
        [
            {
                "study": "many",
                "corpus": "csv",
                "experiment": name,
                "training_utterances_mean": labels,
                **dict.fromkeys(("ua", "ua_fold_mean", "wa"), 0.512),
                "ua_low": 0.4321,
                "ua_high": 0.6,
                "test_speakers": 10,
                **dict.fromkeys(("ua_repeat_std", "ua_fold_std"), 0.01),
                "chance_ua": 0.25,
                "notes": "",
                "pretrained_weights": "",
            }
            for name in names
            for labels in (125.0, 3300.4)
        ]
    )
    (tmp_path / "tables").mkdir()
    scores.write_parquet(tmp_path / "tables" / "scores.parquet")
    ran = run("show_results.py", tmp_path)
    assert ran.returncode == 0, ran.stderr
    table = [line for line in ran.stdout.splitlines() if line.startswith("│")]
    assert {len(line) for line in table} == {100}
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in table]
    interval = "43.2 – 60.0"
    sizes = [["125", "51.2", interval], ["3,300", "51.2", interval]]
    others = 2 * (len(names) - 1)
    assert [row[1:4] for row in rows[: others + 2]] == sizes * len(names)
    assert [row[0] for row in rows[:others:2]] == names[:-1]
    assert "".join(row[0] for row in rows[others:]) == names[-1]  # wrapped, not truncated


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("read_shard.py", ["--corpus", "{", *SHARD_OPTIONS], "Error: --corpus: Invalid JSON"),
        (
            "read_shard.py",
            ["--corpus", '{"reader": "csv", "root": "no"}', *SHARD_OPTIONS],
            "Error: no/utterances.csv does not exist",
        ),
        (
            "index_features.py",
            ["--output", "index.parquet", "missing.h5"],
            "Error: missing.h5 does not exist",
        ),
        (
            "measure_speakers.py",
            ["--index", "index.parquet", "--speakers", "missing.parquet"],
            "Error: missing.parquet does not exist; run the step that creates it",
        ),
        (
            "generate_speech.py",
            ["--speech", '{"reader": "demo_speech", "root": "no", "speakers": 1}'],
            "Error: --speech: speakers: Input should be greater than or equal to 2",
        ),
        (
            "read_speech.py",
            [
                *("--speech", '{"reader": "folder", "root": "no"}', "--held-out", "0.1"),
                *("--seed", "1", "--output", "a", "--rejected", "b"),
            ],
            "Error: no does not exist; set the root of the speech to a folder",
        ),
        (
            "compare_speech.py",
            [
                *("--speech", "missing.parquet", "no", "--root", "no", "--recordings", "a"),
                *("--shards", "1", "--output", "b", "c"),
            ],
            "Error: missing.parquet does not exist; run the step that creates it",
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
        (
            "measure_efficiency.py",
            [
                *("--settings", "{}", "--scores", "a", "--confusions", "b"),
                *("--comparisons", "c", "--output", "d"),
            ],
            "Error: --settings: ",
        ),
        ("show_results.py", ["nothing"], "Error: nothing/tables/scores.parquet does not exist"),
    ],
)
def test_mistakes_are_reported(name: str, arguments: list[str], message: str) -> None:
    ran = invoke(name, *arguments)
    assert ran.exit_code == 1
    assert ran.stderr.startswith(message)
