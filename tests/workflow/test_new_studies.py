"""Copies of published corpora: new_study.py recognises them, and their studies are planned."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.corpus.releases.trees import TREES
from tests.corpus.releases.trees_with_tables import TREES_WITH_TABLES
from tests.scripts.test_new_study import written
from tests.scripts.test_programs import invoke
from tests.workflow.small_study import environment

LARGE = {"mead", "esd", "crema_d", "subesco", "emov_db", "nemo"}


@pytest.mark.slow
@pytest.mark.parametrize("reader", [*TREES, *TREES_WITH_TABLES])
def test_the_study_of_a_copy_is_planned(tmp_path: Path, reader: str) -> None:
    copy, output = tmp_path / "copy", tmp_path / "study.yaml"
    if reader in TREES:
        TREES[reader](copy, every=5 if reader in LARGE else 1)
    else:
        TREES_WITH_TABLES[reader](copy)
    ran = invoke("new_study.py", str(copy), "--output", str(output), "--yes")
    assert ran.exit_code == 0, ran.stderr
    assert written(output).corpus.reader == reader
    command = ["snakemake", "--cores", "1", "-n", "--directory", str(tmp_path)]
    planned = subprocess.run(
        [sys.executable, "-m", *command, "-s", str(PROJECT / "Snakefile"), "--configfile", output],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert re.search(r"^train +\d+$", planned.stdout + planned.stderr, re.MULTILINE)
