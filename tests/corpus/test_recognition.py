"""The published corpus that a folder is a copy of."""

from __future__ import annotations

from pathlib import Path

import pytest

from emoscale.corpus.recognition import matching_releases
from tests.corpus.releases.trees import TREES


@pytest.mark.parametrize("reader", TREES)
def test_each_copy_is_recognised(tmp_path: Path, reader: str) -> None:
    TREES[reader](tmp_path / "copy", every=50)
    for root in (tmp_path, tmp_path / "copy"):
        first, *others = matching_releases(root)
        assert (first.settings.reader, first.is_copy) == (reader, True)
        assert not others
