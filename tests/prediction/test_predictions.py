"""A trained model, asked of the recordings that it was tested on, and of others."""

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
from emoscale.prediction.features import FeatureMaker, weights_of
from emoscale.prediction.predictions import predict
from emoscale.prediction.recordings import LeftOut
from emoscale.prediction.transcripts import Transcripts
from emoscale.representations.weights.fetching import cached_path
from emoscale.runtime.errors import CheckpointError, StoreError, UserError
from emoscale.training.saved_run import SavedRun, read_run
from tests.prediction.conftest import MODELS, RATE, ChangeRun, SmallStudy

CPU = torch.device("cpu")


def maker_of(run: SavedRun) -> FeatureMaker:
    return FeatureMaker(run, weights_of(run, {}, None, download=False), CPU)


def predicted(
    folder: Path,
    files: Sequence[Path],
    repeat: int | None = None,
    segment_seconds: float = 30.0,
    transcripts: Path | None = None,
) -> tuple[pl.DataFrame, list[LeftOut]]:
    run = read_run(folder)
    repeats = run.repeats if repeat is None else [run.repeat(repeat)]
    left_out: list[LeftOut] = []
    said = Transcripts(transcripts)
    maker = maker_of(run)
    table = predict(run, repeats, maker, files, said, segment_seconds, left_out.append)
    return table, left_out


@pytest.mark.parametrize("experiment", [name for name in MODELS if name != "confined"])
def test_probabilities_are_those_of_the_study(small_study: SmallStudy, experiment: str) -> None:
    files = small_study.tested()
    trained = small_study.trained(experiment)
    for repeat in (0, 1):
        table, left_out = predicted(small_study.run_folder(experiment), files, repeat)
        assert not left_out
        wanted = trained.filter(pl.col("repeat") == repeat).sort("utterance")
        assert [Path(file).stem for file in table["file"]] == wanted["utterance"].to_list()
        for name in ("p_high", "p_low"):
            np.testing.assert_allclose(table[name], wanted[name], rtol=0, atol=1e-6)
        assert table["predicted"].to_list() == wanted["predicted"].to_list()
        assert set(table["repeats"]) == {str(repeat)}
    assert np.std(trained["p_high"].to_numpy()) > 0.01  # equal numbers would say nothing


def test_without_a_repeat_it_is_the_mean_of_all(small_study: SmallStudy) -> None:
    table, _ = predicted(small_study.run_folder("pooled"), small_study.tested())
    wanted = (
        small_study.trained("pooled").group_by("utterance").agg(pl.mean("p_high")).sort("utterance")
    )
    np.testing.assert_allclose(table["p_high"], wanted["p_high"], rtol=0, atol=1e-6)
    assert set(table["repeats"]) == {"0, 1"}
    assert set(table["model"]) == {"pooled/fold1/all"}
    text, _ = predicted(small_study.run_folder("text"), small_study.tested())
    assert set(text["pretrained_weights"]) == {"untrained: random weights of seed 3"}


