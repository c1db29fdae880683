"""Extraction of shards: batches, segments, token times, memory limits and error messages."""

from __future__ import annotations

import importlib.metadata
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from emoscale.config.corpus import AudioChecks
from emoscale.config.representations import MfccSettings, TransformersAudioSettings
from emoscale.corpus.readers import CorpusManifest, Utterance
from emoscale.representations.contract import UtteranceFeatures
from emoscale.representations.registry import build_representation
from emoscale.runtime.errors import AudioError, MemoryLimitError, StoreError, UserError
from emoscale.store.extraction import extract_shard
from emoscale.store.shard import read_header, read_shard
from emoscale.store.writer import ShardWriter
from emoscale.tables.schemas import EXTRACTION_INPUTS
from tests.conftest import WriteWav
from tests.corpus.checked import check_recordings

SETTINGS = MfccSettings(kind="mfcc", coefficients=13)


@pytest.fixture
def rows(tmp_path: Path, write_wav: WriteWav) -> pl.DataFrame:
    write_wav("long.wav", seconds=2.0, rate=22_050)
    manifest = CorpusManifest("csv")
    for key, start, end in (("whole", None, None), ("part", 0.5, 1.0)):
        manifest.add(Utterance(key, "long.wav", "a", "sad", start, end), "table")
    usable, _ = check_recordings(manifest, tmp_path, AudioChecks())
    return usable.select(EXTRACTION_INPUTS.names)


def extract(rows: pl.DataFrame, root: Path, path: Path, representation: Any = None) -> None:
    representation = representation or build_representation(SETTINGS)
    extract_shard(rows, root, SETTINGS, representation, path, "code", "untrained")


def test_utterances_of_one_recording(tmp_path: Path, rows: pl.DataFrame) -> None:
    path = tmp_path / "mfcc" / "00.h5"
    extract(rows, tmp_path, path)
    contents = read_shard(path)
    assert contents.utterances == ["part", "whole"]
    assert np.diff(contents.offsets).tolist() == [51, 201]
    header = read_header(path)
    assert (header.dimension, header.frame_rate, header.code_sha256) == (13, 100.0, "code")
    versions = json.loads(header.versions)
    assert list(versions) == ["soundfile", "soxr", "torch", "torchaudio"]
    assert versions["soxr"] == importlib.metadata.version("soxr")
    assert (header.pretrained_weights, header.layers) == ("untrained", ())


def test_a_rebuild_is_byte_identical(tmp_path: Path, rows: pl.DataFrame) -> None:
    for name in ("one", "two"):
        extract(rows, tmp_path, tmp_path / f"{name}.h5")
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


def test_an_empty_shard_is_valid(tmp_path: Path, rows: pl.DataFrame) -> None:
    extract(rows.clear(), tmp_path, tmp_path / "00.h5")
    assert read_shard(tmp_path / "00.h5").utterances == []


def test_changed_or_missing_audio_is_reported(
    tmp_path: Path, rows: pl.DataFrame, write_wav: WriteWav
) -> None:
    write_wav("long.wav", seconds=3.0)
    with pytest.raises(UserError, match=r"whole: the duration is 3.000 s, but was 2.000 s"):
        extract(rows, tmp_path, tmp_path / "00.h5")
    (tmp_path / "long.wav").unlink()
    with pytest.raises(UserError, match=r"whole: .*no such file; the corpus changed"):
        extract(rows, tmp_path, tmp_path / "00.h5")
    assert not (tmp_path / "00.h5").exists()


class BatchRecorder:
    """Representation that records its batches: one frame, the utterance's number of samples."""

    modality = "audio"
    dimension = 1
    frame_rate = None
    dtype = "float32"
    batch_seconds = 0.0

    def __init__(self, **attributes: Any) -> None:
        self.batches: list[list[int]] = []
        self.__dict__.update(attributes)

    def extract(self, batch: list[Any]) -> list[Any]:
        self.batches.append([len(waveform) for waveform in batch])
        return [np.array([[len(waveform)]]) for waveform in batch]


