from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from emoscale.reporting.report.answer import answer_of, labels_saved_sentence, question_of
from emoscale.reporting.report.columns import columns_of
from emoscale.reporting.report.page import report_page, write_report
from emoscale.reporting.report.results import PARTS, first_figure_experiments
from emoscale.reporting.report.study import Study, StudyTable, read_study
from emoscale.runtime.errors import StoreError
from tests.reporting.results_folder import (
    AWKWARD,
    CHECKS,
    NOTE,
    comparison_rows,
    efficiency_rows,
    score_rows,
    write_results,
)

REAL = "emodb"


def study_of(
    ua: Mapping[str, tuple[float | None, ...]],
    checks: Mapping[str, Any] = CHECKS,
    tables: Mapping[str, list[dict[str, Any]]] | None = None,
    **scores: Any,
) -> Study:
    frames = {
        "scores": score_rows(ua, **{"corpus": REAL, "notes": "", "weights": "", **scores}),
        **{
            name: pl.DataFrame(rows, infer_schema_length=None)
            for name, rows in (tables or {}).items()
        },
    }
    return Study({name: StudyTable(name, frame, {}) for name, frame in frames.items()}, checks, {})


def text_of(markup: Any) -> str:
    """What a reader sees, with plain spaces."""
    plain = html.unescape(re.sub(r"<[^>]*>", "", str(markup)))
    return " ".join(plain.replace("\u00a0", " ").split())


def told(study: Study) -> str:
    return " ".join(text_of(sentence) for sentence in answer_of(study))


BOTH = {"comparisons": comparison_rows(), "efficiency": efficiency_rows()}


def test_the_answer_names_the_best_with_its_interval_and_chance() -> None:
    answer = told(study_of({"mfcc": (0.6, 0.7), "net": (0.72, 0.82)}))
    assert answer.startswith("Trained on 100 labels, net recognises emotion best")
    assert "is 82.0 % (95 % interval 76.0 to 87.0 %); guessing gives 50.0 %" in answer
    assert (
        "It leads mfcc (70.0 %) by 12.0 points; whether that is more than chance was not" in answer
    )
    assert "How many labels one saves over another was not measured" in answer


def test_a_lead_within_the_uncertainty_has_no_winner() -> None:
    answer = told(
        study_of({"mfcc": (0.6, 0.7), AWKWARD: (0.72, 0.82), "fusion": (None, 0.85)}, tables=BOTH)
    )
    assert (
        f"It leads {AWKWARD} (82.0 %) by 3.0 points, but that lead is within the uncertainty"
        in answer
    )
    # The table says wav2vec minus fusion; from fusion's side the interval is turned.
    assert "(95 % interval −1.0 to 7.0 points, p = 0.210 after Holm)" in answer
    assert "It beats 1 of the 2 others beyond doubt" in answer
    assert "beyond doubt after correction" not in answer


def test_a_lead_that_only_the_correction_doubts_is_said_to_be_that() -> None:
    rows = [
        {**row, "difference_low": row["difference"] - 0.01, "difference_high": -0.01}
        if row["winner"] == "none"
        else row
        for row in comparison_rows()
    ]
    answer = told(
        study_of(
            {"mfcc": (0.6, 0.7), AWKWARD: (0.72, 0.82), "fusion": (None, 0.85)},
            tables={**BOTH, "comparisons": rows},
        )
    )
    assert "that lead is not beyond doubt once all 4 comparisons of the study are" in answer
    assert "(95 % interval 1.0 to 4.0 points, p = 0.210 after Holm)" in answer
    assert "within the uncertainty" not in answer


def test_a_lead_after_correction_is_beyond_doubt() -> None:
    answer = told(study_of({"mfcc": (0.6, 0.7), AWKWARD: (0.72, 0.82)}, tables=BOTH))
    assert "and that lead is beyond doubt after correction for 4 comparisons" in answer
    assert "(95 % interval 8.0 to 16.0 points, p = 0.012 after Holm)" in answer


def test_the_best_curve_is_held_against_its_strongest_rival() -> None:
    answer = told(
        study_of({"mfcc": (0.6, 0.7), AWKWARD: (0.72, 0.82), "fusion": (None, 0.85)}, tables=BOTH)
    )
    assert (
        f"{AWKWARD} passes the UA that mfcc reaches with 100 labels (70.0 %) with its smallest "
        "training set already: at least 10 times fewer labels (95 % interval: a factor of 4.2 or "
        "more)." in answer
    )


