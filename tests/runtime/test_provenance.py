from __future__ import annotations

import os
from pathlib import Path

import pytest

from emoscale.runtime.provenance import (
    canonical_json,
    code_digest,
    digest,
    package_versions,
)


def test_order_of_keys_does_not_count() -> None:
    assert canonical_json({"b": [1, {"d": 2, "c": 3}], "a": None}) == (
        '{"a":null,"b":[1,{"c":3,"d":2}]}'
    )
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_not_a_number_has_no_canonical_form() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


BASE = 'x = 1\n\n\ndef f(a):\n    """What it does."""\n    return a + x\n'


@pytest.mark.parametrize(
    "same",
    [
        BASE + "# a comment\n",
        BASE.replace("x = 1", "x = 1  # why"),
        BASE.replace("What it does.", "Said better."),
        '"""A docstring for the module."""\n' + BASE,
        BASE.replace("\n\n\n", "\n\n\n\n"),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(tmp_path: Path, same: str) -> None:
    one, other = tmp_path / "a" / "m.py", tmp_path / "b" / "m.py"
    for path, text in ((one, BASE), (other, same)):
        path.parent.mkdir()
        path.write_text(text)
    assert code_digest(one) == code_digest(other)


def test_a_changed_statement_counts(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text(BASE)
    before = code_digest(path)
    path.write_text(BASE.replace("a + x", "a - x"))
    os.utime(path, ns=(1, 1))
    assert code_digest(path) != before


def test_imported_modules_count(tmp_path: Path) -> None:
    plain, importing = tmp_path / "a" / "m.py", tmp_path / "b" / "m.py"
    plain.parent.mkdir()
    importing.parent.mkdir()
    plain.write_text("x = 1\n")
    importing.write_text("x = 1\n")
    assert code_digest(plain, "emoscale.audio.decoding") != code_digest(importing)
    importing.write_text("def f():\n    from emoscale.audio.decoding import SAMPLE_RATE\n")
    assert code_digest(importing) != code_digest(plain)


def test_extraction_does_not_depend_on_training_code(project: Path) -> None:
    from emoscale.runtime import provenance

    seen: set[str] = set()
    original = provenance._name_of

    def note(path: Path) -> str:
        seen.add(original(path))
        return original(path)

    provenance._name_of = note
    try:
        code_digest(project / "scripts" / "extract_features.py")
    finally:
        provenance._name_of = original
    assert "store/extraction.py" in seen
    assert not [name for name in seen if name.startswith(("training", "models", "protocol"))]


def test_versions_name_python_and_the_project() -> None:
    assert {"python", "emoscale", "numpy"} == set(package_versions(["numpy"]))
