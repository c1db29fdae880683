from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from emoscale.reporting.figures import note_lines
from emoscale.reporting.report.answer import labels_saved_sentence, study_answer, study_question
from emoscale.reporting.report.columns import table_columns
from emoscale.reporting.report.page import report_page, write_report
from emoscale.reporting.report.protocol import protocol_section
from emoscale.reporting.report.results import (
    RESULT_SECTIONS,
    first_figure_experiments,
    result_sections,
)
from emoscale.reporting.report.study import Study, StudyTable, read_study
from emoscale.runtime.errors import StoreError
from tests.reporting.results_folder import (
    AWKWARD,
    CHECKS,
    NOTE,
    UA,
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
    dataframes = {
        "scores": score_rows(ua, **{"corpus": REAL, "notes": "", "weights": "", **scores}),
        **{
            name: pl.DataFrame(rows, infer_schema_length=None)
            for name, rows in (tables or {}).items()
        },
    }
    return Study(
        {name: StudyTable(name, table, {}) for name, table in dataframes.items()}, checks, {}
    )


def text_of(markup: Any) -> str:
    """Return the visible text of markup, with normal spaces."""
    text = html.unescape(re.sub(r"<[^>]*>", "", str(markup)))
    return " ".join(text.replace("\u00a0", " ").split())


def answer_text(study: Study) -> str:
    return " ".join(text_of(sentence) for sentence in study_answer(study))


BOTH = {"comparisons": comparison_rows(), "efficiency": efficiency_rows()}


def test_the_answer_names_the_best_with_its_interval_and_chance() -> None:
    answer = answer_text(study_of({"mfcc": (0.6, 0.7), "net": (0.72, 0.82)}))
    assert answer.startswith("Over the whole learning curve, net recognises emotion best")
    assert (
        "its UA (unweighted accuracy) averages 77.0 % over 2 training sizes, and trained on 100 "
        "labels it is 82.0 % (95 % confidence interval 76.0 to 87.0 %); chance is 50.0 %" in answer
    )
    assert (
        "The second is mfcc (70.0 %, trained on 100 labels); the significance of this lead was not "
        "tested" in answer
    )
    assert "How many labels one experiment saves over another was not measured" in answer
    single = answer_text(study_of({"mfcc": (0.6,), "net": (0.72,)}))
    assert single.startswith("Trained on 10 labels, net recognises emotion best: its UA")


def test_scores_within_corpora_and_across_them_are_told_from_each_other() -> None:
    pairs = [
        {"experiment": name, "size": "100", "training_corpus": a, "test_corpus": b, "ua": ua}
        for name, values in (("mfcc", (0.6, 0.5, 0.4, 0.7)), ("net", (0.9, 0.3, 0.2, 0.8)))
        for (a, b), ua in zip(product("ab", repeat=2), values, strict=True)
    ]
    answer = answer_text(
        study_of({"mfcc": (0.6, 0.55), "net": (0.72, 0.82)}, tables={"corpus_pairs": pairs})
    )
    assert (
        "These scores pool all pairs of a training and a test corpus. At its largest training "
        "size, net has a mean UA of 85.0 % within a corpus and of 25.0 % across corpora. Across "
        "corpora, the highest mean is that of mfcc: 45.0 %." in answer
    )


def test_a_lead_that_is_not_significant_has_no_winner() -> None:
    answer = answer_text(study_of(UA, tables=BOTH))
    assert answer.startswith("Trained on 100 labels, fusion recognises emotion best")
    assert (
        f"With the same training size, it leads {AWKWARD} (82.0 %) by 3.0 points, but this "
        "difference is not statistically significant after Holm's correction for all 3 pairs of "
        "the study" in answer
    )
    # The table has wav2vec minus fusion; for fusion minus wav2vec the interval is negated.
    assert "(95 % confidence interval −1.0 to 7.0 points, p = 0.210 after Holm)" in answer
    assert (
        "It is significantly better than 1 of the 2 others that it is tested against; in all, 2 of "
        "the 3 tested pairs have a winner." in answer
    )
    assert "is statistically significant" not in answer


def test_a_lead_that_is_significant_after_correction() -> None:
    pair = comparison_rows()[:1]
    answer = answer_text(
        study_of({"mfcc": (0.6, 0.7), AWKWARD: (0.72, 0.82)}, tables={**BOTH, "comparisons": pair})
    )
    assert (
        "On average over the 2 training sizes that both have, it leads mfcc (65.0 %) by 12.0 "
        "points, and this lead is statistically significant after Holm's correction" in answer
    )
    assert "(95 % confidence interval 8.0 to 16.0 points, p = 0.012 after Holm)" in answer


def test_the_best_is_ahead_over_the_learning_curve_not_at_the_largest_size() -> None:
    rows = [{**comparison_rows()[0], "difference": 0.02, "winner": "none"}]
    study = study_of({"mfcc": (0.8, 0.7), AWKWARD: (0.7, 0.75)}, tables={"comparisons": rows})
    assert answer_text(study).startswith("Over the whole learning curve, mfcc recognises")


def with_reference(study: Study, reference: str) -> Study:
    table = study.tables["comparisons"]
    tested = [
        row | ({} if reference in (row["experiment"], row["other"]) else OUTSIDE) | {"family": 2}
        for row in table.dataframe.to_dicts()
    ]
    metadata = {"reference": reference}
    changed = StudyTable("comparisons", pl.DataFrame(tested), metadata=metadata)
    return Study({**study.tables, "comparisons": changed}, study.checks, {})


OUTSIDE = {"p_holm": None, "winner": None}


def test_a_declared_reference_is_what_the_best_is_tested_against() -> None:
    study = study_of(UA, tables=BOTH)
    answer = answer_text(with_reference(study, "mfcc"))
    assert "it leads the reference mfcc (70.0 %) by 15.0 points" in answer
    assert "after Holm's correction for the 2 pairs with the reference" in answer
    itself = answer_text(with_reference(study, "fusion"))
    assert f"it leads {AWKWARD} (82.0 %)" in itself


def test_the_answer_says_how_large_a_difference_could_have_been_seen() -> None:
    rows = [{**row, "standard_error": 0.03, "degrees_of_freedom": 9} for row in comparison_rows()]
    answer = answer_text(study_of(UA, tables={"comparisons": rows}))
    # 400,000 simulated t values beyond the quantile of 1 - 0.05 / 6: 16.4, 65.6 and 96.1 %
    assert (
        "With its 6 test speakers and 3 pairs corrected together, a typical comparison finds a "
        "true difference of 5 points with a probability of 16 %, 10 points with a probability of "
        "66 % and 15 points with a probability of 96 %." in answer
    )
    no_variance = [{**row, "standard_error": None} for row in comparison_rows()]
    assert "How large" not in answer_text(study_of(UA, tables={"comparisons": no_variance}))


def test_the_best_curve_is_compared_with_its_strongest_rival() -> None:
    answer = answer_text(study_of(UA, tables=BOTH))
    assert (
        f"{AWKWARD} exceeds the UA that mfcc reaches with 100 labels (70.0 %) already with its "
        "smallest training set: at least 10 times fewer labels (95 % confidence interval: a factor "
        "of 4.2 or more)." in answer
    )


def test_labels_are_counted_against_the_reference_if_there_is_one() -> None:
    names = ("experiment", "other", "other_labels", "ua", "labels", "factor", "bound")
    rows = [
        dict(zip(names, row, strict=True)) | {"at_largest_size": True, "measured_ua": row[3]}
        for row in (
            ("net", "mel", 100.0, 0.75, 50.0, 2.0, "measured"),
            ("net", "mfcc", 100.0, 0.7, 25.0, 4.0, "measured"),
            ("mel", "mfcc", 100.0, 0.7, 60.0, 1.7, "measured"),
        )
    ]
    study = study_of({"mfcc": (0.6, 0.7), "mel": (0.65, 0.75), "net": (0.7, 0.8)})
    for metadata, expected in (
        (
            {"reference": "mfcc"},
            "For the UA that mfcc reaches with 100 labels (70.0 %), net needs 25",
        ),
        ({"reference": "net"}, "For the UA that mel reaches"),  # the reference itself is the best
        ({}, "For the UA that mel reaches"),
    ):
        table = StudyTable("efficiency", pl.DataFrame(rows), metadata=metadata)
        assert expected in answer_text(Study({**study.tables, "efficiency": table}, CHECKS, {}))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {},
            "x needs 50 labels: 4.0 times fewer (95 % confidence interval: a factor of 2.0 to 7.1)",
        ),
        (
            {"factor_low": 0.8},
            "This interval includes 1, so the saving is not statistically significant.",
        ),
        ({"factor": 0.5, "factor_low": 0.2, "factor_high": 0.9}, "2.0 times more"),
        ({"factor_low": None}, "x needs 50 labels: 4.0 times fewer."),
        (
            {"factor_low": 0.0},
            "confidence interval: a factor of 7.1 or less). This interval includes 1",
        ),
        ({"factor_low": 0.0, "factor_high": math.inf}, "unbounded at both ends"),
        ({"bound": "at least"}, "at least 4.0 times fewer"),
        (
            {"bound": "at most", "factor": 0.4},
            "x needs more labels than were measured: at least 2.5 times more",
        ),
        ({"bound": "not reached", "factor": None}, "x does not reach the UA that y reaches"),
        ({"measured_ua": 0.58}, "(y at the size 800: measured 58.0 %, below its learning curve.)"),
    ],
)
def test_saved_labels_as_a_sentence(changes: dict[str, Any], expected: str) -> None:
    row = {
        **{"experiment": "x", "other": "y", "other_labels": 200.0, "labels": 50.0, "ua": 0.6},
        **{"factor": 4.0, "factor_low": 2.0, "factor_high": 7.1, "bound": "measured"},
        **{"other_size": "800", "measured_ua": 0.6},
    }
    assert expected in text_of(labels_saved_sentence({**row, **changes}))