def test_batches_have_similar_lengths_longest_first(tmp_path: Path, write_wav: Any) -> None:
    manifest = CorpusManifest("csv")
    for number, seconds in enumerate((0.5, 2.0, 0.4, 1.9)):
        write_wav(f"{number}.wav", seconds=seconds)
        manifest.add(Utterance(f"u{number}", f"{number}.wav", "a", "sad", None, None), "table")
    usable, _ = check_recordings(manifest, tmp_path, AudioChecks())
    rows = usable.select(EXTRACTION_INPUTS.names)
    recorder = BatchRecorder(batch_seconds=4.0)
    extract(rows, tmp_path, tmp_path / "00.h5", recorder)
    assert recorder.batches == [[32_000, 30_400], [8_000, 6_400]]
    contents = read_shard(tmp_path / "00.h5")
    assert contents.utterances == ["u0", "u1", "u2", "u3"]
    assert contents.frames[:, 0].tolist() == [8_000, 32_000, 6_400, 30_400]


class WordTokens(BatchRecorder):
    """Text representation with one frame per word."""

    modality = "text"

    def extract(self, batch: list[Any]) -> list[Any]:
        (text,) = batch
        ends = np.cumsum([len(word) + 1 for word in text.split()]) - 1
        starts = np.array([0, *(ends[:-1] + 1)])
        characters = np.stack([starts, ends], axis=1).astype(np.int32)
        return [UtteranceFeatures(np.ones((len(ends), 1)), characters, chunks=2)]


def test_tokens_have_the_times_of_their_words(tmp_path: Path, rows: pl.DataFrame) -> None:
    alignment = [
        {"word": "THAT'S", "start": 0.1, "end": 0.3},
        {"word": "FINE", "start": 0.4, "end": 0.9},
    ]
    text_rows = rows.with_columns(
        transcript=pl.Series(["That's fine.", "Oh well"]),
        words=pl.Series([alignment, None], dtype=rows.schema["words"]),
    )
    extract(text_rows, tmp_path, tmp_path / "00.h5", WordTokens())
    contents = read_shard(tmp_path / "00.h5")
    assert contents.chunks.tolist() == [2, 2]
    assert contents.characters is not None
    assert contents.characters.tolist() == [[0, 6], [7, 12], [0, 2], [3, 7]]
    assert contents.seconds is not None
    assert contents.seconds[:2].tolist() == [[0.1, 0.3], [0.4, 0.9]]
    assert np.isnan(contents.seconds[2:]).all()


def test_a_missing_transcript_is_reported(tmp_path: Path, rows: pl.DataFrame) -> None:
    with pytest.raises(UserError, match="whole: has no transcript, which text representations"):
        extract(rows, tmp_path, tmp_path / "00.h5", WordTokens())


def test_an_utterance_that_is_too_short_is_reported(tmp_path: Path, rows: pl.DataFrame) -> None:
    class MinimumLength(BatchRecorder):
        def extract(self, batch: list[Any]) -> list[Any]:
            if min(len(waveform) for waveform in batch) < 16_000:
                raise AudioError("too short", "less than a second")
            return super().extract(batch)

    with pytest.raises(UserError, match=r"^part: less than a second; raise audio.minimum_seconds"):
        extract(rows, tmp_path, tmp_path / "00.h5", MinimumLength(batch_seconds=60.0))


def test_a_missing_result_is_reported(tmp_path: Path, rows: pl.DataFrame) -> None:
    class MissingResult(BatchRecorder):
        def extract(self, batch: list[Any]) -> list[Any]:
            return super().extract(batch)[:-1]

    with pytest.raises(StoreError, match="returned 1 results for 2 utterances"):
        extract(rows, tmp_path, tmp_path / "00.h5", MissingResult(batch_seconds=60.0))


@pytest.mark.parametrize(
    ("results", "message"),
    [
        (None, "returned NoneType results"),
        ([[[1.0], [2.0, 3.0]]], "returned no array of numbers"),
        ([np.array([["a"]])], "returned <U1, not numbers"),
        ([np.ones((2, 1)) * 1j], "returned complex128, not numbers"),
        ([np.ones((0, 1))], "expected at least one frame of 1 values"),
        ([np.ones((2, 3))], "expected at least one frame of 1 values"),
        ([np.full((2, 1), 0.5)], "has a value that int16 cannot represent"),
        ([np.full((2, 1), 70_000)], "has a value that int16 cannot represent"),
    ],
)
def test_invalid_results_are_reported(
    tmp_path: Path, rows: pl.DataFrame, results: Any, message: str
) -> None:
    class InvalidResults(BatchRecorder):
        dtype = "int16"

        def extract(self, batch: list[Any]) -> Any:
            return results

    with pytest.raises(StoreError, match=message):
        extract(rows, tmp_path, tmp_path / "00.h5", InvalidResults())


