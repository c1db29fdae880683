"""A study whose files were made while the clock was a day ahead."""

from __future__ import annotations

import copy
import os
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.audit.speech import write_corpus
from tests.workflow.small_study import ROWS, STUDY, snakemake, write_config

pytestmark = pytest.mark.slow
DAY = 86_400
TRAININGS = [f"results/small/runs/mfcc/fold{fold}/all/run.json" for fold in (1, 2)]


@pytest.fixture(scope="module")
def ahead(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that is trained, and then the clock is set back by a day."""
    folder = tmp_path_factory.mktemp("clock")
    write_corpus(folder / "recordings", ROWS)
    assert ran(folder, STUDY)["train"] == 2
    for path in (folder / "results").rglob("*"):
        moved = path.lstat().st_mtime + DAY
        os.utime(path, (moved, moved))
    return folder


def ran(folder: Path, config: dict[str, Any], *targets: str) -> Counter[str]:
    """Jobs a rule that a run up to these files, else to the trainings, did."""
    run = snakemake(folder, write_config(folder, config), "--", *(targets or TRAININGS))
    assert run.returncode == 0, run.stdout
    return Counter(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", run.stdout, re.MULTILINE))


def has_nothing_to_do(folder: Path, config: dict[str, Any]) -> bool:
    run = snakemake(folder, write_config(folder, config), "--dry-run", "--", *TRAININGS)
    return "Nothing to be done" in run.stdout


def test_a_clock_that_was_set_back_loses_nothing_and_repeats_nothing(ahead: Path) -> None:
    assert has_nothing_to_do(ahead, STUDY)
    config = copy.deepcopy(STUDY)
    config["representations"]["mfcc"]["coefficients"] = 20
    index = "results/small/features/mfcc/index.parquet"
    # Within a run: what is behind the new features is not left out for being later than they are.
    assert ran(ahead, config, index) == {"extract_features": 1, "index_features": 1}
    assert (ahead / index).stat().st_mtime > time.time() + DAY / 2
    # From run to run: so are the trainings, which that run did not know of.
    assert ran(ahead, config) == {"train": 2}
    assert has_nothing_to_do(ahead, config)
