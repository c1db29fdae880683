"""The model card, and the description of weights in tables."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from emoscale.config import parse_settings
from emoscale.config.checkpoints import CheckpointSettings
from emoscale.pretraining.model_card import model_card, weights_description
from emoscale.pretraining.trainer import Measurement

FOLDER = {"reader": "folder", "root": "/home/someone/speech"}
SUMMARY: dict[str, Any] = {
    "recordings": 1234,
    "hours": 10.256,
    "held_out_hours": 0.5,
    "speakers": 17,
    "digest": "d" * 64,
}
MEASUREMENTS = [
    Measurement(0, 0.0, math.nan, math.nan, 2.4, 0.09, 1 / 11),
    Measurement(20_000, 32.125, 0.61234, 0.7321, 0.71, 0.6, 1 / 11),
]


def settings(**changes: Any) -> Any:
    values = {"pretrain": "wav2vec", "speech": FOLDER, "steps": 20_000, **changes}
    return parse_settings(CheckpointSettings, values, "net")


@pytest.mark.parametrize(
    ("changes", "speech", "expected"),
    [
        ({}, {}, "wav2vec pre-trained on 9.8 hours of speech, 20,000 steps"),
        ({}, {"hours": 1.5, "held_out_hours": 0.5}, "on 1.0 hours of speech, 20,000 steps"),
        ({}, {"hours": 0.3, "held_out_hours": 0.1}, "on 12 minutes of speech, 20,000 steps"),
        ({"pretrain": "wav2vec2"}, {}, "wav2vec2 pre-trained on 9.8 hours of speech, 20,000 steps"),
        (
            {"speech": {"reader": "demo_speech", "root": "results/speech"}},
            {},
            "wav2vec pre-trained on 9.8 hours of synthetic speech, 20,000 steps",
        ),
        ({"continue_from": "first"}, {}, "of speech, 20,000 steps, from first"),
        ({"continue_from": "/home/someone/w.pt"}, {}, "of speech, 20,000 steps, from w.pt"),
        ({"steps": 0, "continue_from": "~/weights/w.pt"}, None, "copy of w.pt"),
        ({"steps": 0, "seed": 7}, None, "untrained: random weights of seed 7"),
        ({"steps": 0, "speech": None}, None, "untrained: random weights of seed 1"),
    ],
)
def test_descriptions(
    changes: dict[str, Any], speech: dict[str, Any] | None, expected: str
) -> None:
    summary = None if speech is None else {**SUMMARY, **speech}
    description = weights_description(settings(**changes), summary)
    assert description.endswith(expected)
    assert "someone" not in description


def test_the_card_has_the_numbers_of_the_training() -> None:
    card = model_card("net", settings(), SUMMARY, MEASUREMENTS, {"torch": "2.13.0"})
    lines = card.splitlines()
    assert lines[:3] == [
        *("# net", "", "wav2vec pre-trained on 9.8 hours of speech, 20,000 steps."),
    ]
    for line in (
        "- recordings: 1234",
        "- hours: 10.26",
        "- of these held out, hours: 0.50",
        "- speakers: 17",
        f"- digest of the recordings: {'d' * 64}",
        "- steps: 20,000",
        "- speech that was trained on, with repetitions: 32.12 hours",
        "- loss, held-out loss: 0.6123, 0.7100",
        "- true frame ranks first, on held-out speech: 73.21%, 60.00% (by chance 9.09%)",
        "- torch: 2.13.0",
    ):
        assert line in lines, line
    assert "someone" not in card
    stated = json.loads(lines[lines.index("```json") + 1])
    assert parse_settings(CheckpointSettings, stated | {"speech": FOLDER}, "net") == settings()


def test_unknown_speakers_are_not_known() -> None:
    card = model_card("net", settings(), {**SUMMARY, "speakers": None}, MEASUREMENTS, {})
    assert "- speakers: not known" in card.splitlines()
    assert "None" not in card


def test_the_card_of_an_untrained_network_has_no_training() -> None:
    card = model_card("net", settings(steps=0), None, [], {"torch": "2.13.0"})
    assert "untrained: random weights of seed 1." in card
    assert "## Training" not in card
    assert "## Speech" not in card
    assert "## Settings" in card


def test_the_card_of_a_continued_training_names_the_first_weights() -> None:
    card = model_card("net", settings(continue_from="first"), SUMMARY, MEASUREMENTS, {})
    assert "20,000 steps, from first." in card
    assert '"continue_from":"first"' in card
