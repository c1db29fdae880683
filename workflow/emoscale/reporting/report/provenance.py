"""The section that says where every number came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import polars as pl
import yaml

from emoscale.reporting.report.study import Study, StudyTable
from emoscale.reporting.report.views import Section, view_of

_ORIGIN = [
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
    """Digests of settings, code, features and folds; versions; the settings themselves."""
    runs = study.rows("runs")
    if runs is None:
        return Section(
            "provenance", "Where the numbers come from", absent="The table of trainings is missing."
        )
    meanings = study.tables["runs"].meanings
    origin = runs.select(name for name in _ORIGIN if name in runs.columns).unique(
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
        "Where the numbers come from",
        paragraphs=[
            "Digests (sha256) of everything that went into a training: equal digests mean equal "
            "settings, code, features and folds. A training is named by its experiment, fold, size "
            "and repeat; its files lie in runs/experiment/fold/size beside this page."
        ],
        facts=[
            ("Versions", _versions(runs)),
            ("Devices", ", ".join(runs["device"].unique(maintain_order=True))),
        ],
        tables=[
            view_of(StudyTable("origins", origin, meanings), "Origin of each experiment"),
            view_of(StudyTable("fold-digests", folds, meanings), "Folds"),
        ],
        listings=listings,
    )


def _versions(runs: pl.DataFrame) -> str:
    """Package versions; where trainings differ in one, all that were used."""
    found: dict[str, list[str]] = {}
    for versions in runs["versions"].unique(maintain_order=True):
        for name, version in json.loads(versions).items():
            known = found.setdefault(name, [])
            if version not in known:
                known.append(version)
    return ", ".join(f"{name} {' and '.join(found[name])}" for name in sorted(found))


def _yaml(value: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(dict(value), sort_keys=True, allow_unicode=True, width=100)
    return text
