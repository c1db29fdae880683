"""Whether it is known when the tokens of a text are spoken."""

from __future__ import annotations

import numpy as np

from emoscale.runtime.errors import ConfigurationError
from emoscale.store.index import Features, FeatureStore


def share_without_times(features: Features) -> float | None:
    """Of the tokens, those whose word has no time; None for what is no text."""
    if features.seconds is None:
        return None
    return float(np.isnan(features.seconds).any(axis=1).mean())


def check_times(store: FeatureStore, share: float | None) -> None:
    """Raises `ConfigurationError` where attention cannot be confined to words, for want of times.

    Tokens without a time see all frames; where all do, the model would be another than it says.
    """
    if share is None or share == 1.0:
        raise ConfigurationError(
            f"{store.name}: no token has a time, since it is no text or the corpus has no word "
            "alignment, so attention cannot be confined to words; set confined to false"
        )
