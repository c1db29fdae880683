"""Shared fixtures: generated audio files, EMO-DB if available, and Hypothesis settings."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, settings

PROJECT = Path(__file__).resolve().parent.parent

torch.set_num_threads(1)
os.environ["HF_HUB_OFFLINE"] = "1"  # no test accesses a model hub
settings.register_profile(
    "fixed seed",  # neither a slow machine nor random examples make a test fail
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("fixed seed")

collect_ignore_glob = ["*/make_*_references.py"]  # they need fairseq

WriteWav = Callable[..., Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run whole studies first, so that parallel workers end at about the same time."""
    items.sort(key=lambda item: item.path.parent != PROJECT / "tests" / "workflow")


@pytest.fixture
def project() -> Path:
    """Return the root of the repository."""
    return PROJECT


@pytest.fixture
def write_wav(tmp_path: Path) -> WriteWav:
    """Return a function that writes a tone with noise to the test's folder."""

    def write(
        name: str = "tone.wav",
        seconds: float = 0.5,
        rate: int = 16_000,
        channels: int = 1,
        subtype: str = "PCM_16",
        frequency: float = 440.0,
        level: float = 0.3,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        time = np.arange(round(seconds * rate)) / rate
        generator = np.random.default_rng(round(frequency))
        tone = level * np.sin(2 * np.pi * frequency * time)
        tone += 0.01 * level * generator.normal(size=len(time))
        soundfile.write(path, np.stack([tone] * channels, axis=1), rate, subtype=subtype)
        return path

    return write


@pytest.fixture(scope="session")
def emodb_root() -> Path:
    """Return the folder of EMO-DB's recordings; skip the test if it is missing."""
    candidates = [
        Path(os.environ.get("EMOSCALE_EMODB", PROJECT / "data" / "emodb")),
        PROJECT.parent / "shared" / "data" / "emodb",
    ]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    pytest.skip("EMO-DB is missing: set EMOSCALE_EMODB to the folder of its recordings")
