"""Predictions of a trained model for its test recordings and for others."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
import torch

from emoscale.config.checkpoints import UntrainedModel
from emoscale.prediction import predictions
from emoscale.prediction.features import FeatureExtractor, locate_checkpoints
from emoscale.prediction.predictions import predict
from emoscale.prediction.recordings import SkippedRecording
from emoscale.prediction.speakers import speakers_for
from emoscale.prediction.transcripts import Transcripts
from emoscale.representations.weights.fetching import cached_path
from emoscale.runtime.errors import CheckpointError, CorpusError, StoreError, UserError
from emoscale.training.saved_run import SavedRun, read_run
from tests.prediction.conftest import BY_SPEAKER, MODELS, SAMPLE_RATE, ChangeRun, SmallStudy

CPU = torch.device("cpu")


def build_extractor(run: SavedRun) -> FeatureExtractor:
    return FeatureExtractor(run, locate_checkpoints(run, {}, None, download=False), CPU)


def predicted(
    folder: Path,
    files: Sequence[Path],
    repeat: int | None = None,
    segment_seconds: float = 30.0,
    transcripts: Path | None = None,
    speakers: Path | None = None,
) -> tuple[pl.DataFrame, list[SkippedRecording]]:
    run = read_run(folder)
    repeats = run.repeats if repeat is None else [run.repeat(repeat)]
    skipped: list[SkippedRecording] = []
    extractor = build_extractor(run)
    table = predict(
        run,
        repeats,
        extractor,
        files,
        Transcripts(transcripts),
        segment_seconds,
        skipped.append,
        speakers_for(run, speakers, one_speaker=speakers is None),
    )
    return table, skipped


@pytest.mark.parametrize("experiment", [name for name in MODELS if name != "aligned_within_words"])
def test_probabilities_are_those_of_the_study(small_study: SmallStudy, experiment: str) -> None:
    files = small_study.test_recordings()
    trained = small_study.predictions(experiment)
    for repeat in (0, 1):
        table, skipped = predicted(small_study.run_folder(experiment), files, repeat)
        assert not skipped
        expected = trained.filter(pl.col("repeat") == repeat).sort("utterance")
        assert [Path(file).stem for file in table["file"]] == expected["utterance"].to_list()
        for name in ("p_high", "p_low"):
            np.testing.assert_allclose(table[name], expected[name], rtol=0, atol=1e-6)
        assert table["predicted"].to_list() == expected["predicted"].to_list()
        assert set(table["repeats"]) == {str(repeat)}
    assert np.std(trained["p_high"].to_numpy()) > 5e-3  # the predictions differ between utterances


def test_without_a_repeat_it_is_the_mean_of_all(small_study: SmallStudy) -> None:
    table, _ = predicted(small_study.run_folder("pooled"), small_study.test_recordings())
    expected = (
        small_study.predictions("pooled")
        .group_by("utterance")
        .agg(pl.mean("p_high"))
        .sort("utterance")
    )
    np.testing.assert_allclose(table["p_high"], expected["p_high"], rtol=0, atol=1e-6)
    assert set(table["repeats"]) == {"0, 1"}
    assert set(table["model"]) == {"pooled/fold1/all"}
    text, _ = predicted(small_study.run_folder("text"), small_study.test_recordings())
    assert set(text["pretrained_weights"]) == {"untrained: random weights of seed 3"}


@pytest.mark.parametrize("experiment", BY_SPEAKER)
def test_recordings_of_several_speakers_are_normalised_by_their_own(
    small_study: SmallStudy, tmp_path: Path, experiment: str
) -> None:
    folder, tested = small_study.run_folder(experiment), small_study.test_recordings()
    files = sorted(small_study.corpus.glob("*.wav"))
    assert len(tested) == 8 < len(files)
    alone, _ = predicted(folder, tested)
    speakers = small_study.speakers(tmp_path, files)
    together, skipped = predicted(folder, files, speakers=speakers)
    assert not skipped
    assert together["file"].to_list() == [str(file) for file in files]
    of_tested = together.filter(pl.col("file").is_in([str(file) for file in tested]))
    np.testing.assert_allclose(of_tested["p_high"], alone["p_high"], rtol=0, atol=1e-6)
    as_one, _ = predicted(folder, files)  # as if all recordings were of one speaker
    assert np.abs(np.log(as_one["p_high"] / together["p_high"])).max() > 1e-3


def test_a_recording_without_a_speaker_is_skipped(small_study: SmallStudy, tmp_path: Path) -> None:
    folder, files = small_study.run_folder("pooled_by_speaker"), small_study.test_recordings()
    speakers = small_study.speakers(tmp_path, files[1:])
    silent = tmp_path / "silent.wav"  # the only recording of its speaker
    soundfile.write(silent, np.zeros(SAMPLE_RATE), SAMPLE_RATE)
    speakers.write_text(f"{speakers.read_text()}\n{silent},other")
    table, skipped = predicted(folder, [silent, *files], speakers=speakers)
    assert table["file"].to_list() == [str(file) for file in files[1:]]
    assert [each.file for each in skipped] == [files[0], silent]
    assert skipped[0].message == (
        f"{files[0]}: has no speaker, by whom its features are normalised; add a row for it to "
        f"{speakers}"
    )


def test_a_run_by_speaker_needs_speakers(small_study: SmallStudy, tmp_path: Path) -> None:
    run = read_run(small_study.run_folder("pooled_by_speaker"))
    table = small_study.speakers(tmp_path, small_study.test_recordings())
    for source, one_speaker in ((None, False), (table, True)):
        with pytest.raises(
            UserError, match=r"pooled_by_speaker/fold1/all normalises features by speaker, from all"
        ):
            speakers_for(run, source, one_speaker)
    table.write_text("file,who\na.wav,anna")
    with pytest.raises(CorpusError, match=r"needs one column speaker \(its columns: file, who"):
        speakers_for(run, table, False)
    assert speakers_for(read_run(small_study.run_folder("pooled")), None, False) is None


def test_recordings_in_several_batches_have_the_same_predictions(
    small_study: SmallStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, files = small_study.run_folder("late"), small_study.test_recordings()
    whole, _ = predicted(folder, files)
    monkeypatch.setattr(predictions, "BATCH_SECONDS", 1.0)
    batched, _ = predicted(folder, files)
    assert batched["file"].to_list() == whole["file"].to_list()
    np.testing.assert_allclose(batched["p_low"], whole["p_low"], rtol=0, atol=1e-6)


def write_long(path: Path, seconds: float, silent: tuple[float, float] | None = None) -> Path:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    generator = np.random.default_rng(9)
    samples = 0.3 * np.sin(2 * np.pi * (150 + 80 * time) * time) + 0.05 * generator.normal(
        size=len(time)
    )
    if silent:
        samples[(time >= silent[0]) & (time < silent[1])] = 0.0
    soundfile.write(path, samples, SAMPLE_RATE, subtype="PCM_16")
    return path


def test_a_long_recording_is_split_into_equal_segments(
    small_study: SmallStudy, tmp_path: Path
) -> None:
    long = write_long(tmp_path / "long.wav", 5.0)
    folder = small_study.run_folder("pooled")
    table, skipped = predicted(folder, [long], segment_seconds=2.0)
    assert not skipped
    assert table["segment"].to_list() == [None, 1, 2, 3]
    assert table["segments"].to_list() == [3, 1, 1, 1]
    whole, *segments = table.to_dicts()
    assert (whole["start"], whole["end"], whole["seconds"]) == (0.0, 5.0, 5.0)
    bounds = [0.0, *(row["end"] for row in segments)]
    np.testing.assert_allclose(bounds, [0.0, 5 / 3, 10 / 3, 5.0], atol=1 / SAMPLE_RATE)
    assert [row["start"] for row in segments] == bounds[:-1]
    assert whole["p_high"] == pytest.approx(np.mean([row["p_high"] for row in segments]), abs=1e-5)

    samples, _ = soundfile.read(long)
    second = tmp_path / "second.wav"
    start, end = round(bounds[1] * SAMPLE_RATE), round(bounds[2] * SAMPLE_RATE)
    soundfile.write(second, samples[start:end], SAMPLE_RATE, subtype="PCM_16")
    single, _ = predicted(folder, [second])
    assert single["p_high"][0] == pytest.approx(segments[1]["p_high"], abs=1e-6)
    assert single.select("segment", "segments").row(0) == (None, 1)


def test_a_segment_that_cannot_be_used_is_reported_and_ignored(
    small_study: SmallStudy, tmp_path: Path
) -> None:
    long = write_long(tmp_path / "long.wav", 4.0, silent=(2.0, 4.0))
    table, skipped = predicted(small_study.run_folder("pooled"), [long], segment_seconds=2.0)
    assert table.select("segment", "segments", "seconds").rows() == [(None, 1, 2.0), (1, 1, 2.0)]
    assert [each.message for each in skipped] == [
        f"{long}, segment 2 of 2: is silent: the peak of the mean of its channels is 0.0e+00 of "
        "full scale"
    ]


def test_unusable_recordings_are_reported_and_the_others_predicted(
    small_study: SmallStudy, tmp_path: Path
) -> None:
    good = small_study.test_recordings()[0]
    short, silent, text = (tmp_path / name for name in ("short.wav", "silent.wav", "text.wav"))
    too_short = np.full(round(0.15 * SAMPLE_RATE), 0.1)  # the study requires 0.2 s
    soundfile.write(short, too_short, SAMPLE_RATE)
    soundfile.write(silent, np.zeros(SAMPLE_RATE), SAMPLE_RATE)
    text.write_text("no audio")
    files = [short, good, silent, text, tmp_path / "missing.wav"]
    table, skipped = predicted(small_study.run_folder("pooled"), files)
    assert table["file"].to_list() == [str(good)]
    assert [each.file for each in skipped] == [short, silent, text, tmp_path / "missing.wav"]
    for each, message in zip(
        skipped, ["less than 0.2 s", "is silent", "", "no such file"], strict=True
    ):
        assert str(each.file) in each.message
        assert message in each.message


def test_a_recording_that_the_representation_refuses_does_not_stop_the_others(
    small_study: SmallStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found among the others, whose predictions do not change."""
    from emoscale.representations.acoustic import Mfcc

    files = small_study.test_recordings()
    folder = small_study.run_folder("pooled")
    whole, _ = predicted(folder, files)
    refused = soundfile.info(files[2]).duration
    extract = Mfcc.extract

    def refuse(self: Any, batch: Any) -> Any:
        if any(abs(len(waveform) / 16_000 - refused) < 1e-4 for waveform in batch):
            raise UserError("cannot be read")
        return extract(self, batch)

    monkeypatch.setattr(Mfcc, "extract", refuse)
    table, skipped = predicted(folder, files)
    assert [each.message for each in skipped] == [f"{files[2]}: cannot be read"]
    assert table.equals(whole.filter(pl.col("file") != str(files[2])))


