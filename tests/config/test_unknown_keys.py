"""Unknown and former keys of the configuration: the error names the right key and the line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from emoscale.config import parse_study
from emoscale.config.parsing import parse_settings
from emoscale.config.settings import Settings
from emoscale.runtime.errors import ConfigurationError

PROJECT = Path(__file__).resolve().parents[2]
DEMO = PROJECT / "config" / "demo.yaml"


def models(model: Any = Settings) -> Iterator[Any]:
    for subclass in model.__subclasses__():
        yield subclass
        yield from models(subclass)


FORMER_KEYS = {(model, former): new for model in models() for former, new in model.renamed.items()}


@pytest.mark.parametrize(("model", "former"), FORMER_KEYS)
def test_a_former_key_names_the_new_one(model: type[Settings], former: str) -> None:
    new = FORMER_KEYS[model, former]
    assert new.split()[0] in model.model_fields
    assert former not in model.model_fields
    with pytest.raises(ConfigurationError) as error:
        parse_settings(model, {former: 1}, "the configuration")
    assert f"unknown key {former}, which is now {new}" in str(error.value)


@pytest.mark.parametrize(
    ("text", "changed", "message"),
    [
        (
            "learning_rate:",
            "learning_rte:",
            "training: unknown key learning_rte; did you mean learn",
        ),
        ("num_heads: 4", "heads: 4", "models.aligned: unknown key heads, which is now num_heads"),
        ("folds: 5", "folds: five", "protocol.folds: Input should be a valid integer"),
        (
            "dropout: 0.4",
            "dropuot: 0.4",
            "models.aligned: unknown key dropuot; did you mean dropout",
        ),
    ],
)
def test_the_error_names_the_line(tmp_path: Path, text: str, changed: str, message: str) -> None:
    lines = DEMO.read_text(encoding="utf-8").splitlines()
    number = next(number for number, line in enumerate(lines) if text in line)
    lines[number] = lines[number].replace(text, changed)
    path = tmp_path / "study.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(ConfigurationError) as error:
        parse_study(yaml.safe_load(path.read_text()), [path])
    assert message in str(error.value)
    assert f"({path}, line {number + 1})" in str(error.value)


def test_a_key_that_only_the_command_line_has_has_no_line() -> None:
    config = yaml.safe_load(DEMO.read_text(encoding="utf-8"))
    with pytest.raises(ConfigurationError) as error:
        parse_study({**config, "sizs": [10]}, [DEMO])
    assert str(error.value) == "the configuration: unknown key sizs; did you mean sizes?"
