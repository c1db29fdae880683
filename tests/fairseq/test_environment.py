"""fairseq's environment is stated twice, for pip and for conda, and must be the same."""

from __future__ import annotations

from pathlib import Path

import yaml


def test_pip_and_conda_install_the_same(project: Path) -> None:
    environment = yaml.safe_load((project / "envs" / "fairseq.yaml").read_text())
    *interpreter, packages = environment["dependencies"]
    assert interpreter == ["python=3.10", "pip=24.0"]
    assert packages["pip"] == (project / "envs" / "fairseq.txt").read_text().split()