def test_labels_are_counted_against_the_reference_where_there_is_one() -> None:
    names = ("experiment", "other", "other_labels", "ua", "labels", "factor", "bound")
    rows = [
        dict(zip(names, row, strict=True))
        for row in (
            ("net", "mel", 100.0, 0.75, 50.0, 2.0, "measured"),
            ("net", "mfcc", 100.0, 0.7, 25.0, 4.0, "measured"),
            ("mel", "mfcc", 100.0, 0.7, 60.0, 1.7, "measured"),
        )
    ]
    study = study_of({"mfcc": (0.6, 0.7), "mel": (0.65, 0.75), "net": (0.7, 0.8)})
    for about, expected in (
        (
            {"reference": "mfcc"},
            "For the UA that mfcc reaches with 100 labels (70.0 %), net needs 25",
        ),
        ({"reference": "net"}, "For the UA that mel reaches"),  # the reference itself is the best
        ({}, "For the UA that mel reaches"),
    ):
        table = StudyTable("efficiency", pl.DataFrame(rows), about=about)
        assert expected in told(Study({**study.tables, "efficiency": table}, CHECKS, {}))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "x needs 50 labels: 4.0 times fewer (95 % interval: a factor of 2.0 to 7.1)."),
        ({"factor_low": 0.8}, "That interval includes 1, so a saving is not certain."),
        ({"factor": 0.5, "factor_low": 0.2, "factor_high": 0.9}, "2.0 times more"),
        ({"factor_low": None}, "x needs 50 labels: 4.0 times fewer."),
        ({"factor_low": 0.0}, "(95 % interval: a factor of 7.1 or less). That interval includes 1"),
        ({"factor_low": 0.0, "factor_high": math.inf}, "open at both ends: nothing is certain"),
        ({"bound": "at least"}, "at least 4.0 times fewer"),
        ({"bound": "at most", "factor": 0.4}, "x needs more labels than were measured"),
        ({"bound": "not reached", "factor": None}, "x does not reach the UA that y reaches"),
    ],
)
def test_saved_labels_in_words(changes: dict[str, Any], expected: str) -> None:
    row = {
        **{"experiment": "x", "other": "y", "other_labels": 200.0, "labels": 50.0, "ua": 0.6},
        **{"factor": 4.0, "factor_low": 2.0, "factor_high": 7.1, "bound": "measured"},
    }
    assert expected in text_of(labels_saved_sentence({**row, **changes}))


def test_one_experiment_is_compared_with_none() -> None:
    study = study_of({"mfcc": (0.6, 0.7)})
    assert "Which" not in question_of(study)
    answer = told(study)
    assert "Trained on 100 labels, mfcc has a UA of 70.0 %" in answer
    assert "With 10 labels its UA is 60.0 %, with 100 labels 70.0 %." in answer
    assert "best" not in answer
    assert "leads" not in answer


def test_one_size_says_nothing_of_saved_labels() -> None:
    answer = told(study_of({"mfcc": (0.6,), "net": (0.7,)}))
    assert "Every experiment was trained at one size only" in answer


def test_scores_that_are_not_told_from_guessing_are_called_so() -> None:
    answer = told(study_of({"mfcc": (0.5, 0.53)}))
    assert "Its interval includes guessing, so nothing was shown to be recognised." in answer


def test_without_speakers_there_is_no_interval() -> None:
    assert "± 1.1 over repeats, without an interval" in told(
        study_of({"mfcc": (0.6, 0.7)}, intervals=False)
    )


def test_the_negative_control_says_whether_it_is_at_chance() -> None:
    shuffled = {**CHECKS, "labels_shuffled": True}
    study = study_of({"mfcc": (0.51, 0.5), "net": (0.47, 0.52)}, shuffled)
    assert question_of(study).startswith("Negative control on emodb")
    assert "at chance: the 95 % interval of each of the 4 scores includes it" in told(study)
    assert "The farthest from chance is net with 10 labels: UA 47.0 %" in told(study)
    off = told(study_of({"mfcc": (0.51, 0.7), "net": (0.47, 0.52)}, shuffled))
    assert "1 of 4 scores have a 95 % interval that leaves chance out (mfcc)" in off
    assert "cannot be said whether that is luck" in told(
        study_of({"mfcc": (0.51, 0.7)}, shuffled, intervals=False)
    )


