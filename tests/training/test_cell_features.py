from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emoscale.runtime.errors import ConfigurationError
from emoscale.store import FeatureStore, ShardHeader, index_shards, write_shard
from emoscale.store.index import Features
from emoscale.training.cell_features import check_word_times, fraction_without_times


def features(seconds: Any) -> Features:
    return Features(np.zeros((4, 2)), np.array([4]), seconds=seconds)


def test_fraction_of_tokens_without_times() -> None:
    nan = np.nan
    times = np.array([[0.0, 0.1], [nan, nan], [0.2, nan], [0.3, 0.4]])
    assert fraction_without_times(features(times)) == 0.5
    assert fraction_without_times(features(None)) is None


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
