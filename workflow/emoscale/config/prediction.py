"""What of a study is neither in its features nor in its models, and is needed to predict."""

from __future__ import annotations

from pydantic import Field

from emoscale.config.checkpoints import CheckpointSettings
from emoscale.config.corpus import AudioChecks
from emoscale.config.settings import Name, Place, Settings


class PredictionSettings(Settings):
    """Kept in a run's `run.json`, for `scripts/predict.py`; changes nothing in the training."""

    audio: AudioChecks = AudioChecks()
    """When a recording is fit to be used."""

    checkpoints: dict[Name, CheckpointSettings] = Field(default_factory=dict)
    """Where the weights come from that the run's representations name."""

    checkpoint_cache: Place = "~/.cache/emoscale"
    """Folder that they were downloaded to."""
