from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from emoscale.reporting.attention_map import draw_attention

TOKENS = ["[CLS]", "no", 'the "no"', "no"]
FRAMES, RATE = 500, 50.0
UNKNOWN = [np.nan, np.nan]
SECONDS = np.array([UNKNOWN, [1.0, 1.5], UNKNOWN, [9.5, 11.0]])


def random_attention(tokens: int, frames: int) -> NDArray[np.float32]:
    scores = np.random.default_rng(0).random((2, tokens, frames)).astype(np.float32)
    attention: NDArray[np.float32] = scores / scores.sum(axis=2, keepdims=True)
    return attention


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("attention")
    attention = random_attention(len(TOKENS), FRAMES)
    draw_attention(
        "Ses01_F01", TOKENS, attention, RATE, SECONDS, folder / "map.html", folder / "map.svg"
    )
    return folder


def layer_data(page: Path) -> list[list[dict]]:
    """Return the data of each layer: the time bins, and the times of words."""
    match = re.search(r'"datasets": (\{.*\})\};\n', page.read_text())
    assert match
    return list(json.loads(match[1]).values())


def text_elements(path: Path) -> list[str]:
    texts = re.findall(r"<text[^>]*>(.*?)</text>", path.read_text(), flags=re.DOTALL)
    return [re.sub(r"<[^>]*>", " ", text).strip() for text in texts]


def test_title_axis_and_subtitle_describe_the_map(figures: Path) -> None:
    texts = text_elements(figures / "map.svg")
    assert [text for text in texts if text in TOKENS] == TOKENS
    for expected in ("seconds", "Ses01_F01", "mean over 2 heads; time bins of 100 ms", "outlined"):
        assert expected in " ".join(texts)


def test_time_bins_sum_the_attention_of_their_frames(figures: Path) -> None:
    bins, _ = layer_data(figures / "map.html")
    mean = random_attention(len(TOKENS), FRAMES).mean(axis=0)
    for row in range(len(TOKENS)):
        weights = [time_bin["weight"] for time_bin in bins if time_bin["row"] == row]
        np.testing.assert_allclose(weights, mean[row].reshape(-1, 5).sum(axis=1), rtol=1e-5)
        assert sum(weights) == pytest.approx(1.0, rel=1e-5)
    assert [bins[0]["start"], bins[0]["end"], bins[-1]["end"]] == [0.0, 0.1, FRAMES / RATE]


def test_known_words_are_outlined_within_the_utterance(figures: Path) -> None:
    _, times = layer_data(figures / "map.html")
    assert times == [{"row": 1, "start": 1.0, "end": 1.5}, {"row": 3, "start": 9.5, "end": 10.0}]


def test_many_tokens_few_frames_and_no_times(tmp_path: Path) -> None:
    tokens = [f"word{number}" for number in range(60)]
    html, svg = tmp_path / "map.html", tmp_path / "map.svg"
    draw_attention("long", tokens, random_attention(60, 101), RATE, None, html, svg)
    bins, times = layer_data(html)
    assert len(bins) == 60 * 101
    assert times == []
    assert set(tokens) <= set(text_elements(svg))
    assert "outlined" not in svg.read_text()
