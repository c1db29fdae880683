from __future__ import annotations

from pathlib import Path

from tests.audit.speech import write_corpus
from tests.chaos.chaos import disturb
from tests.workflow.small_study import ROWS, STUDY, write_config


def test_a_killed_study_goes_on_and_ends_with_the_same_tables(tmp_path: Path) -> None:
    write_corpus(tmp_path / "recordings", ROWS)
    config = write_config(tmp_path, STUDY)
    chaos = disturb(config, tmp_path, "results/small", kills=3, full=1, latest=0.5, seed=2)
    assert chaos.faults == []
    assert chaos.kills == 3
    assert chaos.ends >= 1
