"""What many tests need: a place for audio, and real speech where it is at hand."""

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
os.environ["HF_HUB_OFFLINE"] = "1"  # no test asks a model hub
settings.register_profile(
    "the same every time",  # a busy machine makes no test fail, nor does another draw
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("the same every time")

collect_ignore_glob = ["representations/make_*_references.py"]  # they run beside fairseq

WriteWav = Callable[..., Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole studies come first: with --no-loadscope-reorder no worker ends long after the other."""
    items.sort(key=lambda item: item.path.parent != PROJECT / "tests" / "workflow")


@pytest.fixture
def project() -> Path:
    """The root of the repository."""
    return PROJECT


@pytest.fixture
def write_wav(tmp_path: Path) -> WriteWav:
    """Writes a tone with noise, `seconds` long, under the test's folder."""

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
    """A folder with EMO-DB's recordings; the test is skipped where there is none."""
    candidates = [
        Path(os.environ.get("EMOSCALE_EMODB", PROJECT / "data" / "emodb")),
        PROJECT.parent / "shared" / "data" / "emodb",
    ]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    pytest.skip("EMO-DB is not here: set EMOSCALE_EMODB to the folder of its recordings")