def test_many_recordings_are_worked_on_part_by_part(
    small_study: SmallStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, files = small_study.run_folder("late"), small_study.tested()
    whole, _ = predicted(folder, files)
    monkeypatch.setattr(predictions, "SECONDS_AT_ONCE", 1.0)
    segments, _ = predicted(folder, files)
    assert segments["file"].to_list() == whole["file"].to_list()
    np.testing.assert_allclose(segments["p_low"], whole["p_low"], rtol=0, atol=1e-6)


def write_long(path: Path, seconds: float, silent: tuple[float, float] | None = None) -> Path:
    time = np.arange(round(seconds * RATE)) / RATE
    generator = np.random.default_rng(9)
    samples = 0.3 * np.sin(2 * np.pi * (150 + 80 * time) * time) + 0.05 * generator.normal(
        size=len(time)
    )
    if silent:
        samples[(time >= silent[0]) & (time < silent[1])] = 0.0
    soundfile.write(path, samples, RATE, subtype="PCM_16")
    return path


def test_a_long_recording_is_cut_into_equal_windows(
    small_study: SmallStudy, tmp_path: Path
) -> None:
    long = write_long(tmp_path / "long.wav", 5.0)
    folder = small_study.run_folder("pooled")
    table, left_out = predicted(folder, [long], segment_seconds=2.0)
    assert not left_out
    assert table["segment"].to_list() == [None, 1, 2, 3]
    assert table["segments"].to_list() == [3, 1, 1, 1]
    whole, *segments = table.to_dicts()
    assert (whole["start"], whole["end"], whole["seconds"]) == (0.0, 5.0, 5.0)
    bounds = [0.0, *(row["end"] for row in segments)]
    np.testing.assert_allclose(bounds, [0.0, 5 / 3, 10 / 3, 5.0], atol=1 / RATE)
    assert [row["start"] for row in segments] == bounds[:-1]
    assert whole["p_high"] == pytest.approx(np.mean([row["p_high"] for row in segments]), abs=1e-5)

    samples, _ = soundfile.read(long)
    second = tmp_path / "second.wav"
    first, last = round(bounds[1] * RATE), round(bounds[2] * RATE)
    soundfile.write(second, samples[first:last], RATE, subtype="PCM_16")
    alone, _ = predicted(folder, [second])
    assert alone["p_high"][0] == pytest.approx(segments[1]["p_high"], abs=1e-6)
    assert alone.select("segment", "segments").row(0) == (None, 1)


def test_a_window_that_cannot_be_used_is_said_and_does_not_count(
    small_study: SmallStudy, tmp_path: Path
) -> None:
    long = write_long(tmp_path / "long.wav", 4.0, silent=(2.0, 4.0))
    table, left_out = predicted(small_study.run_folder("pooled"), [long], segment_seconds=2.0)
    assert table.select("segment", "segments", "seconds").rows() == [(None, 1, 2.0), (1, 1, 2.0)]
    assert [each.sentence for each in left_out] == [
        f"{long}, segment 2 of 2: the largest sample of its channels' mean is 0.0e+00 of full scale"
    ]


def test_what_cannot_be_used_is_said_and_the_rest_is_predicted(
    small_study: SmallStudy, tmp_path: Path
) -> None:
    good = small_study.tested()[0]
    short, silent, text = (tmp_path / name for name in ("short.wav", "silent.wav", "text.wav"))
    soundfile.write(short, np.full(round(0.15 * RATE), 0.1), RATE)  # the study asks for 0.2 s
    soundfile.write(silent, np.zeros(RATE), RATE)
    text.write_text("no audio")
    files = [short, good, silent, text, tmp_path / "missing.wav"]
    table, left_out = predicted(small_study.run_folder("pooled"), files)
    assert table["file"].to_list() == [str(good)]
    assert [each.file for each in left_out] == [short, silent, text, tmp_path / "missing.wav"]
    for each, words in zip(
        left_out, ["is less than 0.2 s", "the largest sample", "", "no such file"], strict=True
    ):
        assert str(each.file) in each.sentence
        assert words in each.sentence


def test_a_recording_that_the_representation_refuses_does_not_stop_the_others(
    small_study: SmallStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found among the others, whose numbers stay the same."""
    from emoscale.representations.acoustic import Mfcc

    files = small_study.tested()
    folder = small_study.run_folder("pooled")
    whole, _ = predicted(folder, files)
    refused = soundfile.info(files[2]).duration
    extract = Mfcc.extract

    def refuse(self: Any, batch: Any) -> Any:
        if any(abs(len(waveform) / 16_000 - refused) < 1e-4 for waveform in batch):
            raise UserError("cannot be read")
        return extract(self, batch)

    monkeypatch.setattr(Mfcc, "extract", refuse)
    table, left_out = predicted(folder, files)
    assert [each.sentence for each in left_out] == [f"{files[2]}: cannot be read"]
    assert table.equals(whole.filter(pl.col("file") != str(files[2])))


def test_a_transcript_comes_from_a_table_or_from_beside(
    small_study: SmallStudy, tmp_path: Path
) -> None:
    files = small_study.tested()[:3]
    folder = small_study.run_folder("late")
    beside, _ = predicted(folder, files)
    texts = [file.with_suffix(".txt").read_text().strip() for file in files]
    assert len(set(texts)) > 1
    table = tmp_path / "said.csv"
    rows = [f'{file},"{text}"' for file, text in zip(files, texts, strict=True)]
    table.write_text("\n".join(["file,transcript", *rows]))
    assert predicted(folder, files, transcripts=table)[0].equals(beside)
    table.write_text("\n".join(["file,transcript", rows[1]]))
    some, left_out = predicted(folder, files, transcripts=table)
    assert some["file"].to_list() == [str(files[1])]
    assert left_out[0].sentence == (
        f"{files[0]}: has no transcript, which the model reads; add a row for it to {table}"
    )


def test_no_transcript_at_all(small_study: SmallStudy, tmp_path: Path) -> None:
    alone = write_long(tmp_path / "alone.wav", 1.0)
    _, left_out = predicted(small_study.run_folder("text"), [alone])
    assert left_out[0].sentence == (
        f"{alone}: has no transcript, which the model reads; write it to "
        f"{tmp_path / 'alone.txt'}, or name a table with --transcripts"
    )


def test_a_transcript_is_not_cut(small_study: SmallStudy, tmp_path: Path) -> None:
    long = write_long(tmp_path / "long.wav", 3.0)
    long.with_suffix(".txt").write_text("so happy\ntoday")
    _, left_out = predicted(small_study.run_folder("late"), [long], segment_seconds=2.0)
    assert "is longer than 2 s, and the model reads a transcript" in left_out[0].sentence
    table, left_out = predicted(small_study.run_folder("text"), [long], segment_seconds=2.0)
    assert not left_out  # it does not listen
    assert table.select("segment", "seconds").rows() == [(None, 3.0)]


def test_other_weights_than_the_trainings_are_refused(
    small_study: SmallStudy,
    tmp_path: Path,
    change_run: ChangeRun,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    other = UntrainedModel(untrained="bert", seed=4).model_dump(mode="json")
    run = read_run(change_run("text", ["prediction", "checkpoints", "tiny_bert"], other))
    with pytest.raises(CheckpointError, match=r"bert: its weights have sha256 .*tiny_bert=PATH"):
        maker_of(run)
    (right,) = (small_study.cache / "untrained").glob("bert-3-*")
    origins = weights_of(run, {"tiny_bert": right}, None, download=False)
    assert FeatureMaker(run, origins, CPU).reads_text
    with pytest.raises(CheckpointError, match=r"reads no weights wavlm; it names tiny_bert"):
        weights_of(run, {"wavlm": tmp_path}, None, download=False)


def test_weights_are_not_downloaded_unless_asked(tmp_path: Path, change_run: ChangeRun) -> None:
    address = {"url": "http://localhost:1/bert.pt"}
    run = read_run(change_run("text", ["prediction", "checkpoints", "tiny_bert"], address))
    with pytest.raises(CheckpointError, match=r"nothing is downloaded offline.*add --download"):
        weights_of(run, {}, tmp_path, download=False)


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "http://localhost:1/bert.pt"},
        {"hub": "nobodys/model"},
        {"untrained": "bert", "seed": 4},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_a_runs_file_does_not_choose_where_anything_is_written(
    settings: dict[str, object],
    tmp_path: Path,
    change_run: ChangeRun,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    elsewhere = tmp_path / "elsewhere"
    planted = cached_path("http://localhost:1/bert.pt", elsewhere)
    planted.parent.mkdir(parents=True)
    planted.write_bytes(b"no digest stands beside it")
    before = sorted(elsewhere.rglob("*"))
    kept = {"checkpoints": {"tiny_bert": settings}, "checkpoint_cache": str(elsewhere)}
    run = read_run(change_run("text", ["prediction"], kept))
    with contextlib.suppress(CheckpointError):
        weights_of(run, {}, None, download=False)
    assert sorted(elsewhere.rglob("*")) == before


def test_a_runs_file_does_not_choose_what_code_is_run(change_run: ChangeRun) -> None:
    code = {"kind": "os:system", "options": {"command": "touch run-by-a-stranger"}}
    run = read_run(change_run("pooled", ["inputs", "0", "settings"], code))
    with pytest.raises(UserError, match=r"os:system, code from outside .* add --trust os:system"):
        maker_of(run)
    assert not Path("run-by-a-stranger").exists()


def test_features_of_another_shape_are_refused(
    small_study: SmallStudy, change_run: ChangeRun
) -> None:
    other = {"kind": "mfcc", "coefficients": 12, "deltas": 1}
    folder = change_run("pooled", ["inputs", "0", "settings"], other)
    with pytest.raises(StoreError, match=r"mfcc gives .*dimension=24.*and gave .*dimension=26"):
        predicted(folder, small_study.tested())