def test_a_batch_is_written_while_the_next_one_is_computed(
    tmp_path: Path, rows: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    second_started = threading.Event()
    add = ShardWriter.add

    def add_later(writer: ShardWriter, utterance: str, features: UtteranceFeatures) -> None:
        assert second_started.wait(timeout=60)
        add(writer, utterance, features)

    class Recorder(BatchRecorder):
        def extract(self, batch: list[Any]) -> list[Any]:
            if self.batches:
                second_started.set()
            return super().extract(batch)

    monkeypatch.setattr(ShardWriter, "add", add_later)
    extract(rows, tmp_path, tmp_path / "00.h5", Recorder())
    assert read_shard(tmp_path / "00.h5").frames[:, 0].tolist() == [8_000, 32_000]


def test_a_value_that_cannot_be_stored_stops_the_extraction(
    tmp_path: Path, rows: pl.DataFrame
) -> None:
    class Infinite(BatchRecorder):
        def extract(self, batch: list[Any]) -> list[Any]:
            return [result * np.inf for result in super().extract(batch)]

    more = [rows[:1].with_columns(utterance=pl.lit(f"p{number}")) for number in range(5)]
    infinite = Infinite()
    with pytest.raises(StoreError, match="whole has a value that is not finite in float32"):
        extract(pl.concat([rows, *more]), tmp_path, tmp_path / "00.h5", infinite)
    assert len(infinite.batches) == 2  # the second was computed while the first was written
    assert list(tmp_path.glob("*.h5")) == []


def test_lists_are_converted_to_arrays(tmp_path: Path, rows: pl.DataFrame) -> None:
    class Lists(BatchRecorder):
        def extract(self, batch: list[Any]) -> list[Any]:
            return [[[1.0], [2.0]] for _ in batch]

    extract(rows, tmp_path, tmp_path / "00.h5", Lists())
    assert read_shard(tmp_path / "00.h5").frames[:, 0].tolist() == [1.0, 2.0, 1.0, 2.0]


class LimitedMemory(BatchRecorder):
    """Representation whose device fits `max_samples` samples, including padding."""

    max_samples = 0

    def extract(self, batch: list[Any]) -> list[Any]:
        results = super().extract(batch)
        if len(batch) * max(map(len, batch)) > self.max_samples:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return results


def test_halving_a_batch_that_does_not_fit_does_not_change_the_shard(
    tmp_path: Path, rows: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    more_rows = pl.concat(
        [rows, rows.with_columns(utterance=pl.col("utterance") + "2")]
        + [rows[:1].with_columns(utterance=pl.lit(f"p{number}")) for number in range(4)]
    )
    for name, representation in (
        ("single", BatchRecorder()),
        ("batched", LimitedMemory(batch_seconds=60.0, max_samples=70_000)),
    ):
        extract(more_rows, tmp_path, tmp_path / name / "00.h5", representation)
    assert [len(batch) for batch in representation.batches] == [8, 4, 2, 2, 4]
    files = [tmp_path / name / "00.h5" for name in ("single", "batched")]
    assert files[0].read_bytes() == files[1].read_bytes()
    output = capsys.readouterr().err
    assert "batched 00: memory ran out with a batch of 8 utterances of up to 2.0 s; cont" in output
    assert output.count("ran out") == 2


def test_an_utterance_that_does_not_fit_by_itself_is_reported(
    tmp_path: Path, rows: pl.DataFrame
) -> None:
    settings = TransformersAudioSettings(kind="transformers_audio", model="m", layer="all")
    path = tmp_path / "hubert" / "00.h5"
    limited: Any = LimitedMemory(batch_seconds=60.0, max_samples=20_000)
    with pytest.raises(MemoryLimitError) as caught:
        extract_shard(rows, tmp_path, settings, limited, path, "")
    message = str(caught.value)
    assert message.startswith(
        "hubert 00: whole, 2.0 s long: the GPU's memory ran out when 2.00 GiB"
    )
    assert "lower representations.hubert.chunk_seconds (60) to 30" in message
    assert "select fewer layers in representations.hubert.layer" in message
    assert "execution.device to cpu" in message
    assert list(path.parent.iterdir()) == []
