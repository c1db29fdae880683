"""What a change of unlabelled speech reruns, and how mistakes in its settings are reported."""

from __future__ import annotations

import copy
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from snakemake.exceptions import WorkflowError

from tests.audit.speech import write_corpus
from tests.workflow.invalidation.studies import changed
from tests.workflow.small_study import ROWS, STUDY
from tests.workflow.touched_study import Pending, TouchedStudy

CONFIG: dict[str, Any] = {
    **copy.deepcopy(STUDY),
    "shards": 2,
    "checkpoints": {
        "learned": {
            "pretrain": "wav2vec",
            "speech": {"reader": "folder", "root": "unlabelled"},
            "steps": 1000,
        },
        "labelled": {
            "pretrain": "wav2vec",
            "speech": {"reader": "csv", "root": "recordings"},
            "steps": 1000,
        },
    },
    "representations": {
        **STUDY["representations"],
        "learned": {"kind": "wav2vec", "checkpoint": "learned"},
        "labelled": {"kind": "wav2vec", "checkpoint": "labelled"},
    },
    "models": {**STUDY["models"], "pooled": {"kind": "pooled"}},
    "experiments": {
        **STUDY["experiments"],
        "learned": {"representations": ["learned"], "model": "pooled"},
        "labelled": {"representations": ["labelled"], "model": "pooled"},
    },
}
SUBJECTS = {"read_speech", "pretrain", "compare_speech", "extract_features", "index_features"}
TABLES = {
    *("collect_pretraining", "make_tables", "compare_experiments", "slice_scores"),
    *("measure_ceiling", "measure_efficiency", "draw_figures", "write_report"),
}


@pytest.fixture
def study(tmp_path: Path) -> TouchedStudy:
    """Return a finished study whose checkpoint `learned` is pre-trained on a folder."""
    write_corpus(tmp_path / "recordings", ROWS)
    for number in range(4):
        write_recording(tmp_path / "unlabelled" / f"speaker{number}" / "a.wav", b"%d" % number)
    finished = TouchedStudy(tmp_path, CONFIG)
    finished.finish()
    assert finished.pending() == {}
    return finished


def write_recording(path: Path, content: bytes) -> None:
    """Write a file whose content is not read while planning."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def names(pending: Pending, rule: str) -> set[str]:
    """Return the checkpoints, representations or experiments of a rule's outputs."""
    return {Path(path).parts[3].removesuffix(".json") for path in pending.get(rule, [])}


def assert_trains_again(pending: Pending, checkpoint: str) -> None:
    assert {rule: names(pending, rule) for rule in [*SUBJECTS, "train"]} == {
        rule: {checkpoint} for rule in [*SUBJECTS, "train"]
    }
    assert set(pending) == {*SUBJECTS, "train", *TABLES}


def test_one_more_recording_trains_its_checkpoint_again(study: TouchedStudy) -> None:
    write_recording(study.folder / "unlabelled" / "speaker4" / "a.wav", b"more")
    assert_trains_again(study.pending(), "learned")


@pytest.mark.slow
def test_a_changed_recording_trains_its_checkpoint_again(study: TouchedStudy) -> None:
    path = study.folder / "unlabelled" / "speaker0" / "a.wav"
    before = path.stat()
    path.write_bytes(b"other")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert_trains_again(study.pending(), "learned")


@pytest.mark.slow
def test_touched_copied_and_moved_recordings_rerun_nothing(study: TouchedStudy) -> None:
    unlabelled = study.folder / "unlabelled"
    os.utime(unlabelled / "speaker0" / "a.wav", (2_000_000_000, 2_000_000_000))
    copied = unlabelled / "speaker1" / "a.wav"
    shutil.copyfile(copied, unlabelled / "copy")
    (unlabelled / "copy").replace(copied)
    assert study.pending() == {}
    unlabelled.rename(study.folder / "elsewhere")
    assert study.pending(changed(CONFIG, "checkpoints.learned.speech.root", "elsewhere")) == {}


@pytest.mark.slow
def test_labels_and_the_name_of_a_corpus_without_labels_rerun_no_training(
    study: TouchedStudy,
) -> None:
    assert study.pending(changed(CONFIG, "checkpoints.labelled.speech.name", "Another")) == {}
    table = study.folder / "recordings" / "utterances.csv"
    shutil.copy(table, table.with_name("others.csv"))
    table.with_name("others.csv").write_text(table.read_text().replace(",sad", ",angry"))
    assert study.pending(changed(CONFIG, "checkpoints.labelled.speech.table", "others.csv")) == {}


def test_another_classifier_reruns_no_pre_training(study: TouchedStudy) -> None:
    pending = study.pending(changed(CONFIG, "training.learning_rate", 1e-4))
    assert names(pending, "train") == {"learned", "labelled"}
    assert set(pending) == {"train", *TABLES - {"collect_pretraining"}}


def test_missing_speech_is_one_sentence(study: TouchedStudy) -> None:
    missing = changed(CONFIG, "checkpoints.learned.speech.root", "missing")
    missing = changed(missing, "study", "new")
    message = (
        r"^checkpoints\.learned\.speech: missing does not exist; set the root of the speech to a "
        r"folder$"
    )
    with pytest.raises(WorkflowError, match=message):
        study.pending(missing)


def test_speech_that_is_gone_counts_as_it_was_read_last(
    study: TouchedStudy, capsys: pytest.CaptureFixture[str]
) -> None:
    assert study.pending() == {}
    (study.folder / "unlabelled").rename(study.folder / "elsewhere")
    assert study.pending() == {}
    warning = "warning: checkpoints.learned.speech: unlabelled does not exist"
    assert warning in capsys.readouterr().err
