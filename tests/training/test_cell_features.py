from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emoscale.runtime.errors import ConfigurationError
from emoscale.store.features import Features
from emoscale.store.index import FeatureStore, index_shards
from emoscale.store.shard import ShardHeader
from emoscale.store.writer import write_shard
from emoscale.training.cell_features import (
    InputFeatures,
    check_word_times,
    fraction_without_times,
)


def features(seconds: Any) -> Features:
    return Features.packed(np.zeros((4, 2)), np.array([4]), seconds=seconds)


def test_fraction_of_tokens_without_times() -> None:
    nan = np.nan
    times = np.array([[0.0, 0.1], [nan, nan], [0.2, nan], [0.3, 0.4]])
    assert fraction_without_times(features(times)) == 0.5
    assert fraction_without_times(features(None)) is None


@pytest.mark.parametrize(("free_bytes", "gathered_later"), [(1000, 0), (50, 1)])
def test_mapped_features_are_copied_to_a_gpu_if_they_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_bytes: int, gathered_later: int
) -> None:
    """The device without data stands for a GPU; the features are 2 x 5 x 3 x 2 = 60 bytes."""
    header = ShardHeader("{}", 3, None, "code", "rows")
    write_shard(tmp_path / "00.h5", header, ["a", "b"], [np.ones((5, 3))] * 2, "float16")
    index_shards([tmp_path / "00.h5"], tmp_path / "index.parquet")
    features = FeatureStore(tmp_path / "index.parquet").load(["b", "a"])
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free_bytes, 2 * free_bytes))
    inputs = InputFeatures(features, torch.device("meta"))
    gathered = []
    monkeypatch.setattr(Features, "gather", lambda _, indices, target: gathered.append(indices))
    frames = inputs.batch([1, 0]).frames
    assert (frames.device.type, tuple(frames.shape)) == ("meta", (10, 3))
    assert len(gathered) == gathered_later


def test_memory_that_another_process_takes_while_features_are_copied(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1000, 2000))
    with monkeypatch.context() as patched:
        patched.setattr(InputFeatures, "_copy_to_device", full)
        inputs = InputFeatures(features(None), torch.device("meta"))
        with pytest.raises(torch.OutOfMemoryError):
            InputFeatures(features(None), torch.device("meta"), resident=True)
    assert "ran out while features were copied (CUDA out of memory)" in capfd.readouterr().err
    assert inputs.resident is None
    assert inputs.batch([0]).frames.shape == (4, 2)


def test_within_word_attention_without_times_is_an_error(tmp_path: Path) -> None:
    header = ShardHeader("{}", 2, None, "code", "rows")
    write_shard(tmp_path / "bert" / "00.h5", header, ["u"], [np.zeros((1, 2))], "float16")
    index_shards([tmp_path / "bert" / "00.h5"], tmp_path / "bert" / "index.parquet")
    store = FeatureStore(tmp_path / "bert" / "index.parquet")
    for fraction in (None, 1.0):
        with pytest.raises(
            ConfigurationError, match=r"no token has a time.*set within_word to false"
        ):
            check_word_times(store, fraction)
    check_word_times(store, 0.9)
