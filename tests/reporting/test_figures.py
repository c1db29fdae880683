from __future__ import annotations

import json
import re
from pathlib import Path

import altair as alt
import polars as pl
import pytest

from emoscale.reporting.confusion import draw_confusion
from emoscale.reporting.figures import COLOURS, save, scales, weights_lines
from emoscale.reporting.layer_weights import draw_layer_weights
from emoscale.reporting.learning_curves import draw_learning_curves, panels_of

SCORES = pl.DataFrame(
    [
        {
            "experiment": name,
            "size": str(size),
            "training_utterances_mean": float(size),
            "ua": ua,
            "ua_repeat_std": 0.02,
            "ua_fold_mean": ua,
            "ua_fold_std": 0.05,
            "chance_ua": 0.5,
            "corpus": "demo (synthetic speech)",
            "folds": 5,
            "repeats": 3,
            "notes": "first note; second note",
            "pretrained_weights": "untrained: seed 1" if name == "zlogmel" else "",
            "modality": "audio",
        }
        for name, size, ua in [("mfcc", 10, 0.6), ("mfcc", 100, 0.7), ("zlogmel", 10, 0.55)]
    ]
)
CONFUSION = pl.DataFrame(
    [
        {"experiment": e, "size": s, "label": a, "predicted": b, "utterances": 3.0, "fraction": x}
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
    return [" ".join(re.sub(r"<[^>]*>", " ", text).split()) for text in texts]


def test_curves_say_what_they_show(drawn: Path) -> None:
    words = " ".join(words_of(drawn / "curves.svg"))
    for expected in ("mfcc", "zlogmel", "synthetic", "unweighted accuracy", "first note", "dashed"):
        assert expected in words
    assert "Weights of zlogmel: untrained: seed 1" in words


def test_confusion_shows_the_largest_size_in_the_studys_order(drawn: Path) -> None:
    words = words_of(drawn / "confusion.svg")
    panels = [word for word in words if "UA" in word]
    assert panels == ["mfcc UA 70.0 %", "zlogmel UA 55.0 %"]
    assert words.count("83%") == 2


def test_pages_need_no_network(drawn: Path) -> None:
    for page in drawn.glob("*.html"):
        text = page.read_text()
        assert not re.search(r"<script[^>]+src=", text)
        assert not re.search(r"<link[^>]+href=", text)


def test_colours_and_shapes_stay_apart() -> None:
    for scale in scales([str(number) for number in range(len(COLOURS))]):
        assert len(set(scale.to_dict()["range"])) == len(COLOURS) == 7


def study_of(**modalities: str) -> pl.DataFrame:
    """Scores of these experiments, at two sizes each."""
    return pl.concat(
        SCORES.filter(pl.col("experiment") == "mfcc").with_columns(
            experiment=pl.lit(name),
            modality=pl.lit(modality),
            ua=pl.col("ua") + 0.01 * place,
        )
        for place, (name, modality) in enumerate(modalities.items())
    )


MANY = {
    **{f"audio{number}": "audio" for number in range(9)},
    "words": "text",
    **{f"fusion{number}": "audio+text" for number in range(3)},
    "audio_again": "audio",
}


def test_a_panel_has_no_more_curves_than_colours() -> None:
    few = study_of(**{f"audio{number}": "audio" for number in range(6)}, words="text")
    assert panels_of(few) == {"": [*(f"audio{number}" for number in range(6)), "words"]}
    assert panels_of(study_of(**MANY)) == {
        "audio, 1 of 2": [f"audio{number}" for number in range(5)],
        "audio, 2 of 2": [*(f"audio{number}" for number in range(5, 9)), "audio_again"],
        "text": ["words"],
        "audio + text": ["fusion0", "fusion1", "fusion2"],
    }


def test_many_curves_are_in_panels_with_legends_of_their_own(tmp_path: Path) -> None:
    draw_learning_curves(study_of(**MANY), tmp_path / "curves.html", tmp_path / "curves.svg")
    words = words_of(tmp_path / "curves.svg")
    for name in MANY:  # none is cut short, none stands in two legends
        assert words.count(name) == 1
    assert words.count("experiment") == 4
    assert [word for word in words if word in panels_of(study_of(**MANY))] == [
        "audio, 1 of 2",
        "audio, 2 of 2",
        "text",
        "audio + text",
    ]


def test_long_names_are_read_whole(tmp_path: Path) -> None:
    name = "Mm" * 32  # as long as a study's names may be
    html, svg = tmp_path / "figure.html", tmp_path / "figure.svg"
    scores = study_of(**{name: "audio"})
    draw_learning_curves(scores, html, svg)
    assert name in words_of(svg)
    draw_confusion(CONFUSION.with_columns(experiment=pl.lit(name)), scores, html, svg)
    assert name in "".join(words_of(svg)).replace(" ", "")
    shares = SHARES.with_columns(experiment=pl.lit(name), size=pl.lit("100"))
    draw_layer_weights(shares, scores, html, svg)
    assert name in "".join(words_of(svg)).replace(" ", "")


def test_weights_are_named_once_with_all_who_read_them() -> None:
    scores = pl.DataFrame(
        {
            "experiment": ["wavlm", "wavlm", "mfcc", "fusion"],
            "pretrained_weights": ["wavlm-base", "wavlm-base", "", "wavlm-base; bert-base"],
        }
    )
    assert weights_lines(scores) == [
        "Weights of wavlm, fusion: wavlm-base",
        "Weights of fusion: bert-base",
    ]


SHARES = pl.DataFrame(
    [
        {
            "experiment": "zlogmel",
            "fold": fold,
            "size": size,
            "repeat": 0,
            "representation": "wavlm",
            "layer": layer,
            "weight": share if size == "10" else 0.5,
        }
        for size in ("10", "5")
        for fold, shares in (("fold1", (0.2, 0.8)), ("fold2", (0.4, 0.6)))
        for layer, share in zip((6, 12), shares, strict=True)
    ]
)


def test_layer_weights_are_means_of_the_largest_size_with_their_spread(tmp_path: Path) -> None:
    smaller = SCORES.filter(pl.col("experiment") == "zlogmel").with_columns(
        size=pl.lit("5"), training_utterances_mean=pl.lit(5.0)
    )
    html, svg = tmp_path / "layers.html", tmp_path / "layers.svg"
    draw_layer_weights(SHARES, pl.concat([smaller, SCORES]), html, svg)
    found = re.search(r'"datasets": (\{.*\})\};\n', html.read_text())
    assert found
    drawn = {
        row["layer"]: (row["weight"], row["low"], row["high"], row["models"])
        for table in json.loads(found[1]).values()
        for row in table
        if "layer" in row
    }
    spread = 0.1 * 2**0.5  # of two values that are 0.2 apart, with one degree of freedom
    assert drawn == {
        6: pytest.approx((0.3, 0.3 - spread, 0.3 + spread, 2)),
        12: pytest.approx((0.7, 0.7 - spread, 0.7 + spread, 2)),
    }
    words = words_of(svg)
    assert {"zlogmel", "layers of wavlm", "6", "12"} <= set(words)
    assert "mfcc" not in words
    assert "Weights of zlogmel: untrained: seed 1" in " ".join(words)


def test_without_layer_weights_the_figure_says_why(tmp_path: Path) -> None:
    html, svg = tmp_path / "layers.html", tmp_path / "layers.svg"
    draw_layer_weights(SHARES.clear(), SCORES, html, svg)
    assert "no experiment of this study weighs the layers" in " ".join(words_of(svg))
    assert html.stat().st_size > 100_000


def test_a_name_in_a_chart_cannot_begin_a_script(tmp_path: Path) -> None:
    names = ["</script><script>alert(1)</script>", "\n  const spec = <script>alert(1);\n"]
    chart = alt.Chart(pl.DataFrame({"name": names, "ua": [0.5, 0.6]})).mark_bar().encode(x="name")
    save(chart, tmp_path / "chart.html")
    page = (tmp_path / "chart.html").read_text()
    assert "<script>alert" not in page
    spec = re.findall(r"^  const spec = (.*);$", page, re.MULTILINE)[-1]
    (data,) = json.loads(spec)["datasets"].values()
    assert [row["name"] for row in data] == names
