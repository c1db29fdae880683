from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from emoscale.config.corpus import AudioChecks
from emoscale.config.representations import MfccSettings, TransformersAudioSettings
from emoscale.corpus.reading import Reading, Utterance
from emoscale.representations.contract import Extracted
from emoscale.representations.registry import build_representation
from emoscale.runtime.errors import AudioError, MemoryLimitError, StoreError, UserError
from emoscale.store import read_header, read_shard
from emoscale.store.extraction import extract_shard
from emoscale.tables.schemas import EXTRACTION_INPUTS
from tests.conftest import WriteWav
from tests.corpus.checked import check_recordings

SETTINGS = MfccSettings(kind="mfcc", coefficients=13)


@pytest.fixture
def rows(tmp_path: Path, write_wav: WriteWav) -> pl.DataFrame:
    write_wav("long.wav", seconds=2.0, rate=22_050)
    reading = Reading("csv")
    for key, start, end in (("whole", None, None), ("part", 0.5, 1.0)):
        reading.add(Utterance(key, "long.wav", "a", "sad", start, end), "table")
    usable, _ = check_recordings(reading, tmp_path, AudioChecks())
    return usable.select(EXTRACTION_INPUTS.names)


def extract(rows: pl.DataFrame, root: Path, path: Path, representation: Any = None) -> None:
    made = representation or build_representation(SETTINGS)
    extract_shard(rows, root, SETTINGS, made, path, "code", "from nowhere")


def test_segments_of_one_file(tmp_path: Path, rows: pl.DataFrame) -> None:
    path = tmp_path / "mfcc" / "00.h5"
    extract(rows, tmp_path, path)
    contents = read_shard(path)
    assert contents.utterances == ["part", "whole"]
    assert np.diff(contents.offsets).tolist() == [51, 201]
    header = read_header(path)
    assert (header.dimension, header.frame_rate, header.code_sha256) == (13, 100.0, "code")
    assert (header.pretrained_weights, header.layers) == ("from nowhere", ())


def test_a_rebuild_is_byte_identical(tmp_path: Path, rows: pl.DataFrame) -> None:
    for name in ("one", "two"):
        extract(rows, tmp_path, tmp_path / f"{name}.h5")
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


def test_an_empty_shard_is_a_shard(tmp_path: Path, rows: pl.DataFrame) -> None:
    extract(rows.clear(), tmp_path, tmp_path / "00.h5")
    assert read_shard(tmp_path / "00.h5").utterances == []


def test_audio_that_changed_or_went_is_named(
    tmp_path: Path, rows: pl.DataFrame, write_wav: WriteWav
) -> None:
    write_wav("long.wav", seconds=3.0)
    with pytest.raises(UserError, match=r"whole: lasts 3.000 s and lasted 2.000 s"):
        extract(rows, tmp_path, tmp_path / "00.h5")
    (tmp_path / "long.wav").unlink()
    with pytest.raises(UserError, match=r"whole: .*no such file; the corpus changed"):
        extract(rows, tmp_path, tmp_path / "00.h5")
    assert not (tmp_path / "00.h5").exists()


class Recorder:
    """A representation that remembers its batches: one frame, the utterance's length."""

    modality = "audio"
    dimension = 1
    frame_rate = None
    dtype = "float32"
    batch_seconds = 0.0

    def __init__(self, **attributes: Any) -> None:
        self.batches: list[list[int]] = []
        self.__dict__.update(attributes)

    def extract(self, batch: list[Any]) -> list[Any]:
        self.batches.append([len(given) for given in batch])
        return [np.array([[len(given)]]) for given in batch]


def test_batches_are_of_similar_length_the_longest_first(tmp_path: Path, write_wav: Any) -> None:
    reading = Reading("csv")
    for number, seconds in enumerate((0.5, 2.0, 0.4, 1.9)):
        write_wav(f"{number}.wav", seconds=seconds)
        reading.add(Utterance(f"u{number}", f"{number}.wav", "a", "sad", None, None), "table")
    usable, _ = check_recordings(reading, tmp_path, AudioChecks())
    rows = usable.select(EXTRACTION_INPUTS.names)
    recorder = Recorder(batch_seconds=4.0)
    extract(rows, tmp_path, tmp_path / "00.h5", recorder)
    assert recorder.batches == [[32_000, 30_400], [8_000, 6_400]]
    contents = read_shard(tmp_path / "00.h5")
    assert contents.utterances == ["u0", "u1", "u2", "u3"]
    assert contents.frames[:, 0].tolist() == [8_000, 32_000, 6_400, 30_400]


class Words(Recorder):
    """A frame a blank-separated word."""

    modality = "text"

    def extract(self, batch: list[Any]) -> list[Any]:
        (text,) = batch
        ends = np.cumsum([len(word) + 1 for word in text.split()]) - 1
        starts = np.array([0, *(ends[:-1] + 1)])
        characters = np.stack([starts, ends], axis=1).astype(np.int32)
        return [Extracted(np.ones((len(ends), 1)), characters, chunks=2)]