def test_a_curve_comes_before_a_point_in_the_first_figure() -> None:
    curves = {f"curve{number}": (0.4, 0.5 + number / 100) for number in range(7)}
    points = {f"point{number}": (None, 0.8 + number / 100) for number in range(3)}
    chosen = first_figure_experiments(study_of({**curves, **points}))
    assert chosen == [*(f"curve{number}" for number in range(1, 7)), "point2"]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("results")
    paths = write_results(folder)
    study = read_study(paths, folder / "checks.json", {"protocol": {"folds": 3}})
    write_report(study, folder / "report.html")
    return (folder / "report.html").read_text(encoding="utf-8")


def without_programs(page: str) -> str:
    return re.sub(r"<script.*?</script>|<style>.*?</style>", "", page, flags=re.DOTALL)


def test_every_section_is_there_once_with_its_rows(page: str) -> None:
    for part in PARTS:
        key = part.listings[0].table.replace("_", "-")
        assert len(re.findall(f'<section id="{key}">', page)) == 1
        assert page.count(part.title) >= 2  # in the contents, and above the section
    assert "Not part of this study" not in page


def test_a_study_without_more_says_what_it_lacks_and_why(tmp_path: Path) -> None:
    paths = write_results(tmp_path, extras=False, intervals=False)
    text = without_programs(report_page(read_study(paths, tmp_path / "checks.json")))
    for name in ("efficiency", "comparisons", "slices", "robustness", "forecast", "published"):
        assert f'<section id="{name}">' not in text
        assert f'<li id="{name}">' in text
    assert "see `robustness` in the configuration" in text
    assert "no experiment of this study weighs the layers" in text


def test_names_and_notes_are_never_markup(page: str) -> None:
    for piece in (AWKWARD, NOTE):
        assert piece not in page
        assert piece in text_of(without_programs(page))
    for data in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL):
        json.loads(data)


def test_it_is_synthetic_and_says_so_before_all_else(page: str) -> None:
    text = text_of(without_programs(page).partition("<body>")[2])
    assert text.index("Synthetic") < text.index("Which representation")
    assert "random, untrained weights" in text
    real = report_page(study_of({"mfcc": (0.6, 0.7)}))
    assert "Synthetic" not in without_programs(real)


def test_it_may_load_nothing_and_run_only_its_own_programs(page: str) -> None:
    assert not re.search(
        r"""(?:src|href|action|data)=["']?(?:https?:)?//""", without_programs(page)
    )
    assert "@import" not in page
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    rules = html.unescape(policy[1])
    assert "default-src 'none'" in rules
    assert "connect-src 'none'" in rules
    assert "unsafe-eval" not in rules
    programs = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    assert len(programs) == 2
    for program in programs:
        digest = base64.b64encode(hashlib.sha256(program.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in rules
    assert len(page) < 6_000_000


def test_provenance_names_digests_versions_and_settings(page: str) -> None:
    text = text_of(without_programs(page))
    assert "python 3.11.7, torch 2.13.0" in text
    assert "kind: pooled" in text
    assert "b" * 64 in page


def test_columns_have_units_and_intervals_stand_behind_their_number() -> None:
    frame = pl.DataFrame(comparison_rows())
    columns = {column.key: column for column in columns_of(frame, {"ua": "accuracy"}, ["ua"])}
    assert columns["ua"].shown
    assert not columns["other_ua"].shown
    assert columns["ua"].meaning == "accuracy"
    assert columns["difference"].ends == ["difference_low", "difference_high"]
    assert columns["effect_size"].ends == ["effect_low", "effect_high"]
    assert "difference_low" not in columns
    assert columns["difference"].title == "difference,\u00a0points"


def test_a_report_without_scores_ends_in_a_sentence(tmp_path: Path) -> None:
    paths = [path for path in write_results(tmp_path) if path.stem != "scores"]
    with pytest.raises(StoreError, match="needs the table of scores"):
        read_study(paths, tmp_path / "checks.json")
    with pytest.raises(StoreError, match="does not exist; run check_protocol"):
        read_study([tmp_path / "scores.parquet"], tmp_path / "nothing.json")
    (tmp_path / "scores.parquet").write_bytes(b"nothing")
    with pytest.raises(StoreError, match="cannot be read as Parquet"):
        read_study([tmp_path / "scores.parquet"], tmp_path / "checks.json")
