"""Pre-training in the report: the paragraph of the answer, the figures, and random weights."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from emoscale.pretraining.history import HISTORY
from emoscale.reporting.figures import COLOURS
from emoscale.reporting.pretraining import (
    draw_pretraining,
    loss_chart,
    pretraining_chart,
    ranking_chart,
)
from emoscale.reporting.report.columns import table_columns
from emoscale.reporting.report.page import report_page
from emoscale.reporting.report.results import result_sections
from emoscale.reporting.report.study import Study, read_study
from emoscale.tables.parquet import dataframe_of, read_metadata, read_table, write_table
from tests.reporting.results_folder import AWKWARD, history_rows, write_results
from tests.reporting.test_figures import text_elements
from tests.reporting.test_report import answer_text, study_of, text_of, without_scripts
from tests.scripts.test_programs import invoke

UA = {"net": (0.6, 0.7), "random": (0.5, 0.6)}
PAIR: dict[str, Any] = {
    "experiment": "net",
    "other": "random",
    "sizes": "10 100",
    "ua": 0.65,
    "other_ua": 0.55,
    "difference": 0.1,
    "difference_low": 0.06,
    "difference_high": 0.14,
    "p_value": 0.01,
    "p_holm": 0.01,
    "effect_size": 1.0,
    "standard_error": 0.02,
    "speakers": 6,
    "family": 1,
    "clusters": "speakers",
    "degrees_of_freedom": 5,
    "winner": "net",
}
FACTOR: dict[str, Any] = {
    "experiment": "net",
    "other": "random",
    "other_size": "100",
    "other_labels": 100.0,
    "ua": 0.6,
    "measured_ua": 0.6,
    "labels": 20.0,
    "factor": 5.0,
    "factor_low": 3.0,
    "factor_high": 8.0,
    "bound": "",
    "at_largest_size": True,
}
QUESTION = "What did learning without labels save?"


def answer(
    pair: dict[str, Any] | None = PAIR,
    factor: dict[str, Any] | None = FACTOR,
    twins: dict[str, str] | None = None,
    **changes: Any,
) -> str:
    """Return the paragraph on pre-training, or an empty text."""
    tables: dict[str, list[dict[str, Any]]] = {}
    if pair is not None:
        tables["comparisons"] = [{**pair, **changes}]
    if factor is not None:
        tables["efficiency"] = [factor]
    study = replace(
        study_of(UA, tables=tables),
        settings={"untrained_twins": {"net": "random"} if twins is None else twins},
    )
    _, question, paragraph = answer_text(study).partition(QUESTION)
    return question + paragraph


def test_a_gain_is_stated_with_its_interval_and_the_labels_saved() -> None:
    assert answer() == (
        f"{QUESTION} Pre-trained, net has 10.0 points more UA than untrained (random), on average "
        "over 2 training sizes (95 % confidence interval 6.0 to 14.0 points). For the UA that "
        "random reaches with 100 labels (60.0 %), net needs 20 labels: 5.0 times fewer (95 % "
        "confidence interval: a factor of 3.0 to 8.0)."
    )


def test_the_pair_may_be_the_other_way_round() -> None:
    turned = {
        **PAIR,
        **{"experiment": "random", "other": "net", "ua": 0.55, "other_ua": 0.65},
        **{"difference": -0.1, "difference_low": -0.14, "difference_high": -0.06},
    }
    assert answer(turned) == answer()


def test_a_loss_is_stated() -> None:
    paragraph = answer(difference=-0.03, difference_low=-0.05, difference_high=-0.01)
    assert "net has 3.0 points less UA than untrained (random)" in paragraph
    assert "(95 % confidence interval −5.0 to −1.0 points). For the UA" in paragraph
    assert "not shown" not in paragraph


@pytest.mark.parametrize(("difference", "word"), [(0.01, "more"), (-0.01, "less")])
def test_an_interval_that_includes_zero_shows_no_gain(difference: float, word: str) -> None:
    paragraph = answer(difference=difference, difference_low=-0.03, difference_high=0.04)
    assert f"1.0 points {word} UA" in paragraph
    assert "points): this interval includes 0, so a gain is not shown. For the" in paragraph


def test_without_an_interval_there_is_none() -> None:
    paragraph = answer(difference_low=None, difference_high=None, sizes="100")
    assert (
        "than untrained (random), with one training size (no confidence interval). For" in paragraph
    )


def test_without_a_row_of_efficiency_the_labels_are_left_out() -> None:
    expected = answer().partition(" For the UA")[0]
    assert answer(factor=None) == expected
    assert answer(factor={**FACTOR, "at_largest_size": False}) == expected
    assert answer(factor={**FACTOR, "other": "mfcc"}) == expected


def test_without_a_twin_or_a_comparison_there_is_no_paragraph() -> None:
    assert answer(twins={}) == ""
    assert answer(pair=None) == ""
    assert answer(other="mfcc") == ""
    study = replace(study_of(UA), settings={})
    assert QUESTION not in answer_text(study)


def test_a_negative_control_has_no_paragraph() -> None:
    study = study_of(UA, checks={"labels_shuffled": True}, tables={"comparisons": [PAIR]})
    study = replace(study, settings={"untrained_twins": {"net": "random"}})
    assert QUESTION not in answer_text(study)


def history(*names: str) -> pl.DataFrame:
    return dataframe_of(history_rows(names), HISTORY)


def test_each_checkpoint_has_a_line_of_held_out_and_of_training_speech(tmp_path: Path) -> None:
    draw_pretraining(history("first", "second"), tmp_path / "f.html", tmp_path / "f.svg")
    texts = " ".join(text_elements(tmp_path / "f.svg"))
    for expected in (
        "first",
        "second",
        "held-out speech",
        "training speech",
        "loss per prediction, nats",
    ):
        assert expected in texts
    svg = (tmp_path / "f.svg").read_text()
    assert "NaN" not in svg
    assert svg.count(COLOURS[0]) > 1
    assert svg.count(COLOURS[1]) > 1
    # Training speech has no loss before the first step: 3 points, and held-out speech 4.
    points = svg.count('aria-roledescription="point"')
    assert points == 2 * 2 * (3 + 4)
    assert (tmp_path / "f.html").stat().st_size > 100_000


@pytest.mark.parametrize("chart", [loss_chart, ranking_chart])
def test_rows_without_a_number_are_no_points(chart: Any) -> None:
    text = json.dumps(chart(history("net")).to_dict())
    assert "NaN" not in text


def test_a_training_of_one_row_is_drawn(tmp_path: Path) -> None:
    draw_pretraining(history("net")[:1], tmp_path / "f.html", tmp_path / "f.svg")
    assert "NaN" not in (tmp_path / "f.svg").read_text()


def test_more_checkpoints_than_colours_are_drawn(tmp_path: Path) -> None:
    names = [f"net{number}" for number in range(len(COLOURS) + 2)]
    draw_pretraining(history(*names), tmp_path / "f.html", tmp_path / "f.svg")
    texts = " ".join(text_elements(tmp_path / "f.svg"))
    assert all(name in texts for name in names)


def test_an_empty_table_is_a_figure_that_says_so(tmp_path: Path) -> None:
    table = dataframe_of([], HISTORY)
    draw_pretraining(table, tmp_path / "f.html", tmp_path / "f.svg")
    texts = " ".join(text_elements(tmp_path / "f.svg"))
    assert "No pre-training of this study has training steps." in texts
    assert "NaN" not in json.dumps(pretraining_chart(table).to_dict())


def read(folder: Path, **scores: Any) -> Study:
    return read_study(write_results(folder, **scores), folder / "checks.json", {})


def test_the_section_has_two_figures_and_the_losses(tmp_path: Path) -> None:
    study = read(tmp_path)
    section = next(each for each in result_sections(study) if each.key == "pretraining")
    assert [figure.key for figure in section.figures] == ["pretraining", "pretraining-1"]
    text = text_of(without_scripts(report_page(study)))
    assert "Pre-training on unlabelled speech: loss" in text
    page = report_page(study)
    assert '<section id="pretraining">' in page
    assert AWKWARD not in page


def test_losses_have_numbers_of_three_digits_and_rankings_percents(tmp_path: Path) -> None:
    meanings = {field.name: "" for field in HISTORY}
    columns = {each.key: each.format for each in table_columns(history("net"), meanings)}
    assert columns == {
        **{"checkpoint": "text", "step": "integer", "hours": "decimal", "loss": "decimal"},
        **{"held_out_loss": "decimal", "ranks_first": "percent"},
        **{"held_out_ranks_first": "percent", "chance": "percent"},
    }


@pytest.mark.parametrize(
    ("weights", "is_random"),
    [
        ("untrained: random weights of seed 1", True),
        ("wav2vec_large.pt, sha256 ad40bf1e…, untrained: random weights of seed 2", True),
        ("bert-base at 0123; untrained: random weights of seed 2", True),
        ("wav2vec pre-trained on 3.1 hours of speech, 20,000 steps", False),
        ("wav2vec pre-trained on 3.1 hours of speech, 20 steps, from untrained_twin", False),
        ("wav2vec pre-trained on 3.1 hours of speech, 20 steps, from random.pt", False),
        ("copy of the_random_one", False),
        ("", False),
    ],
)
def test_random_weights_are_those_of_untrained_networks(weights: str, is_random: bool) -> None:
    study = study_of({AWKWARD: (0.6, 0.7), "mfcc": (0.5, 0.6)}, weights=weights)
    assert study.random_weights == ([AWKWARD] if is_random else [])
    assert ("random features" in report_page(study)) == is_random


def test_nan_is_no_number_of_the_tables_on_the_page(tmp_path: Path) -> None:
    """A browser does not read NaN as JSON."""
    page = report_page(read(tmp_path))
    assert math.isnan(history_rows()[0]["loss"])
    for data in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL):
        json.loads(data, parse_constant=lambda name: pytest.fail(f"{name} in the page"))


def test_losses_of_all_pretrainings_are_collected(tmp_path: Path) -> None:
    histories = {
        "second": history("second"),
        "first": history("first"),
        "untrained": dataframe_of([], HISTORY),
    }
    for name, table in histories.items():
        write_table(table, tmp_path / name / "history.parquet", HISTORY)
    paths = [str(tmp_path / name / "history.parquet") for name in histories]
    output = tmp_path / "tables" / "pretraining.parquet"
    ran = invoke("collect_pretraining.py", "--output", str(output), *paths)
    assert ran.exit_code == 0, ran.stderr
    table = read_table(output, HISTORY)
    assert table["checkpoint"].unique(maintain_order=True).to_list() == ["second", "first"]
    assert table["step"].to_list() == 2 * [0, 100, 200, 300]
    written = pl.read_csv(output.with_suffix(".csv"))
    assert written.columns == HISTORY.names
    assert len(written) == 8
    assert "second/history.parquet" in json.dumps(read_metadata(output))
    ran = invoke("collect_pretraining.py", "--output", str(output), str(tmp_path / "missing"))
    assert ran.exit_code == 1
    assert "missing does not exist" in ran.stderr


def test_the_figure_is_drawn_if_its_table_is_named(tmp_path: Path) -> None:
    paths = [str(path) for path in write_results(tmp_path / "tables")]
    others = [path for path in paths if "pretraining" not in path]
    for folder, tables in (("with", paths), ("without", others)):
        ran = invoke("draw_figures.py", "--output", str(tmp_path / folder), *tables)
        assert ran.exit_code == 0, ran.exception
        names = {path.name for path in (tmp_path / folder).iterdir()}
        assert ("pretraining.svg" in names) == ("pretraining.html" in names) == (folder == "with")
        assert "scores.svg" not in names
        assert "learning_curves.svg" in names
