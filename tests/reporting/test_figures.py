from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from emoscale.reporting.confusion import draw_confusion
from emoscale.reporting.figures import COLOURS, scales
from emoscale.reporting.learning_curves import draw_learning_curves

SCORES = pl.DataFrame(
    [
        {
            "experiment": name,
            "size": str(size),
            "training_utterances_mean": float(size),
            "ua": ua,
            "ua_repeat_deviation": 0.02,
            "ua_fold_mean": ua,
            "ua_fold_deviation": 0.05,
            "chance_ua": 0.5,
            "corpus": "demo (synthetic speech)",
            "folds": 5,
            "repeats": 3,
            "notes": "first note; second note",
            "weights": "untrained: seed 1" if name == "zlogmel" else "",
        }
        for name, size, ua in [("mfcc", 10, 0.6), ("mfcc", 100, 0.7), ("zlogmel", 10, 0.55)]
    ]
)
CONFUSION = pl.DataFrame(
    [
        {"experiment": e, "size": s, "label": a, "predicted": b, "utterances": 3.0, "share": x}
        for e, s in (("mfcc", "10"), ("mfcc", "100"), ("zlogmel", "10"))
        for a, b, x in (("a", "a", 0.83), ("a", "b", 0.17), ("b", "a", 0.29), ("b", "b", 0.71))
    ]
)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    draw_learning_curves(SCORES, folder / "curves.html", folder / "curves.svg")
    draw_confusion(CONFUSION, SCORES, folder / "confusion.html", folder / "confusion.svg")
    return folder


def words_of(path: Path) -> list[str]:
    texts = re.findall(r"<text[^>]*>(.*?)</text>", path.read_text(), flags=re.DOTALL)
    return [re.sub(r"<[^>]*>", " ", text).strip() for text in texts]


def test_curves_say_what_they_show(drawn: Path) -> None:
    words = " ".join(words_of(drawn / "curves.svg"))
    for expected in ("mfcc", "zlogmel", "synthetic", "unweighted accuracy", "first note", "dashed"):
        assert expected in words
    assert "Weights of zlogmel: untrained: seed 1" in words


def test_confusion_shows_the_largest_size_in_the_studys_order(drawn: Path) -> None:
    words = words_of(drawn / "confusion.svg")
    panels = [word for word in words if "UA" in word]
    assert panels == ["mfcc (UA 70.0 %)", "zlogmel (UA 55.0 %)"]
    assert words.count("83%") == 2


def test_pages_need_no_network(drawn: Path) -> None:
    for page in drawn.glob("*.html"):
        text = page.read_text()
        assert not re.search(r"<script[^>]+src=", text)
        assert not re.search(r"<link[^>]+href=", text)


def test_colours_and_shapes_stay_apart() -> None:
    colours, shapes, dashes = scales([str(number) for number in range(20)])
    pairs = list(zip(colours.to_dict()["range"], shapes.to_dict()["range"], strict=True))
    assert len(set(pairs)) == 20
    assert len(set(COLOURS)) == 7
    lines = zip(colours.to_dict()["range"], map(str, dashes.to_dict()["range"]), strict=True)
    assert len(set(lines)) == 20
