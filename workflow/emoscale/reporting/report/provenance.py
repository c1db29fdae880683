"""The section on provenance: digests, versions and settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import polars as pl
import yaml

from emoscale.reporting.report.study import Study, StudyTable
from emoscale.reporting.report.views import Section, table_view

_TITLE = "Provenance"
_SOURCES = [
    "experiment",
    "representations",
    "pretrained_weights",
    "model",
    "settings_sha256",
    "code_sha256",
    "features_sha256",
    "corpus_sha256",
    "checkpoint_sha256",
]


def provenance_section(study: Study) -> Section:
    """Return the section with digests of settings, code, features and folds, and versions.

    Parameters
    ----------
    study : Study
        The study.

    Returns
    -------
    Section
        The section.
    """
    runs = study.rows("runs")
    if runs is None:
        return Section("provenance", _TITLE, absent="The table of trainings is missing.")
    meanings = study.tables["runs"].meanings
    sources = runs.select(name for name in _SOURCES if name in runs.columns).unique(
        maintain_order=True
    )
    folds = runs.select("fold", "protocol_sha256").unique(maintain_order=True)
    listings = [(f"Study: {name}", _yaml(value)) for name, value in study.settings.items()]
    for experiment, settings in (
        runs.select("experiment", "settings").unique(maintain_order=True).iter_rows()
    ):
        listings.append((f"Experiment: {experiment}", _yaml(json.loads(settings))))
    return Section(
        "provenance",
        _TITLE,
        paragraphs=[
            "Digests (SHA-256) of all inputs of a training: equal digests mean equal settings, "
            "code, features and folds. The files of a training are next to this page, in the "
            "folder runs/experiment/fold/size."
        ],
        facts=[
            ("Versions", _versions(runs)),
            ("Devices", ", ".join(runs["device"].unique(maintain_order=True))),
        ],
        tables=[
            table_view(StudyTable("sources", sources, meanings), "Sources of each experiment"),
            table_view(StudyTable("fold-digests", folds, meanings), "Folds"),
        ],
        listings=listings,
    )


def _versions(runs: pl.DataFrame) -> str:
    """Return the package versions; if trainings differ in one, all that were used."""
    versions_of_package: dict[str, list[str]] = {}
    for packages in runs["versions"].unique(maintain_order=True):
        for name, version in json.loads(packages).items():
            versions = versions_of_package.setdefault(name, [])
            if version not in versions:
                versions.append(version)
    return ", ".join(
        f"{name} {' and '.join(versions_of_package[name])}" for name in sorted(versions_of_package)
    )


def _yaml(value: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(dict(value), sort_keys=True, allow_unicode=True, width=100)
    return text