def ceiling_rows(difference: float, target: str = "other raters") -> list[dict[str, Any]]:
    """Return a rater with a UA of 53 %, and mfcc, for both targets; one is the ceiling."""
    rater = {"experiment": "one more rater", "ua": 0.53, "ua_low": 0.51, "ua_high": 0.55}
    mfcc = {"experiment": "mfcc", "ua": 0.53 + difference, "difference": difference}
    mfcc |= {"difference_low": difference - 0.02, "difference_high": difference + 0.02}
    return [
        {**row, "target": name, "is_ceiling": name == target}
        for row in (rater, mfcc)
        for name in ("other raters", "label")
    ]


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        (-0.041, "4.1 points below it (95 % confidence interval −6.1 to −2.1 points)."),
        (0.001, "0.1 points above it (95 % confidence interval −1.9 to 2.1 points): this interval"),
    ],
)
def test_the_best_is_compared_with_one_more_rater(difference: float, expected: str) -> None:
    study = study_of({"mfcc": (0.6, 0.7)}, tables={"ceiling": ceiling_rows(difference)})
    text = answer_text(study)
    assert (
        "One more rater, compared with the plurality of the other raters, has a UA of 53.0 % (95 % "
        "confidence interval 51.0 to 55.0 %). On the same utterances and votes, mfcc is "
    ) in text
    assert expected in text


