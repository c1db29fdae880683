"""A new recording reruns reading, measuring and extraction of its own shard only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emoscale.corpus.shards import shard_index
from tests.audit.speech import write_corpus
from tests.workflow.small_study import ROWS, STUDY
from tests.workflow.touched_study import TouchedStudy

SHARDS = 4
CONFIG: dict[str, Any] = {
    **STUDY,
    "shards": SHARDS,
    "representations": {
        "mfcc": {"kind": "mfcc", "coefficients": 13},
        "logmel": {"kind": "logmel", "mel_bands": 16},
    },
    "experiments": {
        name: {"representations": [name], "model": "svm"} for name in ("mfcc", "logmel")
    },
}
SHARD_RULES = ("read_shard", "measure_shard", "extract_features")


def test_a_new_recording_reruns_one_shard(tmp_path: Path) -> None:
    root = tmp_path / "recordings"
    write_corpus(root, ROWS)
    study = TouchedStudy(tmp_path, CONFIG)
    study.finish()
    assert study.pending() == {}
    lines = (root / "utterances.csv").read_text().splitlines()
    write_corpus(tmp_path / "more", [{**ROWS[0], "file": "one_more.wav"}])
    (tmp_path / "more" / "one_more.wav").rename(root / "one_more.wav")
    row = (tmp_path / "more" / "utterances.csv").read_text().splitlines()[1]
    (root / "utterances.csv").write_text("\n".join([*lines, row]) + "\n")
    pending = study.pending()
    shards = {
        rule: {Path(path).stem for path in pending[rule] if Path(path).stem.isdecimal()}
        for rule in SHARD_RULES
    }
    changed_shard = f"{shard_index('one_more', SHARDS):02d}"
    assert all(shards[rule] == {changed_shard} for rule in SHARD_RULES), shards
    assert len(pending["extract_features"]) == 2  # one per representation
    assert "train" in pending
