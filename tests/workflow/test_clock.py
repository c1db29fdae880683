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

from tests.workflow.small_study import STUDY, finish, snakemake, write_config

DAY = 86_400


@pytest.fixture(scope="module")
def ahead(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study, and then the clock is set back by a day."""
    folder = tmp_path_factory.mktemp("clock")
    finish(folder)
    for path in (folder / "results").rglob("*"):
        moved = path.lstat().st_mtime + DAY
        os.utime(path, (moved, moved))
    return folder


def ran(folder: Path, config: dict[str, Any], *arguments: str) -> Counter[str]:
    """Jobs a rule that a run did."""
    run = snakemake(folder, write_config(folder, config), *arguments)
    assert run.returncode == 0, run.stdout
    return Counter(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", run.stdout, re.MULTILINE))


def with_coefficients(number: int) -> dict[str, Any]:
    config = copy.deepcopy(STUDY)
    config["representations"]["mfcc"]["coefficients"] = number
    return config


def test_a_clock_that_was_set_back_runs_nothing_by_itself(ahead: Path) -> None:
    assert ran(ahead, STUDY) == {}


def test_a_change_reaches_all_that_depends_on_it_and_is_made_once(ahead: Path) -> None:
    done = ran(ahead, with_coefficients(20))
    assert done["extract_features"] == 1
    assert done["train"] == 2
    assert done["make_tables"] == 1
    assert ran(ahead, with_coefficients(20)) == {}


def test_what_an_earlier_run_replaced_is_seen_by_the_next(ahead: Path) -> None:
    shard = "results/small/features/mfcc/00.h5"
    assert ran(ahead, with_coefficients(16), "--", shard) == {"extract_features": 1}
    assert (ahead / shard).stat().st_mtime > time.time() + DAY / 2
    done = ran(ahead, with_coefficients(16))
    assert done["extract_features"] == 0
    assert done["index_features"] == 1
    assert done["train"] == 2
    assert ran(ahead, with_coefficients(16)) == {}
