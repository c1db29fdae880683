"""What runs after a change of the corpus: a recording's shard, and what reads what has changed."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from emoscale.corpus.shards import shard_of
from tests.audit.speech import speech, write_corpus
from tests.conftest import PROJECT
from tests.workflow.test_study import Checkout

pytestmark = pytest.mark.slow

SHARDS = 4
STUDY: dict[str, Any] = {
    "study": "cut",
    "corpus": {"reader": "csv", "root": "recordings"},
    "shards": SHARDS,
    "labels": {"classes": {"active": ["angry"], "calm": ["sad"]}},
    "checkpoints": {"tiny": {"untrained": "bert"}},
    "execution": {"checkpoint_cache": "cache"},
    "representations": {
        "mfcc": {"kind": "mfcc", "coefficients": 13},
        "bert": {"kind": "transformers_text", "model": "tiny", "layer": 0},
    },
    "protocol": {"fold_unit": "session", "folds": 3, "repeats": 1},
    "sizes": ["all"],
    "models": {"mean": {"kind": "pooled", "width": 8}},
    "training": {"maximum_steps": 20, "steps_between_evaluations": 10},
    "experiments": {
        "mfcc": {"representations": ["mfcc"], "model": "mean"},
        "bert": {"representations": ["bert"], "model": "mean"},
    },
}
TRAININGS = [
    f"results/cut/runs/{name}/fold{fold}/all/run.json"
    for name in ("mfcc", "bert")
    for fold in (1, 2, 3)
]
ROWS: list[dict[str, Any]] = [
    {
        "file": f"{session}{sex}{number}.wav",
        "wave": speech(100 * session + 10 * number + (sex == "M"), 0.6),
        "speaker": f"{session}{sex}",
        "session": session,
        "emotion": ["angry", "sad"][number % 2],
        "transcript": f"words {number}",
    }
    for session in (1, 2, 3)
    for sex in "FM"
    for number in range(4)
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    folder = tmp_path_factory.mktemp("cut")
    shutil.copy(PROJECT / "Snakefile", folder)
    for name in ("workflow", "scripts", "envs", "profiles"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    write_recordings(folder, ROWS)
    checkout = Checkout(folder)
    made = ran(checkout)
    assert made["train"] == 6
    assert made["read_shard"] == made["read_texts"] == SHARDS
    return checkout


def write_recordings(folder: Path, rows: list[dict[str, Any]]) -> None:
    """The corpus, each file with the same time whenever it is written."""
    write_corpus(folder / "recordings", rows)
    for path in (folder / "recordings").glob("*.wav"):
        os.utime(path, (1_700_000_000, 1_700_000_000))


def ran(checkout: Checkout, config: dict[str, Any] = STUDY) -> Counter[str]:
    """Jobs a rule that a run up to the trainings really did."""
    run = checkout.run("--cores", "2", *TRAININGS, config=config)
    assert run.returncode == 0, run.stdout
    return Counter(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", run.stdout, re.MULTILINE))


def planned(checkout: Checkout, config: dict[str, Any] = STUDY) -> Counter[str]:
    """Jobs a rule that its dry run says it would do."""
    return Counter(checkout.planned(config, *TRAININGS))


def test_one_more_recording_is_one_more_shard(trained: Checkout) -> None:
    more = {**ROWS[0], "file": "1F9.wav", "wave": speech(999, 0.6)}
    write_recordings(trained.folder, [*ROWS, more])
    features = trained.folder / "results" / "cut" / "features" / "mfcc"
    before = {path.name: path.stat().st_mtime_ns for path in features.glob("*.h5")}
    once = {"read_shard": 1, "measure_shard": 1, "read_texts": 1, "extract_features": 2}
    assert planned(trained).items() >= once.items()
    assert ran(trained).items() >= once.items()
    after = {path.name: path.stat().st_mtime_ns for path in features.glob("*.h5")}
    changed = [name for name in before if before[name] != after[name]]
    assert changed == [f"{shard_of('1F9', SHARDS):02d}.h5"]
    assert planned(trained) == {}


def test_a_touched_recording_is_read_and_that_is_all(trained: Checkout) -> None:
    (trained.folder / "recordings" / "1F0.wav").touch()
    assert ran(trained) == {"read_shard": 1}
    assert planned(trained) == {}


def test_a_touched_table_is_nothing(trained: Checkout) -> None:
    (trained.folder / "recordings" / "utterances.csv").touch()
    assert planned(trained) == {}


def test_another_transcript_is_a_matter_of_text(trained: Checkout) -> None:
    table = trained.folder / "recordings" / "utterances.csv"
    lines = table.read_text().splitlines()
    before = lines[1]
    lines[1] = before.replace("words 0", "other words")
    assert lines[1] != before
    table.write_text("\n".join([*lines, ""]))
    shard = {"read_texts": 1, "extract_features": 1, "index_features": 1}
    assert planned(trained).items() >= shard.items()
    done = ran(trained)
    assert done.pop("train") == 3  # those that read text, not those that hear
    assert done == {**shard, "read_corpus": 1, "label_corpus": 1, "make_fold": 3}


def test_another_label_extracts_nothing(trained: Checkout) -> None:
    table = trained.folder / "recordings" / "utterances.csv"
    lines = table.read_text().splitlines()
    lines[1] = lines[1].replace("angry", "sad")
    table.write_text("\n".join([*lines, ""]))
    plan = planned(trained)
    assert not {rule for rule in plan if "shard" in rule or "features" in rule}
    assert plan["train"] == 6
    assert not {"read_shard", "read_texts", "extract_features"} & ran(trained).keys()


def test_a_corpus_that_is_gone_is_missed_by_nobody(trained: Checkout) -> None:
    root = trained.folder / "recordings"
    root.rename(trained.folder / "elsewhere")
    assert planned(trained) == {}
    slower = {**STUDY, "training": {**STUDY["training"], "learning_rate": 1e-4}}
    assert planned(trained, slower) == {"train": 6}
    moved = {**STUDY, "corpus": {"reader": "csv", "root": "elsewhere"}}
    assert planned(trained, moved) == {}
    (trained.folder / "elsewhere").rename(root)


def test_what_needs_a_corpus_that_is_gone_says_so(trained: Checkout, tmp_path: Path) -> None:
    other = {**STUDY, "study": "other", "corpus": {"reader": "csv", "root": str(tmp_path / "no")}}
    run = trained.run("--cores", "1", "results/other/corpus/recordings.parquet", config=other)
    assert run.returncode != 0
    assert "no/utterances.csv" in run.stdout
    assert "Traceback" not in run.stdout


def test_one_more_repeat_is_one_more_training(trained: Checkout) -> None:
    """What an earlier job kept is no output of the rule, so Snakemake leaves it where it is."""
    cell = "results/cut/runs/mfcc/fold1/all"
    once = trained.run("--cores", "2", f"{cell}/run.json", config=STUDY)
    assert once.returncode == 0, once.stdout
    more = {**STUDY, "protocol": {**STUDY["protocol"], "repeats": 2}}
    run = trained.run("--cores", "2", f"{cell}/run.json", config=more)
    assert run.returncode == 0, run.stdout
    log = trained.folder / "results" / "cut" / "logs" / "train" / "mfcc" / "fold1" / "all.log"
    assert "repeats: 1 kept, 1 trained" in log.read_text()
    repeats = json.loads((trained.folder / cell / "run.json").read_text())["repeats"]
    assert [each["kept"] for each in repeats] == [True, False]
