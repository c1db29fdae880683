"""Builds the classifier that a configuration names."""

from __future__ import annotations

import importlib
from typing import Any

from emoscale.models.contract import Classifier

BUILT_IN = {
    "pooled": "emoscale.models.pooled:Pooled",
    "waveform": "emoscale.models.waveform:WaveformNetwork",
}
"""Class of each kind; it is imported when it is used."""


def module_of(kind: str) -> str:
    """Dotted name of the module that holds this kind."""
    return BUILT_IN[kind].partition(":")[0]


def build_model(settings: Any, dimension: int, classes: int) -> Classifier:
    """The classifier for checked settings (see `emoscale.config.training`)."""
    module, _, name = BUILT_IN[settings.kind].partition(":")
    model: Classifier = getattr(importlib.import_module(module), name)(settings, dimension, classes)
    return model
