from __future__ import annotations

import json
import re
from pathlib import Path

import altair as alt
import polars as pl
import pytest

from emoscale.reporting.confusion import draw_confusion
from emoscale.reporting.figures import COLOURS, colour_and_shape_scales, save, weights_lines
from emoscale.reporting.layer_weights import draw_layer_weights
from emoscale.reporting.learning_curves import draw_learning_curves, panel_experiments

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
def figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    draw_learning_curves(SCORES, folder / "curves.html", folder / "curves.svg")
    draw_confusion(CONFUSION, SCORES, folder / "confusion.html", folder / "confusion.svg")
    return folder


def text_elements(path: Path) -> list[str]:
    texts = re.findall(r"<text[^>]*>(.*?)</text>", path.read_text(), flags=re.DOTALL)
    return [" ".join(re.sub(r"<[^>]*>", " ", text).split()) for text in texts]


def test_the_title_describes_the_curves(figures: Path) -> None:
    texts = " ".join(text_elements(figures / "curves.svg"))
    for expected in ("mfcc", "zlogmel", "synthetic", "unweighted accuracy", "first note", "dashed"):
        assert expected in texts
    assert "Weights of zlogmel: untrained: seed 1" in texts


def test_confusion_shows_the_largest_size_in_the_studys_order(figures: Path) -> None:
    texts = text_elements(figures / "confusion.svg")
    panels = [text for text in texts if "UA" in text]
    assert panels == ["mfcc UA 70.0 %", "zlogmel UA 55.0 %"]
    assert texts.count("83%") == 2


def test_pages_need_no_network(figures: Path) -> None:
    for page in figures.glob("*.html"):
        text = page.read_text()
        assert not re.search(r"<script[^>]+src=", text)
        assert not re.search(r"<link[^>]+href=", text)


def test_colours_and_shapes_are_distinct() -> None:
    for scale in colour_and_shape_scales([str(number) for number in range(len(COLOURS))]):
        assert len(set(scale.to_dict()["range"])) == len(COLOURS) == 7


def study_of(**modalities: str) -> pl.DataFrame:
    """Scores of these experiments, at two sizes each."""
    return pl.concat(
        SCORES.filter(pl.col("experiment") == "mfcc").with_columns(
            experiment=pl.lit(name),
            modality=pl.lit(modality),
            ua=pl.col("ua") + 0.01 * index,
        )
        for index, (name, modality) in enumerate(modalities.items())
    )


MANY = {
    **{f"audio{number}": "audio" for number in range(9)},
    "words": "text",
    **{f"fusion{number}": "audio+text" for number in range(3)},
    "audio_again": "audio",
}


def test_a_panel_has_no_more_curves_than_colours() -> None:
    few = study_of(**{f"audio{number}": "audio" for number in range(6)}, words="text")
    assert panel_experiments(few) == {"": [*(f"audio{number}" for number in range(6)), "words"]}
    assert panel_experiments(study_of(**MANY)) == {
        "audio, 1 of 2": [f"audio{number}" for number in range(5)],
        "audio, 2 of 2": [*(f"audio{number}" for number in range(5, 9)), "audio_again"],
        "text": ["words"],
        "audio + text": ["fusion0", "fusion1", "fusion2"],
    }


def test_many_curves_are_in_panels_with_legends_of_their_own(tmp_path: Path) -> None:
    draw_learning_curves(study_of(**MANY), tmp_path / "curves.html", tmp_path / "curves.svg")
    texts = text_elements(tmp_path / "curves.svg")
    for name in MANY:  # no name is truncated or in two legends
        assert texts.count(name) == 1
    assert texts.count("experiment") == 4
    assert [text for text in texts if text in panel_experiments(study_of(**MANY))] == [
        "audio, 1 of 2",
        "audio, 2 of 2",
        "text",
        "audio + text",
    ]


def test_long_names_are_not_truncated(tmp_path: Path) -> None:
    name = "Mm" * 32  # the maximum length of a name
    html, svg = tmp_path / "figure.html", tmp_path / "figure.svg"
    scores = study_of(**{name: "audio"})
    draw_learning_curves(scores, html, svg)
    assert name in text_elements(svg)
    draw_confusion(CONFUSION.with_columns(experiment=pl.lit(name)), scores, html, svg)
    assert name in "".join(text_elements(svg)).replace(" ", "")
    layer_weights = WEIGHTS.with_columns(experiment=pl.lit(name), size=pl.lit("100"))
    draw_layer_weights(layer_weights, scores, html, svg)
    assert name in "".join(text_elements(svg)).replace(" ", "")


def test_legends_have_space_for_a_wider_font(tmp_path: Path) -> None:
    def width(path: Path) -> float:
        return float(re.findall(r'<svg [^>]*width="([0-9.]+)"', path.read_text())[0])

    names = pl.DataFrame({"x": [1, 2], "name": ["short", "egemaps_svm_speaker"]})
    chart = alt.Chart(names).mark_point().encode(x="x:Q", color="name:N")
    saved, tight = tmp_path / "saved.svg", tmp_path / "tight.svg"
    save(chart, saved)
    chart.configure_legend(labelFontSize=12, titleFontSize=13).save(str(tight))
    assert width(saved) == width(tight) + 20


def test_each_source_of_weights_is_named_once_with_its_experiments() -> None:
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


WEIGHTS = pl.DataFrame(
    [
        {
            "experiment": "zlogmel",
            "fold": fold,
            "size": size,
            "repeat": 0,
            "representation": "wavlm",
            "layer": layer,
            "weight": weight if size == "10" else 0.5,
        }
        for size in ("10", "5")
        for fold, weights in (("fold1", (0.2, 0.8)), ("fold2", (0.4, 0.6)))
        for layer, weight in zip((6, 12), weights, strict=True)
    ]
)


def test_layer_weights_are_means_of_the_largest_size_with_their_std(tmp_path: Path) -> None:
    smaller = SCORES.filter(pl.col("experiment") == "zlogmel").with_columns(
        size=pl.lit("5"), training_utterances_mean=pl.lit(5.0)
    )
    html, svg = tmp_path / "layers.html", tmp_path / "layers.svg"
    draw_layer_weights(WEIGHTS, pl.concat([smaller, SCORES]), html, svg)
    match = re.search(r'"datasets": (\{.*\})\};\n', html.read_text())
    assert match
    means = {
        row["layer"]: (row["weight"], row["low"], row["high"], row["models"])
        for table in json.loads(match[1]).values()
        for row in table
        if "layer" in row
    }
    std = 0.1 * 2**0.5  # of two values with a difference of 0.2, one degree of freedom
    assert means == {
        6: pytest.approx((0.3, 0.3 - std, 0.3 + std, 2)),
        12: pytest.approx((0.7, 0.7 - std, 0.7 + std, 2)),
    }
    texts = text_elements(svg)
    assert {"zlogmel", "layers of wavlm", "6", "12"} <= set(texts)
    assert "mfcc" not in texts
    assert "Weights of zlogmel: untrained: seed 1" in " ".join(texts)


def test_without_layer_weights_the_figure_states_the_reason(tmp_path: Path) -> None:
    html, svg = tmp_path / "layers.html", tmp_path / "layers.svg"
    draw_layer_weights(WEIGHTS.clear(), SCORES, html, svg)
    assert "no experiment of this study has layer weights" in " ".join(text_elements(svg))
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
