"""Runs scripts/fairseq_backend.py in a Python with fairseq (environment: FAIRSEQ_PYTHON)."""

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
    not PYTHON,
    reason="FAIRSEQ_PYTHON is not set to a Python with fairseq; make test-fairseq sets it",
)


def run_backend(
    checkpoint: Path, output: str, waveforms: Path, result: Path
) -> subprocess.CompletedProcess[str]:
    """Run the program as the workflow does."""
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


def extract_with_fairseq(
    checkpoint: Path, output: str, waveforms: Mapping[str, np.ndarray], folder: Path
) -> dict[str, np.ndarray]:
    """Compute features with fairseq, by key."""
    arrays: dict[str, Any] = dict(waveforms)
    np.savez(folder / "in.npz", **arrays)
    process = run_backend(checkpoint, output, folder / "in.npz", folder / "out.npz")
    assert process.returncode == 0, process.stderr
    with np.load(folder / "out.npz") as result:
        return {key: result[key] for key in result.files}
