from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from emoscale.prediction.attention import (
    ATTENTION,
    SPECIAL_TOKEN,
    AttentionMap,
    attention_json,
    attention_of_utterance,
    attention_table,
    study_folder,
)
from emoscale.runtime.errors import StoreError, UserError
from emoscale.store.index import FeatureStore
from emoscale.tables.parquet import read_table, write_table
from emoscale.training.saved_run import read_run
from tests.prediction.conftest import SENTENCES, ChangeRun, SmallStudy


def compute_map(
    study: SmallStudy, experiment: str, utterance: str, repeat: int = 0
) -> AttentionMap:
    run = read_run(study.run_folder(experiment))
    return attention_of_utterance(
        run, run.repeat(repeat), study_folder(run), utterance, torch.device("cpu")
    )


def test_attention_is_over_the_frames_of_the_utterance(small_study: SmallStudy) -> None:
    attention_map = compute_map(small_study, "aligned", "u01")
    store = FeatureStore(small_study.folder / "features" / "mfcc" / "index.parquet")
    assert attention_map.transcript == SENTENCES[1]
    assert "".join(attention_map.tokens) == SENTENCES[1].replace(" ", "")
    frames = int(store.load(["u01"]).lengths[0])
    assert attention_map.attention.shape == (2, len(attention_map.tokens), frames)
    np.testing.assert_allclose(attention_map.attention.sum(axis=2), 1.0, atol=1e-5)
    assert attention_map.seconds[0].tolist() == pytest.approx([0.0, 0.05])
    other = compute_map(small_study, "aligned", "u01", repeat=1)
    assert np.abs(other.attention - attention_map.attention).max() > 1e-4


def test_restricted_attention_is_over_the_frames_of_the_word(small_study: SmallStudy) -> None:
    attention_map = compute_map(small_study, "aligned_within_words", "u01")
    centres = (np.arange(attention_map.attention.shape[2]) + 0.5) / attention_map.frame_rate
    for token, (start, end) in enumerate(attention_map.seconds):
        outside = (centres < start) | (centres > end)
        assert outside.any()
        assert attention_map.attention[:, token, outside].max() == 0.0


def test_attention_of_a_model_that_normalises_by_speaker(small_study: SmallStudy) -> None:
    attention_map = compute_map(small_study, "aligned_by_speaker", "u01")
    np.testing.assert_allclose(attention_map.attention.sum(axis=2), 1.0, atol=1e-5)


def test_an_empty_transcript_has_a_special_token(small_study: SmallStudy) -> None:
    assert compute_map(small_study, "aligned", "u00").tokens == [SPECIAL_TOKEN]


def test_table_and_json_hold_the_map(small_study: SmallStudy, tmp_path: Path) -> None:
    attention_map = compute_map(small_study, "aligned", "u02")
    write_table(attention_table(attention_map), tmp_path / "map.parquet", ATTENTION)
    table = read_table(tmp_path / "map.parquet", ATTENTION)
    assert len(table) == attention_map.attention.size
    row = table.filter(head=1, token=2, frame=7).row(0, named=True)
    assert row["weight"] == attention_map.attention[1, 2, 7]
    assert row["text"] == attention_map.tokens[2]
    assert row["start"] == pytest.approx(7 / attention_map.frame_rate)
    content = json.loads(json.dumps(attention_json(attention_map), allow_nan=False))
    assert content["attention"][1][2][7] == row["weight"]
    empty = compute_map(small_study, "aligned", "u00")
    assert attention_json(empty)["seconds"] == [None]
    assert attention_table(empty)["token_start"].null_count() == empty.attention.size


def test_other_kinds_have_no_map(small_study: SmallStudy) -> None:
    with pytest.raises(
        UserError, match=r"of the kind late_fusion, which has no attention map; name"
    ):
        compute_map(small_study, "late", "u01")


def test_other_features_than_those_of_the_training_are_refused(
    small_study: SmallStudy, change_run: ChangeRun
) -> None:
    run = read_run(change_run("aligned", ["inputs", "0", "features_sha256"], "0" * 64))
    device = torch.device("cpu")
    with pytest.raises(
        StoreError, match=r"is not in the results of a study; name their folder with"
    ):
        study_folder(run)
    with pytest.raises(StoreError, match=r"mfcc/index\.parquet: holds other features than"):
        attention_of_utterance(run, run.repeat(0), small_study.folder, "u01", device)


def test_a_missing_utterance(small_study: SmallStudy) -> None:
    with pytest.raises(StoreError, match="has no features of nobody"):
        compute_map(small_study, "aligned", "nobody")
    assert pl.read_parquet(small_study.folder / "corpus" / "recordings.parquet").height == 24
