"""Paths of weights that a study names instead of checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest

from emoscale.config import parse_settings
from emoscale.config.local_weights import local_weights
from emoscale.config.representations import RepresentationSettings


def paths(settings: dict[str, object]) -> list[str]:
    parsed = parse_settings(RepresentationSettings, settings, "settings")
    return local_weights(parsed, ["listed"])


def test_values_that_are_not_listed_are_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    model = "~/bert_kmeans"
    assert paths({"kind": "code_roberta", "checkpoint": "listed", "model": model}) == [
        "/home/someone/bert_kmeans"
    ]
    assert paths({"kind": "mfcc"}) == []


def test_options_of_an_external_representation_may_be_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "model").mkdir()
    (tmp_path / "w.pt").touch()
    options = {"mode": "model", "files": ["w.pt", {"other": "~/w.pt"}], "folder": "./model", "n": 1}
    assert paths({"kind": "mine:Features", "options": {**options, "missing": "v.pt"}}) == [
        "w.pt",
        f"{tmp_path}/w.pt",
        "./model",
    ]
