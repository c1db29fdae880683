"""What a finished training predicts, from its settings and its weights alone."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from emoscale.models.contract import InputShape
from emoscale.models.registry import FITTING, build_model
from emoscale.training.engine import probabilities_of
from emoscale.training.material import Material

Weights = dict[str, Tensor]
"""A model's state, or an estimator's arrays, on the CPU."""


def probabilities_from(
    model: Any,
    shapes: Sequence[InputShape],
    classes: int,
    weights: Weights,
    material: Material,
    places: Tensor,
    precision: str,
) -> NDArray[np.float64]:
    """Class probabilities [utterances, classes] of the material's utterances at `places`.

    `model` are the settings that the weights were trained with.
    """
    if model.kind == "estimator":
        # scikit-learn takes longer to import than most of these take to predict.
        fitting = importlib.import_module(FITTING)
        return fitting.predict(model, shapes, classes, weights, material, places)  # type: ignore[no-any-return]
    network = build_model(model, shapes, classes).to(material.device)
    network.load_state_dict(weights)
    return probabilities_of(network, material, places, precision)
