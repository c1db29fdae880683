from __future__ import annotations

from pathlib import Path

import polars as pl

from emoscale.evaluation.corpus_pairs import CORPUS_PAIRS
from emoscale.reporting.corpus_pairs import draw_corpus_pairs
from emoscale.tables.parquet import dataframe_of
from tests.reporting.test_figures import SCORES, text_elements


def pairs_of() -> pl.DataFrame:
    rows: list[dict[str, object]] = [
        {"experiment": experiment, "size": size, "training_corpus": trained, "test_corpus": tested,
         "training_utterances_mean": 100.0, "utterances": 50, "speakers": speakers, "classes": 2,
         "ua": ua, "ua_low": ua - 0.1 if speakers > 4 else None,
         "ua_high": ua + 0.1 if speakers > 4 else None, "wa": ua}
        for experiment, size in (("mfcc", "100"), ("mfcc", "10"), ("zlogmel", "10"))
        for trained, tested, ua, speakers in (
            ("demo", "demo", 0.8, 10), ("demo", "small", 0.4, 4),
            ("small", "demo", 0.55, 10), ("small", "small", 0.7, 4),
        )
    ]  # fmt: skip
    return dataframe_of(rows, CORPUS_PAIRS)


def test_a_matrix_per_experiment_with_intervals(tmp_path: Path) -> None:
    html, svg = tmp_path / "pairs.html", tmp_path / "pairs.svg"
    draw_corpus_pairs(pairs_of(), SCORES, html, svg)
    texts = text_elements(svg)
    for panel in ("mfcc", "zlogmel"):
        assert texts.count(panel) == 1
    assert texts.count("80 % 70 to 90 %") == 2  # of the largest size only
    assert texts.count("40 %") == 2  # too few speakers for an interval
    assert {"training corpus", "test corpus"} <= set(texts)
    assert "chance: 50%" in " ".join(texts)
    assert html.stat().st_size > 100_000
