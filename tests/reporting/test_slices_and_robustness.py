from __future__ import annotations

from pathlib import Path

import polars as pl

from emoscale.reporting.robustness import draw_robustness
from emoscale.reporting.slices import draw_slices
from tests.reporting.test_figures import SCORES, words_of


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
            for name, own in groups.items()
            for group in own
        ]
    )


def test_slices_have_a_panel_an_experiment_and_a_row_a_group(tmp_path: Path) -> None:
    html, svg = tmp_path / "slices.html", tmp_path / "slices.svg"
    table = slices_of({"sex": ["F", "M"], "speaker": [f"s{number}" for number in range(30)]})
    draw_slices(table, SCORES, html, svg)
    words = words_of(svg)
    for expected in ("mfcc", "zlogmel", "sex: F", "sex: M"):
        assert words.count(expected) == 1
    assert "speaker: s1" not in words
    assert "in the table only, having many groups: speaker" in " ".join(words)
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


def test_robustness_has_a_panel_a_kind_with_levels_from_mild_to_hard(tmp_path: Path) -> None:
    html, svg = tmp_path / "robustness.html", tmp_path / "robustness.svg"
    draw_robustness(robustness_of(["mfcc", "zlogmel"]), SCORES, html, svg)
    words = words_of(svg)
    titles = [word for word in words if "ratio" in word or "RT60" in word or "band" in word]
    assert titles == [
        "white noise: signal-to-noise ratio, dB",
        "reverberation time (RT60), s",
        "telephone band",
    ]
    assert words.count("clean") == 3
    levels = [word for word in words if word in ("20", "5", "0.3", "phone")]
    assert levels == ["20", "5", "0.3", "phone"]
    assert "Weights of zlogmel: untrained: seed 1" in " ".join(words)


def test_many_experiments_are_in_rows_with_legends_of_their_own(tmp_path: Path) -> None:
    names = [f"audio{number}" for number in range(9)]
    scores = pl.concat(
        SCORES.filter(experiment="mfcc").with_columns(experiment=pl.lit(name)) for name in names
    )
    svg = tmp_path / "robustness.svg"
    draw_robustness(robustness_of(names), scores, tmp_path / "robustness.html", svg)
    words = words_of(svg)
    for name in names:
        assert words.count(name) == 1
