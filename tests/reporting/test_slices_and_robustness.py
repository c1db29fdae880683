from __future__ import annotations

from pathlib import Path

import polars as pl

from emoscale.reporting.robustness import draw_robustness
from emoscale.reporting.slices import draw_slices
from tests.reporting.test_figures import SCORES, text_elements


def slices_of(groups: dict[str, list[str]]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "experiment": experiment,
                "size": size,
                "slice": name,
                "group": group,
                "utterances": 10,
                "speakers": 6 if name == "sex" else 1,
                "classes": 2,
                "ua": 0.6,
                "ua_low": 0.5 if name == "sex" else None,
                "ua_high": 0.7 if name == "sex" else None,
                "wa": 0.6,
            }
            for experiment, size in (("mfcc", "100"), ("zlogmel", "10"))
            for name, values in groups.items()
            for group in values
        ]
    )


def test_slices_have_one_panel_per_experiment_and_one_row_per_group(tmp_path: Path) -> None:
    html, svg = tmp_path / "slices.html", tmp_path / "slices.svg"
    table = slices_of({"sex": ["F", "M"], "speaker": [f"s{number}" for number in range(30)]})
    draw_slices(table, SCORES, html, svg)
    texts = text_elements(svg)
    for expected in ("mfcc", "zlogmel", "sex: F", "sex: M"):
        assert texts.count(expected) == 1
    assert "speaker: s1" not in texts
    assert "In the table only, because of many groups: speaker" in " ".join(texts)
    assert html.stat().st_size > 100_000


def robustness_of(experiments: list[str]) -> pl.DataFrame:
    rows = []
    for experiment in experiments:
        for condition, kind, level, unit in (
            ("clean", "clean", None, ""),
            ("white_20", "white noise", 20.0, "dB"),
            ("white_5", "white noise", 5.0, "dB"),
            ("room", "reverberation", 0.3, "s"),
            ("phone", "telephone", None, ""),
        ):
            ends = {"ua_low": 0.4, "ua_high": 0.7, "drop_low": 0.0, "drop_high": 0.2}
            cell = {"experiment": experiment, "size": "100", "condition": condition}
            rows.append({**cell, "kind": kind, "level": level, "unit": unit, "ua": 0.6,
                         "drop": 0.1, **ends})  # fmt: skip
    return pl.DataFrame(rows)


def test_robustness_has_one_panel_per_kind_with_the_mildest_level_first(tmp_path: Path) -> None:
    html, svg = tmp_path / "robustness.html", tmp_path / "robustness.svg"
    draw_robustness(robustness_of(["mfcc", "zlogmel"]), SCORES, html, svg)
    texts = text_elements(svg)
    titles = [text for text in texts if "ratio" in text or "RT60" in text or "band" in text]
    assert titles == [
        "white noise: signal-to-noise ratio, dB",
        "reverberation time (RT60), s",
        "telephone band",
    ]
    assert texts.count("clean") == 3
    levels = [text for text in texts if text in ("20", "5", "0.3", "phone")]
    assert levels == ["20", "5", "0.3", "phone"]
    assert "Weights of zlogmel: untrained: seed 1" in " ".join(texts)


def test_many_experiments_are_in_rows_with_separate_legends(tmp_path: Path) -> None:
    names = [f"audio{number}" for number in range(9)]
    scores = pl.concat(
        SCORES.filter(experiment="mfcc").with_columns(experiment=pl.lit(name)) for name in names
    )
    svg = tmp_path / "robustness.svg"
    draw_robustness(robustness_of(names), scores, tmp_path / "robustness.html", svg)
    texts = text_elements(svg)
    for name in names:
        assert texts.count(name) == 1
