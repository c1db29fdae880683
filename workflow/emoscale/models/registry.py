"""Registry of the classifiers: maps the kind in a configuration to its class."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # imports torch, and Snakemake reads this module at every start
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
"""Module and class of each kind; the module is imported when it is needed."""


FITTING = "emoscale.training.fitting"
"""Module that fits estimators and predicts with them; imported only for these."""


def sources_of(*models: Any) -> list[str]:
    """Return the modules that only trainings of these models import.

    Parameters
    ----------
    *models : ModelSettings
        Settings of models, such as those of all trials of a search.

    Returns
    -------
    list of str
        Dotted module names, each once; of a late fusion, also those of its branches.
    """
    sources: dict[str, None] = {}
    for model in models:
        sources[BUILT_IN[model.kind].partition(":")[0]] = None
        if model.kind == "estimator":
            sources[FITTING] = None
        sources |= dict.fromkeys(sources_of(*getattr(model, "branches", ())))
    return list(sources)


def build_model(settings: Any, input_shapes: Sequence[InputShape], num_classes: int) -> Classifier:
    """Build the classifier of checked settings.

    Parameters
    ----------
    settings : ModelSettings
        Settings of the model, see `emoscale.config.models`.
    input_shapes : sequence of InputShape
        Shape of each input.
    num_classes : int
        Number of classes.

    Returns
    -------
    Classifier
        The network, with random weights.
    """
    module, _, name = BUILT_IN[settings.kind].partition(":")
    model_class = getattr(importlib.import_module(module), name)
    model: Classifier = model_class(settings, input_shapes, num_classes)
    return model
