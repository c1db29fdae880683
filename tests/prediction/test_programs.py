"""The two programs by hand: what they write, what they say, and how they end."""

from __future__ import annotations

import csv
import json
import runpy
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from emoscale.prediction.predictions import predict
from emoscale.prediction.tables import predictions_of_files, write_predictions
from emoscale.prediction.transcripts import Transcripts
from emoscale.runtime.errors import UserError
from emoscale.tables.parquet import read_table
from emoscale.training.saved_run import read_run
from tests.conftest import PROJECT
from tests.prediction.conftest import SmallStudy
from tests.prediction.test_predictions import maker_of


def run_program(name: str, *arguments: str | Path) -> Result:
    """Runs a program of scripts/ in this process, which has its imports already."""
    module = runpy.run_path(str(PROJECT / "scripts" / name))
    return CliRunner().invoke(module["main"], [str(argument) for argument in arguments])


def test_every_form_holds_the_same(small_study: SmallStudy, tmp_path: Path) -> None:
    run = read_run(small_study.run_folder("text"))
    files = small_study.tested()[:2]
    maker, transcripts = maker_of(run), Transcripts()
    table = predict(run, run.repeats, maker, files, transcripts, 30.0, lambda each: None)
    for form in ("csv", "json", "parquet"):
        write_predictions(table, run.classes, tmp_path / f"table.{form}")
    kept = read_table(tmp_path / "table.parquet", predictions_of_files(run.classes))
    assert kept.equals(table)
    assert json.loads((tmp_path / "table.json").read_text()) == table.to_dicts()
    rows = list(csv.DictReader((tmp_path / "table.csv").open()))
    assert list(rows[0]) == table.columns
    assert float(rows[1]["p_high"]) == pytest.approx(table["p_high"][1], abs=1e-6)
    with pytest.raises(UserError, match=r"table\.xlsx: is not one of \.csv, \.json, \.parquet"):
        write_predictions(table, run.classes, tmp_path / "table.xlsx")


def test_what_is_left_out_shows_in_the_exit_code(small_study: SmallStudy, tmp_path: Path) -> None:
    model, good = small_study.run_folder("pooled"), small_study.tested()[0]
    ran = run_program("predict.py", model, good)
    assert ran.exit_code == 0, ran.stderr
    assert ran.stdout.startswith("pooled/fold1/all: mean of 2 repeats\n")
    assert str(good) in ran.stdout  # whole, however narrow the terminal
    assert "left out" not in ran.stderr
    missing, output = tmp_path / "missing.wav", tmp_path / "table.csv"
    ran = run_program("predict.py", model, missing, good, "--output", output)
    assert ran.exit_code == 1
    assert f"left out: {missing}: there is no such file\n" in ran.stderr
    assert pl.read_csv(output)["file"].to_list() == [str(good)]
    output.unlink()
    ran = run_program("predict.py", model, missing, "--output", output)
    assert ran.exit_code == 1
    assert ran.stderr.endswith("Error: none of 1 recordings could be predicted\n")
    assert not output.exists()


def test_an_aligned_model_without_times_says_so(small_study: SmallStudy) -> None:
    ran = run_program("predict.py", small_study.run_folder("confined"), small_study.tested()[0])
    assert ran.exit_code == 0, ran.stderr
    assert "note: in training each token saw the frames of its own word" in ran.stderr


def test_a_map_is_drawn_with_its_numbers_beside(small_study: SmallStudy, tmp_path: Path) -> None:
    model = small_study.run_folder("aligned")
    ran = run_program("draw_attention.py", model, "u01", "--output", tmp_path / "map.png")
    assert ran.exit_code == 0, ran.stderr
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    numbers = pl.read_parquet(tmp_path / "map.parquet")
    assert numbers["utterance"].unique().to_list() == ["u01"]
    assert numbers["weight"].sum() == pytest.approx(2 * numbers["token"].n_unique())
    ran = run_program("draw_attention.py", model, "u01", "--output", tmp_path / "map.json")
    assert ran.stdout == f"numbers: {tmp_path / 'map.json'}\n"
    assert "leave" in json.loads((tmp_path / "map.json").read_text())["tokens"]
    model = small_study.run_folder("pooled")
    ran = run_program("draw_attention.py", model, "u01", "--output", tmp_path / "map.svg")
    assert ran.exit_code == 1
    assert ran.stderr.startswith(f"Error: {model}: is a model of the kind pooled, which has no map")
