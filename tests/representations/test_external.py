"""A representation from outside the project, as docs/adding-a-representation.md says it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from emoscale.config.representations import ExternalSettings
from emoscale.provenance import code_digest
from emoscale.representations.registry import build_representation, sources_of

SETTINGS = ExternalSettings(kind="my_features:Energy", options={"floor": 0.001})


@pytest.fixture
def module(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The document's own example, as a file on the path."""
    text = (project / "docs" / "adding-a-representation.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(code.splitlines()) < 40
    (tmp_path / "my_features.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_features", raising=False)
    return tmp_path / "my_features.py"


def test_the_documents_example_works(module: Path) -> None:
    made = build_representation(SETTINGS)
    loud, silent = made.extract([np.full(1600, 0.5, np.float32), np.zeros(800, np.float32)])
    assert loud.shape == (10, 1)
    np.testing.assert_allclose(loud.astype(float), 20 * np.log10(0.5), atol=1e-5)
    np.testing.assert_allclose(silent.astype(float), -60.0, atol=1e-5)


def test_its_code_counts_and_its_comments_do_not(module: Path) -> None:
    assert sources_of(SETTINGS.kind) == [module]
    before = code_digest(*sources_of(SETTINGS.kind))
    text = "from . import other\n" + module.read_text()  # a package's own import is not followed
    for number, (new, same) in enumerate(
        [(module.read_text() + "# more\n", True), (text, False), (text.replace("20", "10"), False)]
    ):
        module.write_text(new)
        os.utime(module, ns=(number, number))
        assert (code_digest(*sources_of(SETTINGS.kind)) == before) == same


def test_one_that_is_not_there_has_no_code() -> None:
    assert sources_of("no.such.module:Class") == []
