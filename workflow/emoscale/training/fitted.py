"""What a finished training predicts, from its settings and its weights alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emoscale.models.contract import InputShape
from emoscale.models.estimator import Estimator, utterance_vectors
from emoscale.models.registry import build_model
from emoscale.training.engine import probabilities_of
from emoscale.training.material import Material

_UTTERANCES_AT_ONCE = 64

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
        arrays = {name: value.numpy() for name, value in weights.items()}
        state = {"settings": model.model_dump(mode="json"), "classes": classes}
        estimator = Estimator.from_state(arrays, state)
        statistics = len(arrays["mean"]) == 2 * shapes[0].dimension
        vectors = vectors_of(material, places, statistics)
        return estimator.probabilities(vectors)
    network = build_model(model, shapes, classes).to(material.device)
    network.load_state_dict(weights)
    return probabilities_of(network, material, places, precision)


def vectors_of(material: Material, places: Tensor, statistics: bool) -> NDArray[np.float64]:
    """[utterances, dimension (twice with `statistics`)] for an estimator."""
    if not len(places):
        return np.empty((0, 0))
    return np.concatenate(
        [
            utterance_vectors(material.batch(part)[0], statistics)
            for part in torch.split(places, _UTTERANCES_AT_ONCE)
        ]
    )
