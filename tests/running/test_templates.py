"""A stranger's configuration is looked at without running what it says."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.workflow.small_study import STUDY, program, snakemake

TEMPLATE = "__use_yte__: true\n?__import__('pathlib').Path('pwned').touch(): {}\n"


def test_plan_runs_nothing_of_a_template(tmp_path: Path) -> None:
    path = tmp_path / "stranger.yaml"
    path.write_text(TEMPLATE + yaml.safe_dump(STUDY))
    ran = program(tmp_path, "plan.py", "--configfile", path)
    assert ran.returncode == 1
    said = ran.stderr.strip().splitlines()
    assert len(said) == 1
    assert "stranger.yaml, line 1: __use_yte__ makes Snakemake run what the file says" in said[0]
    assert [each.name for each in tmp_path.iterdir()] == ["stranger.yaml"]


def test_why_it_is_looked_at_first(tmp_path: Path) -> None:
    """Snakemake itself runs the template before our rules see anything."""
    path = tmp_path / "stranger.yaml"
    path.write_text(TEMPLATE + yaml.safe_dump(STUDY))
    ran = snakemake(tmp_path, path, "--dry-run")
    assert ran.returncode == 1
    assert "makes Snakemake run what the file says" in ran.stdout
    assert (tmp_path / "pwned").exists()