def test_transcripts_are_read_from_a_table_or_from_text_files(
    small_study: SmallStudy, tmp_path: Path
) -> None:
    files = small_study.test_recordings()[:3]
    folder = small_study.run_folder("late")
    from_files, _ = predicted(folder, files)
    texts = [file.with_suffix(".txt").read_text().strip() for file in files]
    assert len(set(texts)) > 1
    table = tmp_path / "transcripts.csv"
    rows = [f'{file},"{text}"' for file, text in zip(files, texts, strict=True)]
    table.write_text("\n".join(["file,transcript", *rows]))
    assert predicted(folder, files, transcripts=table)[0].equals(from_files)
    table.write_text("\n".join(["file,transcript", rows[1]]))
    partial, skipped = predicted(folder, files, transcripts=table)
    assert partial["file"].to_list() == [str(files[1])]
    assert skipped[0].message == (
        f"{files[0]}: has no transcript, which the model needs; add a row for it to {table}"
    )


def test_a_missing_transcript(small_study: SmallStudy, tmp_path: Path) -> None:
    recording = write_long(tmp_path / "recording.wav", 1.0)
    _, skipped = predicted(small_study.run_folder("text"), [recording])
    assert skipped[0].message == (
        f"{recording}: has no transcript, which the model needs; write it to "
        f"{tmp_path / 'recording.txt'}, or name a table with --transcripts"
    )