def test_acted_labels_and_generated_votes_are_named() -> None:
    tables = {"ceiling": ceiling_rows(0.2, target="label")}
    text = answer_text(
        study_of({"mfcc": (0.6, 0.7)}, tables=tables, corpus="demo (synthetic speech)")
    )
    assert (
        "The votes are generated. One more rater, compared with the labels, which are the" in text
    )
    assert "rater" not in answer_text(study_of({"mfcc": (0.6, 0.7)}))


def test_one_experiment_is_not_compared() -> None:
    study = study_of({"mfcc": (0.6, 0.7)})
    assert "Which" not in study_question(study)
    answer = answer_text(study)
    assert "Trained on 100 labels, mfcc has a UA (unweighted accuracy) of 70.0 %" in answer
    assert "Its UA is 60.0 % with 10 labels and 70.0 % with 100 labels." in answer
    assert "best" not in answer
    assert "leads" not in answer


def test_with_one_size_the_labels_saved_are_unknown() -> None:
    answer = answer_text(study_of({"mfcc": (0.6,), "net": (0.7,)}))
    assert "Every experiment was trained at one size only" in answer


def test_an_interval_that_includes_chance_is_reported() -> None:
    answer = answer_text(study_of({"mfcc": (0.5, 0.53)}))
    assert "This interval includes chance, so recognition above chance is not shown." in answer


