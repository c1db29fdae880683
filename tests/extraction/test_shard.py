from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from emoscale.config.corpus import AudioChecks
from emoscale.config.representations import MfccSettings
from emoscale.corpus.reading import Reading, Utterance
from emoscale.corpus.recordings import check_recordings
from emoscale.corpus.shards import deal_shards
from emoscale.errors import UserError
from emoscale.extraction import extract_shard
from emoscale.store import read_header, read_shard
from tests.conftest import WriteWav

SETTINGS = MfccSettings(kind="mfcc", coefficients=13)


@pytest.fixture
def rows(tmp_path: Path, write_wav: WriteWav) -> pl.DataFrame:
    write_wav("long.wav", seconds=2.0, rate=22_050)
    reading = Reading("csv")
    for key, start, end in (("whole", None, None), ("part", 0.5, 1.0)):
        reading.add(Utterance(key, "long.wav", "a", "sad", start, end), "table")
    usable, _ = check_recordings(reading, tmp_path, AudioChecks())
    (shard,) = deal_shards(usable, 1)
    return shard


def test_segments_of_one_file(tmp_path: Path, rows: pl.DataFrame) -> None:
    path = tmp_path / "mfcc" / "00.h5"
    extract_shard(rows, tmp_path, SETTINGS, path, "code")
    contents = read_shard(path)
    assert contents.utterances == ["part", "whole"]
    assert np.diff(contents.offsets).tolist() == [51, 201]
    header = read_header(path)
    assert (header.dimension, header.frame_rate, header.code_sha256) == (13, 100.0, "code")


def test_a_rebuild_is_byte_identical(tmp_path: Path, rows: pl.DataFrame) -> None:
    for name in ("one", "two"):
        extract_shard(rows, tmp_path, SETTINGS, tmp_path / f"{name}.h5", "code")
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


def test_an_empty_shard_is_a_shard(tmp_path: Path, rows: pl.DataFrame) -> None:
    extract_shard(rows.clear(), tmp_path, SETTINGS, tmp_path / "00.h5", "code")
    assert read_shard(tmp_path / "00.h5").utterances == []


def test_audio_that_changed_or_went_is_named(
    tmp_path: Path, rows: pl.DataFrame, write_wav: WriteWav
) -> None:
    write_wav("long.wav", seconds=3.0)
    with pytest.raises(UserError, match=r"whole: lasts 3.000 s and lasted 2.000 s"):
        extract_shard(rows, tmp_path, SETTINGS, tmp_path / "00.h5", "code")
    (tmp_path / "long.wav").unlink()
    with pytest.raises(UserError, match=r"part: .*no such file; the corpus changed"):
        extract_shard(rows, tmp_path, SETTINGS, tmp_path / "00.h5", "code")
    assert not (tmp_path / "00.h5").exists()
