"""One more recording is read, measured and extracted with its own shard; no other shard is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emoscale.corpus.survey import shard_of
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
LOOK_AT_RECORDINGS = ("read_shard", "measure_shard", "extract_features")


def test_one_more_recording_touches_one_shard(tmp_path: Path) -> None:
    root = tmp_path / "recordings"
    write_corpus(root, ROWS)
    study = TouchedStudy(tmp_path, CONFIG)
    study.finish()
    assert study.pending() == {}
    known = (root / "utterances.csv").read_text().splitlines()
    write_corpus(tmp_path / "more", [{**ROWS[0], "file": "one_more.wav"}])
    (tmp_path / "more" / "one_more.wav").rename(root / "one_more.wav")
    row = (tmp_path / "more" / "utterances.csv").read_text().splitlines()[1]
    (root / "utterances.csv").write_text("\n".join([*known, row]) + "\n")
    pending = study.pending()
    shards = {
        rule: {Path(path).stem for path in pending[rule] if Path(path).stem.isdecimal()}
        for rule in LOOK_AT_RECORDINGS
    }
    its_own = f"{shard_of('one_more', SHARDS):02d}"
    assert all(shards[rule] == {its_own} for rule in LOOK_AT_RECORDINGS), shards
    assert len(pending["extract_features"]) == 2  # of each representation
    assert "train" in pending
