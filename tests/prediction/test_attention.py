from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from emoscale.prediction.attention import (
    ATTENTION,
    SPECIAL,
    AttentionMap,
    attention_frame,
    attention_json,
    attention_of_utterance,
    study_of,
)
from emoscale.runtime.errors import StoreError, UserError
from emoscale.store.index import FeatureStore
from emoscale.tables.parquet import read_table, write_table
from emoscale.training.saved_run import read_run
from tests.prediction.conftest import SENTENCES, ChangeRun, SmallStudy


def map_of(study: SmallStudy, experiment: str, utterance: str, repeat: int = 0) -> AttentionMap:
    run = read_run(study.run_folder(experiment))
    return attention_of_utterance(
        run, run.repeat(repeat), study_of(run), utterance, torch.device("cpu")
    )


def test_a_token_looks_at_the_frames_of_its_utterance(small_study: SmallStudy) -> None:
    shown = map_of(small_study, "aligned", "u01")
    store = FeatureStore(small_study.folder / "features" / "mfcc" / "index.parquet")
    assert shown.transcript == SENTENCES[1]
    assert "".join(shown.tokens) == SENTENCES[1].replace(" ", "")
    frames = int(store.load(["u01"]).lengths[0])
    assert shown.attention.shape == (2, len(shown.tokens), frames)
    np.testing.assert_allclose(shown.attention.sum(axis=2), 1.0, atol=1e-5)
    assert shown.seconds[0].tolist() == pytest.approx([0.0, 0.05])
    other = map_of(small_study, "aligned", "u01", repeat=1)
    assert np.abs(other.attention - shown.attention).max() > 1e-4


def test_a_confined_token_looks_at_its_own_words_frames(small_study: SmallStudy) -> None:
    shown = map_of(small_study, "confined", "u01")
    centres = (np.arange(shown.attention.shape[2]) + 0.5) / shown.frame_rate
    for token, (start, end) in enumerate(shown.seconds):
        outside = (centres < start) | (centres > end)
        assert outside.any()
        assert shown.attention[:, token, outside].max() == 0.0


def test_of_nothing_said_the_special_token_is_shown(small_study: SmallStudy) -> None:
    assert map_of(small_study, "aligned", "u00").tokens == [SPECIAL]


def test_the_numbers_are_those_of_the_map(small_study: SmallStudy, tmp_path: Path) -> None:
    shown = map_of(small_study, "aligned", "u02")
    write_table(attention_frame(shown), tmp_path / "map.parquet", ATTENTION)
    table = read_table(tmp_path / "map.parquet", ATTENTION)
    assert len(table) == shown.attention.size
    row = table.filter(head=1, token=2, frame=7).row(0, named=True)
    assert row["weight"] == shown.attention[1, 2, 7]
    assert row["text"] == shown.tokens[2]
    assert row["start"] == pytest.approx(7 / shown.frame_rate)
    value = json.loads(json.dumps(attention_json(shown), allow_nan=False))
    assert value["attention"][1][2][7] == row["weight"]
    nothing = map_of(small_study, "aligned", "u00")
    assert attention_json(nothing)["seconds"] == [None]
    assert attention_frame(nothing)["token_start"].null_count() == nothing.attention.size


def test_only_one_kind_has_a_map(small_study: SmallStudy) -> None:
    with pytest.raises(UserError, match=r"of the kind late_fusion, which has no map; name a"):
        map_of(small_study, "late", "u01")


def test_features_that_the_model_was_not_trained_on_are_refused(
    small_study: SmallStudy, change_run: ChangeRun
) -> None:
    run = read_run(change_run("aligned", ["inputs", "0", "features_sha256"], "0" * 64))
    device = torch.device("cpu")
    with pytest.raises(StoreError, match=r"does not lie in a study's results; name them with"):
        study_of(run)
    with pytest.raises(StoreError, match=r"mfcc/index\.parquet: holds other features than"):
        attention_of_utterance(run, run.repeat(0), small_study.folder, "u01", device)


def test_an_utterance_that_is_not_there(small_study: SmallStudy) -> None:
    with pytest.raises(StoreError, match="has no features of nobody"):
        map_of(small_study, "aligned", "nobody")
    assert pl.read_parquet(small_study.folder / "corpus" / "recordings.parquet").height == 24
