"""From a name in the configuration to weights on this machine."""

from __future__ import annotations

from pathlib import Path

from emoscale.config.checkpoints import (
    CheckpointSettings,
    DownloadedFile,
    HubModel,
    UntrainedModel,
)
from emoscale.representations.weights.downloads import fetch_file, is_fetched
from emoscale.representations.weights.hub import fetch_hub_model, is_hub_model_there
from emoscale.representations.weights.origin import Origin, Weights
from emoscale.runtime.errors import CheckpointError


def fetch_checkpoint(
    name: str, settings: CheckpointSettings, cache: Path, offline: bool = False
) -> Origin:
    """Make sure that the weights of `checkpoints.<name>` are in `cache`, and say what they are.

    What is there already needs no network. Raises `CheckpointError`, with the name.
    """
    try:
        weights = _weights(settings, cache, offline)
    except CheckpointError as error:
        raise CheckpointError(f"checkpoints.{name}: {error}") from None
    return Origin(name, weights.path, weights.sha256, weights.phrase)


def is_in_cache(settings: CheckpointSettings, cache: Path) -> bool:
    """Whether `fetch_checkpoint` would write nothing to `cache`; looking writes nothing either."""
    match settings:
        case DownloadedFile():
            return is_fetched(settings, cache)
        case HubModel():
            return is_hub_model_there(settings, cache)
        case UntrainedModel():
            from emoscale.representations.weights.untrained import untrained_folder

            return untrained_folder(settings, cache).is_dir()


def _weights(settings: CheckpointSettings, cache: Path, offline: bool) -> Weights:
    match settings:
        case DownloadedFile():
            return fetch_file(settings, cache, offline)
        case HubModel():
            return fetch_hub_model(settings, cache, offline)
        case UntrainedModel():
            from emoscale.representations.weights.untrained import (
                make_untrained,  # torch, which others do without
            )

            return make_untrained(settings, cache)
