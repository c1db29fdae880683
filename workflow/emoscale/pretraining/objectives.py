"""The objectives of pre-training by name."""

from __future__ import annotations

import importlib
from typing import Any

OBJECTIVES = {
    "wav2vec": "emoscale.pretraining.checkpoint",
    "wav2vec2": "emoscale.pretraining.masked",
}
"""Module of each objective; it defines `build_network` and `write_model`."""


def objective_module(pretrain: str) -> Any:
    """Import the module of an objective.

    Parameters
    ----------
    pretrain : str
        Key of `OBJECTIVES`.

    Returns
    -------
    module
        The module.
    """
    return importlib.import_module(OBJECTIVES[pretrain])
