"""The programs predict.py and draw_attention.py: files, messages and exit codes."""

from __future__ import annotations

import csv
import json
import runpy
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from emoscale.prediction.predictions import predict
from emoscale.prediction.tables import (
    check_submission,
    recording_predictions_schema,
    write_predictions,
    write_submission,
)
from emoscale.prediction.transcripts import Transcripts
from emoscale.runtime.errors import UserError
from emoscale.tables.parquet import read_table
from emoscale.training.saved_run import read_run
from tests.conftest import PROJECT
from tests.prediction.conftest import SmallStudy
from tests.prediction.test_predictions import build_extractor


def run_program(name: str, *arguments: str | Path) -> Result:
    """Run a program of scripts/ in this process, which has already imported torch."""
    module = runpy.run_path(str(PROJECT / "scripts" / name))
    return CliRunner().invoke(module["main"], [str(argument) for argument in arguments])


def test_every_format_holds_the_same_table(small_study: SmallStudy, tmp_path: Path) -> None:
    run = read_run(small_study.run_folder("text"))
    files = small_study.test_recordings()[:2]
    extractor, transcripts = build_extractor(run), Transcripts()
    table = predict(run, run.repeats, extractor, files, transcripts, 30.0, lambda skipped: None)
    for suffix in ("csv", "json", "parquet"):
        write_predictions(table, run.classes, tmp_path / f"table.{suffix}")
    from_parquet = read_table(tmp_path / "table.parquet", recording_predictions_schema(run.classes))
    assert from_parquet.equals(table)
    assert json.loads((tmp_path / "table.json").read_text()) == table.to_dicts()
    rows = list(csv.DictReader((tmp_path / "table.csv").open()))
    assert list(rows[0]) == table.columns
    assert float(rows[1]["p_high"]) == pytest.approx(table["p_high"][1], abs=1e-6)
    with pytest.raises(UserError, match=r"table\.xlsx: is not one of \.csv, \.json, \.parquet"):
        write_predictions(table, run.classes, tmp_path / "table.xlsx")


def test_a_submission_has_the_letters_of_msp_podcast(tmp_path: Path) -> None:
    """One row per recording: the segments of a long one, and folders, are left out."""
    classes = ["anger", "contempt", "disgust", "fear", "Happy", "neutral", "sadness", "U"]
    rows = [
        {"file": f"Audios/MSP-PODCAST_test3_{number}.wav", "segment": segment, "predicted": name}
        for number, name in enumerate(classes)
        for segment in (None, 1, 2)
    ]
    output = tmp_path / "test3.csv"
    check_submission(classes, output)
    write_submission(pl.DataFrame(rows, schema_overrides={"segment": pl.Int32}), output)
    assert output.read_text().splitlines()[:2] == [
        "FileName,EmoClass",
        "MSP-PODCAST_test3_0.wav,A",
    ]
    assert "".join(pl.read_csv(output)["EmoClass"]) == "ACDFHNSU"


def test_a_submission_needs_a_file_and_the_classes_of_msp_podcast(small_study: SmallStudy) -> None:
    model, recording = small_study.run_folder("pooled"), small_study.test_recordings()[0]
    result = run_program("predict.py", model, recording, "--challenge")
    assert "--challenge writes a CSV file: name it with --output" in result.stderr
    result = run_program("predict.py", model, recording, "--challenge", "--output", "test3.csv")
    assert "is none of MSP-Podcast (anger, angry, contempt, " in result.stderr


def test_skipped_recordings_set_the_exit_code(small_study: SmallStudy, tmp_path: Path) -> None:
    model, good = small_study.run_folder("pooled"), small_study.test_recordings()[0]
    result = run_program("predict.py", model, good)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("pooled/fold1/all: mean of 2 repeats\n")
    assert str(good) in result.stdout  # not cut to the terminal's width
    assert "skipped" not in result.stderr
    missing, output = tmp_path / "missing.wav", tmp_path / "table.csv"
    result = run_program("predict.py", model, missing, good, "--output", output)
    assert result.exit_code == 1
    assert f"skipped: {missing}: no such file\n" in result.stderr
    assert pl.read_csv(output)["file"].to_list() == [str(good)]
    output.unlink()
    result = run_program("predict.py", model, missing, "--output", output)
    assert result.exit_code == 1
    assert result.stderr.endswith("Error: none of 1 recordings could be predicted\n")
    assert not output.exists()


def test_a_model_by_speaker_names_the_options_for_speakers(
    small_study: SmallStudy, tmp_path: Path
) -> None:
    model, files = small_study.run_folder("pooled_by_speaker"), small_study.test_recordings()
    result = run_program("predict.py", model, *files)
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: pooled_by_speaker/fold1/all normalises features by speaker, from all recordings of "
        "the speaker: name a table with the columns file and speaker with --speakers, or else add "
        "--one-speaker if all recordings are of one speaker\n"
    )
    outputs = []
    for options in (["--one-speaker"], ["--speakers", small_study.speakers(tmp_path, files)]):
        result = run_program("predict.py", model, *files, *options)
        assert result.exit_code == 0, result.stderr
        outputs.append(result.stdout)
    assert outputs[0] == outputs[1]


def test_a_note_for_attention_within_words_without_times(small_study: SmallStudy) -> None:
    result = run_program(
        "predict.py",
        small_study.run_folder("aligned_within_words"),
        small_study.test_recordings()[0],
    )
    assert result.exit_code == 0, result.stderr
    assert (
        "note: in training, the attention of each token was restricted to the frames of its"
        in result.stderr
    )


def test_a_figure_is_written_with_its_data(small_study: SmallStudy, tmp_path: Path) -> None:
    model = small_study.run_folder("aligned")
    result = run_program("draw_attention.py", model, "u01", "--output", tmp_path / "map.png")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    table = pl.read_parquet(tmp_path / "map.parquet")
    assert table["utterance"].unique().to_list() == ["u01"]
    assert table["weight"].sum() == pytest.approx(2 * table["token"].n_unique())
    result = run_program("draw_attention.py", model, "u01", "--output", tmp_path / "map.json")
    assert result.stdout == f"attention weights: {tmp_path / 'map.json'}\n"
    assert "leave" in json.loads((tmp_path / "map.json").read_text())["tokens"]
    model = small_study.run_folder("pooled")
    result = run_program("draw_attention.py", model, "u01", "--output", tmp_path / "map.svg")
    assert result.exit_code == 1
    assert result.stderr.startswith(
        f"Error: {model}: is a model of the kind pooled, which has no attention map"
    )