def test_without_speakers_there_is_no_interval() -> None:
    assert "± 1.1 over repeats, no confidence interval" in answer_text(
        study_of({"mfcc": (0.6, 0.7)}, intervals=False)
    )


def test_the_negative_control_states_whether_it_is_at_chance() -> None:
    shuffled = {**CHECKS, "labels_shuffled": True}
    study = study_of({"mfcc": (0.51, 0.5), "net": (0.47, 0.52)}, shuffled)
    assert study_question(study).startswith("Negative control on emodb")
    assert (
        "at chance: the 95 % confidence interval of each of the 4 scores includes chance"
        in answer_text(study)
    )
    assert "The farthest from chance is net with 10 labels: UA 47.0 %" in answer_text(study)
    excluding = answer_text(study_of({"mfcc": (0.51, 0.7), "net": (0.47, 0.52)}, shuffled))
    assert "1 of 4 scores have a 95 % confidence interval that excludes chance (mfcc)" in excluding
    assert "its significance is unknown" in answer_text(
        study_of({"mfcc": (0.51, 0.7)}, shuffled, intervals=False)
    )


def test_a_curve_comes_before_a_point_in_the_first_figure() -> None:
    curves = {f"curve{number}": (0.4, 0.5 + number / 100) for number in range(7)}
    points = {f"point{number}": (None, 0.8 + number / 100) for number in range(3)}
    selected = first_figure_experiments(study_of({**curves, **points}))
    assert selected == [*(f"curve{number}" for number in range(1, 7)), "point2"]


def undefined_fields(specification: dict[str, Any]) -> set[str]:
    """Return the fields of a Vega-Lite chart that are not columns of its data."""
    undefined = set()

    def visit(node: Any, columns: set[str]) -> None:
        if isinstance(node, list):
            for item in node:
                visit(item, columns)
        if isinstance(node, dict):
            if "data" in node:
                columns = set(specification["datasets"][node["data"]["name"]][0])
            for key, value in node.items():
                if key == "field":
                    undefined.update({value} - columns)
                elif isinstance(value, str):
                    fields = set(re.findall(r"datum\.(\w+)", value))
                    undefined.update(fields - columns - {"value", "label"})  # of axes and headers
                elif key != "datasets":
                    visit(value, columns)

    visit(specification, set())
    return undefined


def test_charts_use_columns_of_their_data(tmp_path: Path) -> None:
    study = read_study(write_results(tmp_path), tmp_path / "checks.json")
    charts = [chart for section in RESULT_SECTIONS for chart in section.charts]
    assert len(charts) == 11
    for chart in charts:
        assert undefined_fields(chart(study).to_dict()) == set()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("results")
    paths = write_results(folder)
    study = read_study(paths, folder / "checks.json", {"protocol": {"folds": 3}})
    write_report(study, folder / "report.html")
    return (folder / "report.html").read_text(encoding="utf-8")


def without_scripts(page: str) -> str:
    return re.sub(r"<script.*?</script>|<style>.*?</style>", "", page, flags=re.DOTALL)


def test_every_section_is_on_the_page_once(page: str) -> None:
    for section in RESULT_SECTIONS:
        assert len(re.findall(f'<section id="{section.key}">', page)) == 1
        assert page.count(section.title) >= 2  # in the contents and as a heading
    assert "Not part of this study" not in page


