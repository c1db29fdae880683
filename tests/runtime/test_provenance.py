"""Digests of values and of code, and versions of packages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from emoscale.runtime.provenance import (
    canonical_json,
    code_digest,
    digest,
    package_versions,
    source_digests,
)


def test_order_of_keys_is_irrelevant() -> None:
    assert canonical_json({"b": [1, {"d": 2, "c": 3}], "a": None}) == (
        '{"a":null,"b":[1,{"c":3,"d":2}]}'
    )
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_nan_has_no_canonical_json() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


BASE = 'x = 1\n\n\ndef f(a):\n    """Return a sum."""\n    return a + x\n'


@pytest.mark.parametrize(
    "equivalent",
    [
        BASE + "# a comment\n",
        BASE.replace("x = 1", "x = 1  # why"),
        BASE.replace("Return a sum.", "Return the sum."),
        '"""A docstring for the module."""\n' + BASE,
        BASE.replace("\n\n\n", "\n\n\n\n"),
    ],
)
def test_comments_docstrings_and_formatting_are_irrelevant(tmp_path: Path, equivalent: str) -> None:
    original, changed = tmp_path / "a" / "m.py", tmp_path / "b" / "m.py"
    for path, text in ((original, BASE), (changed, equivalent)):
        path.parent.mkdir()
        path.write_text(text)
    assert code_digest(original) == code_digest(changed)


def test_changed_statement_changes_the_digest(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text(BASE)
    before = code_digest(path)
    path.write_text(BASE.replace("a + x", "a - x"))
    os.utime(path, ns=(1, 1))
    assert code_digest(path) != before


def test_imported_modules_are_part_of_the_digest(tmp_path: Path) -> None:
    standalone, importing = tmp_path / "a" / "m.py", tmp_path / "b" / "m.py"
    standalone.parent.mkdir()
    importing.parent.mkdir()
    standalone.write_text("x = 1\n")
    importing.write_text("x = 1\n")
    assert code_digest(standalone, "emoscale.audio.decoding") != code_digest(importing)
    importing.write_text("def f():\n    from emoscale.audio.decoding import SAMPLE_RATE\n")
    assert code_digest(importing) != code_digest(standalone)


def test_extraction_is_independent_of_training_code(project: Path) -> None:
    names = source_digests(project / "scripts" / "extract_features.py")
    assert "store/extraction.py" in names
    assert not [name for name in names if name.startswith(("training", "models", "protocol"))]


def test_versions_include_python_and_the_project() -> None:
    assert {"python", "emoscale", "numpy"} == set(package_versions(["numpy"]))
