from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

from emoscale.config.study import Study
from emoscale.running.causes import PLACES

_RULE = re.compile(r"^( *)rule (\w+):\n((?:\1    .*\n|\n)+)", flags=re.MULTILINE)
_PARAMETERS = re.compile(r"^params:\n((?:    .*\n)+)", flags=re.MULTILINE)
_NAME = re.compile(r"^    (\w+)=", flags=re.MULTILINE)


def parameters_of_rules(project: Path) -> dict[str, set[str]]:
    found = {}
    for path in (project / "workflow" / "rules").glob("*.smk"):
        for _, name, body in _RULE.findall(path.read_text() + "\n"):
            block = _PARAMETERS.search(dedent(body))
            found[name] = set(_NAME.findall(block[1])) if block else set()
    return found


def test_places_are_of_parameters_that_rules_have(project: Path) -> None:
    rules = parameters_of_rules(project)
    assert len(rules) > 20
    assert [place for place in PLACES if place[1] not in rules.get(place[0], ())] == []


def test_places_are_keys_of_a_study() -> None:
    keys = {place.partition(".")[0] for place in PLACES.values()} - {""}
    assert keys <= set(Study.model_fields)