def test_tokens_get_their_words_times(tmp_path: Path, rows: pl.DataFrame) -> None:
    alignment = [
        {"word": "THAT'S", "start": 0.1, "end": 0.3},
        {"word": "FINE", "start": 0.4, "end": 0.9},
    ]
    text = rows.with_columns(
        transcript=pl.Series(["That's fine.", "Oh well"]),
        words=pl.Series([alignment, None], dtype=rows.schema["words"]),
    )
    extract(text, tmp_path, tmp_path / "00.h5", Words())
    contents = read_shard(tmp_path / "00.h5")
    assert contents.chunks.tolist() == [2, 2]
    assert contents.characters is not None
    assert contents.characters.tolist() == [[0, 6], [7, 12], [0, 2], [3, 7]]
    assert contents.seconds is not None
    assert contents.seconds[:2].tolist() == [[0.1, 0.3], [0.4, 0.9]]
    assert np.isnan(contents.seconds[2:]).all()


def test_a_text_representation_needs_transcripts(tmp_path: Path, rows: pl.DataFrame) -> None:
    with pytest.raises(UserError, match="whole: has no transcript, which a text representation"):
        extract(rows, tmp_path, tmp_path / "00.h5", Words())


def test_the_utterance_that_is_too_short_is_named(tmp_path: Path, rows: pl.DataFrame) -> None:
    class Strict(Recorder):
        def extract(self, batch: list[Any]) -> list[Any]:
            if min(len(given) for given in batch) < 16_000:
                raise AudioError("too short", "not a second")
            return super().extract(batch)

    with pytest.raises(UserError, match=r"^part: not a second; raise audio.minimum_seconds"):
        extract(rows, tmp_path, tmp_path / "00.h5", Strict(batch_seconds=60.0))


def test_a_representation_that_loses_an_utterance_is_stopped(
    tmp_path: Path, rows: pl.DataFrame
) -> None:
    class Forgetful(Recorder):
        def extract(self, batch: list[Any]) -> list[Any]:
            return super().extract(batch)[:-1]

    with pytest.raises(StoreError, match="gave 1 results for 2 utterances"):
        extract(rows, tmp_path, tmp_path / "00.h5", Forgetful(batch_seconds=60.0))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (None, "gave NoneType results"),
        ([[[1.0], [2.0, 3.0]]], "gave no array of numbers"),
        ([np.array([["a"]])], "gave <U1, not numbers"),
        ([np.ones((2, 1)) * 1j], "gave complex128, not numbers"),
        ([np.ones((0, 1))], "expected at least one frame of 1 values"),
        ([np.ones((2, 3))], "expected at least one frame of 1 values"),
        ([np.full((2, 1), 0.5)], "has a value that is not one of int16"),
        ([np.full((2, 1), 70_000)], "has a value that is not one of int16"),
    ],
)
def test_what_is_no_frames_is_a_sentence(
    tmp_path: Path, rows: pl.DataFrame, given: Any, sentence: str
) -> None:
    class Wrong(Recorder):
        dtype = "int16"

        def extract(self, batch: list[Any]) -> Any:
            return given

    with pytest.raises(StoreError, match=sentence):
        extract(rows, tmp_path, tmp_path / "00.h5", Wrong())


def test_lists_and_tensors_are_arrays_too(tmp_path: Path, rows: pl.DataFrame) -> None:
    class Lists(Recorder):
        def extract(self, batch: list[Any]) -> list[Any]:
            return [[[1.0], [2.0]] for _ in batch]

    extract(rows, tmp_path, tmp_path / "00.h5", Lists())
    assert read_shard(tmp_path / "00.h5").frames[:, 0].tolist() == [1.0, 2.0, 1.0, 2.0]


class Small(Recorder):
    """A representation whose device has room for so many samples, padding included."""

    room = 0

    def extract(self, batch: list[Any]) -> list[Any]:
        computed = super().extract(batch)
        if len(batch) * max(map(len, batch)) > self.room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return computed


def test_a_batch_that_does_not_fit_is_halved_and_nothing_changes(
    tmp_path: Path, rows: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    more = pl.concat(
        [rows, rows.with_columns(utterance=pl.col("utterance") + "2")]
        + [rows[:1].with_columns(utterance=pl.lit(f"p{number}")) for number in range(4)]
    )
    for name, representation in (
        ("alone", Recorder()),
        ("together", Small(batch_seconds=60.0, room=70_000)),
    ):
        extract(more, tmp_path, tmp_path / name / "00.h5", representation)
    assert [len(batch) for batch in representation.batches] == [8, 4, 2, 2, 4]
    files = [tmp_path / name / "00.h5" for name in ("alone", "together")]
    assert files[0].read_bytes() == files[1].read_bytes()
    said = capsys.readouterr().err
    assert "together 00: memory ran out with 8 utterances of up to 2.0 s at once; going on" in said
    assert said.count("ran out") == 2


def test_an_utterance_that_does_not_fit_alone_is_named(tmp_path: Path, rows: pl.DataFrame) -> None:
    settings = TransformersAudioSettings(kind="transformers_audio", model="m", layer="all")
    path = tmp_path / "hubert" / "00.h5"
    small: Any = Small(batch_seconds=60.0, room=20_000)
    with pytest.raises(MemoryLimitError) as caught:
        extract_shard(rows, tmp_path, settings, small, path, "")
    said = str(caught.value)
    assert said.startswith("hubert 00: whole, 2.0 s long: the GPU's memory ran out when 2.00 GiB")
    assert "lower representations.hubert.chunk_seconds (60) to 30" in said
    assert "name fewer layers in representations.hubert.layer" in said
    assert "execution.device to cpu" in said
    assert list(path.parent.iterdir()) == []