def test_missing_sections_are_listed_with_the_reason(tmp_path: Path) -> None:
    paths = write_results(tmp_path, extras=False, intervals=False)
    text = without_scripts(report_page(read_study(paths, tmp_path / "checks.json")))
    for name in (
        *("efficiency", "ceiling", "comparisons", "slices", "corpus-pairs", "robustness"),
        "forecast",
        "published",
    ):
        assert f'<section id="{name}">' not in text
        assert f'<li id="{name}">' in text
    assert "see <code>robustness</code> in the configuration" in text
    assert "No experiment of this study has layer weights" in text
    assert "This study pre-trains no network; see <code>checkpoints</code>" in text


def test_names_and_notes_are_never_markup(page: str) -> None:
    for text in (AWKWARD, NOTE):
        assert text not in page
        assert text in text_of(without_scripts(page))
    for data in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL):
        json.loads(data)


def test_synthetic_speech_and_random_weights_are_named_first(page: str) -> None:
    text = text_of(without_scripts(page).partition("<body>")[2])
    assert text.index("Synthetic") < text.index("Which representation")
    assert "random, untrained weights" in text
    real = report_page(study_of({"mfcc": (0.6, 0.7)}))
    assert "Synthetic" not in without_scripts(real)


def test_the_page_loads_nothing_and_runs_only_its_scripts(page: str) -> None:
    assert not re.search(r"""(?:src|href|action|data)=["']?(?:https?:)?//""", without_scripts(page))
    assert "@import" not in page
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    rules = html.unescape(policy[1])
    assert "default-src 'none'" in rules
    assert "connect-src 'none'" in rules
    assert "unsafe-eval" not in rules
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    assert len(scripts) == 2
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in rules
    assert len(page) < 6_000_000


def test_provenance_names_digests_versions_and_settings(page: str) -> None:
    text = text_of(without_scripts(page))
    assert "python 3.11.7, torch 2.13.0" in text
    assert "kind: pooled" in text
    assert "b" * 64 in page


def test_columns_have_units_and_intervals() -> None:
    table = pl.DataFrame(comparison_rows())
    columns = {column.key: column for column in table_columns(table, {"ua": "accuracy"}, ["ua"])}
    assert columns["ua"].visible
    assert not columns["other_ua"].visible
    assert columns["ua"].meaning == "accuracy"
    assert columns["difference"].interval == ["difference_low", "difference_high"]
    assert "difference_low" not in columns
    assert columns["difference"].title == "difference,\u00a0points"


def test_a_report_without_scores_is_an_error_message(tmp_path: Path) -> None:
    paths = [path for path in write_results(tmp_path) if path.stem != "scores"]
    with pytest.raises(StoreError, match="needs a table of scores"):
        read_study(paths, tmp_path / "checks.json")
    with pytest.raises(StoreError, match="does not exist; run check_protocol"):
        read_study([tmp_path / "scores.parquet"], tmp_path / "nothing.json")
    (tmp_path / "scores.parquet").write_bytes(b"nothing")
    with pytest.raises(StoreError, match="cannot be read as Parquet"):
        read_study([tmp_path / "scores.parquet"], tmp_path / "checks.json")


def large_study(experiments: int) -> Study:
    """Return a study of many experiments, with all pairs of them; `mfcc` is the reference."""
    names = ["mfcc", *(f"net{number:02d}" for number in range(experiments - 1))]
    ua = {name: (0.6, 0.6 + index / 1000) for index, name in enumerate(names)}
    pairs = [
        {
            **comparison_rows()[0],
            **{"experiment": one, "other": other, "sizes": "10 100"},
            "difference": ua[one][1] - ua[other][1],
        }
        for one, other in combinations(names, 2)
    ]
    study = study_of(ua, tables={"comparisons": pairs})
    table = replace(study.tables["comparisons"], metadata={"reference": "mfcc"})
    return Study({**study.tables, "comparisons": table}, study.checks, {})


