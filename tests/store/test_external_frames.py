"""The way of waveforms to another program and of its frames back, without that program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from emoscale.config.representations import MfccSettings, VqWav2VecSettings
from emoscale.representations.registry import build_representation
from emoscale.runtime.errors import StoreError
from emoscale.store import read_shard
from emoscale.store.external_frames import export_waveforms, store_frames
from emoscale.store.extraction import extract_shard
from tests.store.test_extraction import rows as rows  # a fixture
from tests.representations.test_wav2vec import REFERENCES

CODES = VqWav2VecSettings(kind="vq_wav2vec", checkpoint=str(REFERENCES / "vq_kmeans.pt"))


@pytest.mark.parametrize("settings", [MfccSettings(kind="mfcc"), CODES])
def test_what_comes_back_is_what_would_be_computed_here(
    tmp_path: Path, rows: pl.DataFrame, settings: Any
) -> None:
    made = build_representation(settings)
    export_waveforms(rows, tmp_path, tmp_path / "in.npz")
    with np.load(tmp_path / "in.npz") as waveforms:
        assert sorted(waveforms) == ["0", "1"]
        frames = {key: made.extract([waveforms[key]])[0] for key in waveforms}
    np.savez(tmp_path / "out.npz", **frames)
    store_frames(rows, settings, made, tmp_path / "out.npz", tmp_path / "a.h5", "code", "")
    extract_shard(rows, tmp_path, settings, made, tmp_path / "b.h5", "code", "")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert read_shard(tmp_path / "a.h5").utterances == ["part", "whole"]


def test_a_file_that_lacks_an_utterance_is_refused(tmp_path: Path, rows: pl.DataFrame) -> None:
    settings = MfccSettings(kind="mfcc")
    np.savez(tmp_path / "out.npz", allow_pickle=False, **{"0": np.ones((3, 40))})
    made = build_representation(settings)
    with pytest.raises(StoreError, match=r"out\.npz: is damaged or lacks an utterance"):
        store_frames(rows, settings, made, tmp_path / "out.npz", tmp_path / "a.h5", "code", "")
    (tmp_path / "out.npz").write_bytes(b"PK")
    with pytest.raises(StoreError, match=r"out\.npz: is damaged or lacks an utterance"):
        store_frames(rows, settings, made, tmp_path / "out.npz", tmp_path / "a.h5", "code", "")
    assert not (tmp_path / "a.h5").exists()
