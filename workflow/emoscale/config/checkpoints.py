"""Where pre-trained weights come from."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from emoscale.config.corpus import AudioChecks
from emoscale.config.settings import Name, Settings, UserPath

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class DownloadedFile(Settings):
    """A file at an address, downloaded once."""

    url: str = Field(pattern=r"^https?://\S+$")
    """Its address."""

    sha256: Digest | None = None
    """Digest that the file must have. null: the first download decides, and is held to after."""


class HubModel(Settings):
    """A model of the Hugging Face hub, downloaded once."""

    hub: str = Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")
    """Its name, such as facebook/wav2vec2-base."""

    revision: str = "main"
    """Commit, tag or branch; a commit is always the same model."""


class UntrainedModel(Settings):
    """A small model of a true architecture with random weights: for trying a study out.

    Its features are those of no pre-training; every table says so.
    """

    untrained: Literal["wav2vec", "vq_wav2vec", "wav2vec2", "bert"]
    """Which architecture."""

    seed: int = Field(default=1, ge=0, lt=2**63)
    """Of the weights."""


_KINDS = {"url": DownloadedFile, "hub": HubModel, "untrained": UntrainedModel}


def _which(value: Any) -> str | None:
    for key, kind in _KINDS.items():
        if isinstance(value, kind) or (isinstance(value, dict) and key in value):
            return key
    return None


CheckpointSettings = Annotated[
    Annotated[DownloadedFile, Tag("url")]
    | Annotated[HubModel, Tag("hub")]
    | Annotated[UntrainedModel, Tag("untrained")],
    Discriminator(
        _which,
        custom_error_type="no_source",
        custom_error_message="needs one of the keys url, hub and untrained",
    ),
]


class PredictionSettings(Settings):
    """Kept in a run's `run.json`, for `scripts/predict.py`; changes nothing in the training."""

    audio: AudioChecks = AudioChecks()
    """When a recording is fit to be used."""

    checkpoints: dict[Name, CheckpointSettings] = Field(default_factory=dict)
    """Where the weights come from that the run's representations name."""

    checkpoint_cache: UserPath = "~/.cache/emoscale"
    """Folder that they were downloaded to."""
