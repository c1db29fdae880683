"""Runs scripts/fairseq_backend.py in fairseq's own Python, which FAIRSEQ_PYTHON names."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import PROJECT

PYTHON = os.environ.get("FAIRSEQ_PYTHON", "")

needs_fairseq = pytest.mark.skipif(
    not PYTHON, reason="FAIRSEQ_PYTHON names no Python that has fairseq; make test-fairseq does"
)


def run_backend(
    checkpoint: Path, output: str, waveforms: Path, result: Path
) -> subprocess.CompletedProcess[str]:
    """The program as the workflow calls it."""
    program = PROJECT / "scripts" / "fairseq_backend.py"
    files: list[str | Path] = [
        "--checkpoint",
        checkpoint,
        "--waveforms",
        waveforms,
        "--result",
        result,
    ]
    return subprocess.run(
        [PYTHON, program, "--output", output, *files],
        capture_output=True,
        text=True,
        check=False,
    )


def features_by_fairseq(
    checkpoint: Path, output: str, waveforms: Mapping[str, np.ndarray], folder: Path
) -> dict[str, np.ndarray]:
    """What fairseq computes, by key."""
    arrays: dict[str, Any] = dict(waveforms)
    np.savez(folder / "in.npz", **arrays)
    ran = run_backend(checkpoint, output, folder / "in.npz", folder / "out.npz")
    assert ran.returncode == 0, ran.stderr
    with np.load(folder / "out.npz") as result:
        return {key: result[key] for key in result.files}
