"""How much of each layer a trained model takes, read from its weights."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from emoscale.store.index import FeatureStore

_SCORES = re.compile(r"^(?:parts\.(?P<part>\d+)\.)?layers\.(?P<input>\d+)\.scores$")


def layer_weights_of(
    weights: Mapping[str, Tensor], stores: Sequence[FeatureStore]
) -> list[dict[str, Any]]:
    """Of each layered input: its representation, its layers and their shares, which sum to 1."""
    found = []
    for name, scores in sorted(weights.items()):
        match = _SCORES.match(name)
        if match is None:
            continue
        store = stores[int(match["part"] or match["input"])]
        found.append(
            {
                "representation": store.name,
                "layers": list(store.layers),
                "weights": torch.softmax(scores.double(), dim=0).tolist(),
            }
        )
    return found
