"""Builds the classifier that a configuration names."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # it imports torch, and every start of Snakemake reads this module
    from emoscale.models.contract import Classifier, InputShape

BUILT_IN = {
    "aligned_fusion": "emoscale.models.aligned_fusion:AlignedFusion",
    "convolutional": "emoscale.models.convolutional:Convolutional",
    "early_fusion": "emoscale.models.early_fusion:EarlyFusion",
    "estimator": "emoscale.models.estimator:Estimator",
    "late_fusion": "emoscale.models.late_fusion:LateFusion",
    "pooled": "emoscale.models.pooled:Pooled",
    "recurrent": "emoscale.models.recurrent:Recurrent",
    "waveform": "emoscale.models.waveform:WaveformNetwork",
}
"""Class of each kind; it is imported when it is used."""


FITTING = "emoscale.training.fitting"
"""Fits estimators and predicts with them; imported only for these."""


def sources_of(kind: str) -> list[str]:
    """Dotted names of the modules that a training of this kind imports besides all others'."""
    module = BUILT_IN[kind].partition(":")[0]
    return [module, FITTING] if kind == "estimator" else [module]


def build_model(settings: Any, inputs: Sequence[InputShape], classes: int) -> Classifier:
    """The classifier for checked settings (see `emoscale.config.models`)."""
    module, _, name = BUILT_IN[settings.kind].partition(":")
    model: Classifier = getattr(importlib.import_module(module), name)(settings, inputs, classes)
    return model
