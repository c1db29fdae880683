from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emoscale.runtime.errors import ConfigurationError
from emoscale.store import FeatureStore, ShardHeader, index_shards, write_shard
from emoscale.store.index import Features
from emoscale.training.cell_features import check_times, share_without_times


def features(seconds: Any) -> Features:
    return Features(np.zeros((4, 2)), np.array([4]), seconds=seconds)


def test_tokens_without_a_time_are_counted() -> None:
    nan = np.nan
    times = np.array([[0.0, 0.1], [nan, nan], [0.2, nan], [0.3, 0.4]])
    assert share_without_times(features(times)) == 0.5
    assert share_without_times(features(None)) is None


def test_confining_without_any_time_is_refused(tmp_path: Path) -> None:
    header = ShardHeader("{}", 2, None, "code", "rows")
    write_shard(tmp_path / "bert" / "00.h5", header, ["u"], [np.zeros((1, 2))], "float16")
    index_shards([tmp_path / "bert" / "00.h5"], tmp_path / "bert" / "index.parquet")
    store = FeatureStore(tmp_path / "bert" / "index.parquet")
    for share in (None, 1.0):
        with pytest.raises(ConfigurationError, match=r"no token has a time.*confined to false"):
            check_times(store, share)
    check_times(store, 0.9)
