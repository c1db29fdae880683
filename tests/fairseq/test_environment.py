"""fairseq's environment files for pip and conda must list the same packages."""

from __future__ import annotations

from pathlib import Path

import yaml


def test_pip_and_conda_install_the_same_packages(project: Path) -> None:
    environment = yaml.safe_load((project / "envs" / "fairseq.yaml").read_text())
    *interpreter, packages = environment["dependencies"]
    assert interpreter == ["python=3.10", "pip=24.0"]
    assert packages["pip"] == (project / "envs" / "fairseq.txt").read_text().split()