def test_a_large_study_shows_the_best_and_the_reference_and_links_the_rest() -> None:
    """All pairs of a thousand experiments would be hundreds of megabytes."""
    study = large_study(90)
    assert len(study.tables["comparisons"].dataframe) == 4005
    sections = {section.key: section for section in result_sections(study)}
    (table,) = sections["comparisons"].tables
    assert len(table.dataframe) == 89 + 88  # the pairs with the best and with the reference
    assert "Shown are 177 of 4,005 rows, those of net88 and mfcc; the file has all" in table.caption
    assert table.file == "tables/comparisons.csv"
    assert any("40 of the 90 experiments" in text for text in sections["comparisons"].paragraphs)
    (figure,) = sections["comparisons"].figures
    assert len(max(figure.chart["datasets"].values(), key=len)) == 39
    runs = [{"experiment": f"net{n % 89:02d}", "repeat": n} for n in range(3500)]
    long = Study({**study.tables, "runs": StudyTable("runs", pl.DataFrame(runs))}, CHECKS, {})
    (table,) = {section.key: section for section in result_sections(long)}["runs"].tables
    assert table.dataframe["experiment"][0] == "net88"
    assert table.dataframe["experiment"].n_unique() == 39  # `mfcc` has no run here
    assert "of 3,500 rows, those of 40 experiments, the best first; the file" in table.caption
    (small,) = {s.key: s for s in result_sections(large_study(30))}["comparisons"].tables
    assert len(small.dataframe) == 435
    assert "Shown are" not in small.caption


def facts_of(protocol: dict[str, Any], checks: dict[str, Any] = CHECKS) -> dict[str, str]:
    study = study_of({"mfcc": (0.6, 0.7)}, checks)
    section = protocol_section(Study(study.tables, study.checks, {"protocol": protocol}))
    return {term: str(fact) for term, fact in section.facts}


def test_the_protocol_is_described_as_it_is() -> None:
    whole = facts_of({"fold_unit": "session"})
    assert whole["Folds"] == "3; each utterance is tested in exactly one of them"
    assert whole["Repeats"] == (
        "2 per fold; each has its own initialisation, and has its own training subset at every "
        "size below all"
    )
    assert whole["Development set"].startswith("separate speakers, neither trained on nor tested;")
    one_corpus = facts_of({"fold_unit": "corpus", "test_units": ["emodb"], "seeds_per_order": 2})
    assert one_corpus["Folds"] == (
        "3; tested are emodb only; everything else is training data in every fold"
    )
    assert one_corpus["Repeats"].startswith(
        "2 per fold: one training order, with 2 initialisations"
    )
    pairs = facts_of({"fold_unit": "corpus_pairs"})
    assert pairs["Folds"] == "3; each utterance is tested once by models of each corpus"
    shared = json.loads(json.dumps(CHECKS))
    shared["folds"]["fold1"]["speakers"]["dev"] = ["t1"]
    from_file = facts_of({"fold_unit": "file"}, shared)
    assert "utterances that it does not test are not scored" in from_file["Folds"]
    assert "speakers some of whom are also test speakers" in from_file["Development set"]
    random = facts_of({"fold_unit": "session", "development": "random"})
    assert random["Development set"].startswith("random utterances of the training speakers")
    permuted = {**CHECKS, "labels_shuffled": True}
    assert facts_of({"seeds_per_order": 2}, permuted)["Labels"].endswith("each training order")


def test_a_note_with_a_semicolon_stays_whole() -> None:
    notes = "text: 5 utterances are left out; 12 without words stay\nanother"
    study = study_of({"mfcc": (0.6, 0.7)}, notes=notes)
    assert study.notes == ["text: 5 utterances are left out; 12 without words stay", "another"]


def test_notes_of_several_experiments_are_shown_once() -> None:
    notes = pl.Series(["shared", "shared\nsvm: by speaker", "shared", "shared\nnet: by speaker"])
    assert note_lines(notes) == ["shared", "svm, net: by speaker"]
