"""Versions of the packages that compute a representation."""

from __future__ import annotations

import importlib.metadata

import pytest

from emoscale.representations.registry import BUILT_IN, feature_versions


@pytest.mark.parametrize("kind", BUILT_IN)
def test_every_kind_has_the_packages_that_it_uses(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"1.0+{name}")
    versions = feature_versions(kind)
    assert ("soundfile" in versions) == (kind != "transformers_text")
    assert ("torch" in versions) == (kind not in ("opensmile", "waveform"))
    assert set(versions.values()) == {"1.0"}  # builds of a version count as the same


def test_the_package_of_an_external_kind_is_added() -> None:
    versions = feature_versions("h5py._hl.files:File")
    assert versions["h5py"] == importlib.metadata.version("h5py")
    assert set(feature_versions("no_package:Features")) < set(versions)
