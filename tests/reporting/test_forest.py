from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from emoscale.reporting.forest import comparisons_with, draw_forest


def pair(
    experiment: str, other: str, sizes: str, difference: float, p_holm: float = 0.2
) -> dict[str, object]:
    better = experiment if difference > 0 else other
    return {
        "experiment": experiment,
        "other": other,
        "sizes": sizes,
        "difference": difference,
        "difference_low": difference - 0.05,
        "difference_high": difference + 0.04,
        "p_holm": p_holm,
        "effect_size": 10 * difference,
        "standard_error": 0.02,
        "degrees_of_freedom": 9,
        "family": 3,
        "winner": better if p_holm < 0.05 else "none",
    }


def scores_of(*rows: tuple[str, str, float]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"experiment": name, "size": size, "ua": ua, "corpus": "demo (synthetic speech)",
             "training_utterances_mean": 100.0 if size == "all" else 10.0}
            for name, size, ua in rows
        ]
    )  # fmt: skip


SCORES = scores_of(
    ("mfcc", "10", 0.7), ("mfcc", "all", 0.6), ("best", "10", 0.5), ("best", "all", 0.8),
    ("few", "10", 0.4),
)  # fmt: skip
COMPARISONS = pl.DataFrame(
    [
        pair("mfcc", "best", "10 all", -0.2, p_holm=0.01),
        pair("mfcc", "few", "10", 0.3),
        pair("best", "few", "10", 0.1),
    ]
)


def text_elements(path: Path) -> list[str]:
    texts = re.findall(r"<text[^>]*>(.*?)</text>", path.read_text(), flags=re.DOTALL)
    return [" ".join(re.sub(r"<[^>]*>", " ", text).split()) for text in texts]


def test_each_is_compared_with_the_best_over_the_sizes_of_both() -> None:
    differences = comparisons_with("best", COMPARISONS, SCORES)
    assert differences.select("experiment", "sizes", "difference").rows() == [
        ("few", "10", pytest.approx(-10.0)),
        ("mfcc", "10 all", pytest.approx(-20.0)),
    ]
    few, mfcc = differences.to_dicts()
    # Negation swaps the ends.
    assert (few["difference_low"], few["difference_high"]) == pytest.approx((-14.0, -5.0))
    assert (mfcc["difference_low"], mfcc["difference_high"]) == pytest.approx((-25.0, -16.0))
    assert [row["kind"] for row in (few, mfcc)] == [
        "not significant",
        "significant after Holm's correction",
    ]


def test_title_and_labels_state_the_differences(tmp_path: Path) -> None:
    html, svg = tmp_path / "forest.html", tmp_path / "forest.svg"
    draw_forest(COMPARISONS, SCORES, "", html, svg)
    texts = text_elements(svg)
    assert "Differences to the best experiment, best" in texts
    assert "−20.0 (−25.0 to −16.0), 2 sizes" in texts
    assert {"mfcc", "few"} <= set(texts)
    assert "Holm's correction is for all 3 pairs" in " ".join(texts)
    assert "Power of a typical comparison with this correction: 39 % for 5 points" in " ".join(
        texts
    )
    assert not re.search(r"<script[^>]+src=", html.read_text())


def test_differences_are_to_the_declared_reference(tmp_path: Path) -> None:
    draw_forest(COMPARISONS, SCORES, "few", tmp_path / "forest.svg")
    texts = text_elements(tmp_path / "forest.svg")
    assert "Differences to the reference, few" in texts
    assert {"mfcc", "best"} <= set(texts)


def test_many_experiments_and_long_names_are_not_truncated(tmp_path: Path) -> None:
    names = [f"{number:02d}" + "Mm" * 18 for number in range(22)]
    scores = scores_of(*((name, "all", 0.5 + index / 100) for index, name in enumerate(names)))
    pairs = [
        pair(one, other, "all", (i - j) / 100)
        for i, one in enumerate(names)
        for j, other in enumerate(names)
        if i < j
    ]
    draw_forest(pl.DataFrame(pairs), scores, "", tmp_path / "forest.svg")
    texts = text_elements(tmp_path / "forest.svg")
    assert [text for text in texts if text in names] == names[-2::-1]


def test_without_pairs_the_figure_states_the_reason(tmp_path: Path) -> None:
    draw_forest(COMPARISONS.clear(), SCORES, "", tmp_path / "forest.svg")
    assert "There is nothing to compare" in " ".join(text_elements(tmp_path / "forest.svg"))