def test_a_transcript_is_not_split(small_study: SmallStudy, tmp_path: Path) -> None:
    long = write_long(tmp_path / "long.wav", 3.0)
    long.with_suffix(".txt").write_text("so happy\ntoday")
    _, skipped = predicted(small_study.run_folder("late"), [long], segment_seconds=2.0)
    assert "is longer than 2 s, but its transcript, which the model reads," in skipped[0].message
    table, skipped = predicted(small_study.run_folder("text"), [long], segment_seconds=2.0)
    assert not skipped  # it does not read audio
    assert table.select("segment", "seconds").rows() == [(None, 3.0)]


def test_other_weights_than_those_of_the_training_are_refused(
    small_study: SmallStudy,
    tmp_path: Path,
    change_run: ChangeRun,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    other = UntrainedModel(untrained="bert", seed=4).model_dump(mode="json")
    run = read_run(change_run("text", ["prediction", "checkpoints", "tiny_bert"], other))
    with pytest.raises(CheckpointError, match=r"bert: its weights have sha256 .*tiny_bert=PATH"):
        build_extractor(run)
    (path,) = (small_study.cache / "untrained").glob("bert-3-*")
    checkpoints = locate_checkpoints(run, {"tiny_bert": path}, None, download=False)
    assert FeatureExtractor(run, checkpoints, CPU).reads_text
    with pytest.raises(
        CheckpointError, match=r"uses no pre-trained weights wavlm; the names .* tiny_bert"
    ):
        locate_checkpoints(run, {"wavlm": tmp_path}, None, download=False)


def test_weights_are_not_downloaded_by_default(tmp_path: Path, change_run: ChangeRun) -> None:
    address = {"url": "http://localhost:1/bert.pt"}
    run = read_run(change_run("text", ["prediction", "checkpoints", "tiny_bert"], address))
    with pytest.raises(CheckpointError, match=r"nothing is downloaded offline.*add --download"):
        locate_checkpoints(run, {}, tmp_path, download=False)


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "http://localhost:1/bert.pt"},
        {"hub": "nobodys/model"},
        {"untrained": "bert", "seed": 4},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_a_run_record_does_not_decide_where_files_are_written(
    settings: dict[str, object],
    tmp_path: Path,
    change_run: ChangeRun,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    elsewhere = tmp_path / "elsewhere"
    planted = cached_path("http://localhost:1/bert.pt", elsewhere)
    planted.parent.mkdir(parents=True)
    planted.write_bytes(b"without a digest")
    before = sorted(elsewhere.rglob("*"))
    prediction = {"checkpoints": {"tiny_bert": settings}, "checkpoint_cache": str(elsewhere)}
    run = read_run(change_run("text", ["prediction"], prediction))
    with contextlib.suppress(CheckpointError):
        locate_checkpoints(run, {}, None, download=False)
    assert sorted(elsewhere.rglob("*")) == before


def test_a_run_record_does_not_decide_which_code_is_run(change_run: ChangeRun) -> None:
    code = {"kind": "os:system", "options": {"command": "touch run-by-a-stranger"}}
    run = read_run(change_run("pooled", ["inputs", "0", "settings"], code))
    with pytest.raises(UserError, match=r"os:system, code from outside .* add --trust os:system"):
        build_extractor(run)
    assert not Path("run-by-a-stranger").exists()


def test_features_of_another_shape_are_refused(
    small_study: SmallStudy, change_run: ChangeRun
) -> None:
    other = {"kind": "mfcc", "coefficients": 12, "deltas": 1}
    folder = change_run("pooled", ["inputs", "0", "settings"], other)
    with pytest.raises(
        StoreError, match=r"features of mfcc have .*dimension=24.*but had .*dimension=26"
    ):
        predicted(folder, small_study.test_recordings())
