"""Settings of checkpoints: where pre-trained weights come from."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from emoscale.config.corpus import AudioChecks
from emoscale.config.pretraining import (
    PretrainingSettings,
    Wav2Vec2Pretraining,
    Wav2VecPretraining,
)
from emoscale.config.settings import Name, Settings, UserPath
from emoscale.runtime.provenance import canonical_json

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class DownloadedFile(Settings):
    """A file that is downloaded once."""

    url: str = Field(pattern=r"^https?://\S+$")
    """Address of the file."""

    sha256: Digest | None = None
    """sha256 of the file. null: that of the first download, which later ones must match."""


class HubModel(Settings):
    """A model of the Hugging Face hub that is downloaded once."""

    hub: str = Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")
    """Name of the model, such as facebook/wav2vec2-base."""

    revision: str = "main"
    """Commit, tag or branch; only a commit always names the same weights."""


class UntrainedModel(Settings):
    """A small model of the true architecture with random weights, for trying out a study.

    Every table marks its features as those of random weights.
    """

    untrained: Literal["wav2vec", "vq_wav2vec", "wav2vec2", "bert"]
    """Architecture."""

    seed: int = Field(default=1, ge=0, lt=2**63)
    """Seed of the weights."""


PretrainedCheckpoint = Annotated[
    Wav2VecPretraining | Wav2Vec2Pretraining, Field(discriminator="pretrain")
]
"""Settings of a checkpoint that the study pre-trains."""

_KINDS = {
    "url": DownloadedFile,
    "hub": HubModel,
    "untrained": UntrainedModel,
    "pretrain": PretrainingSettings,
}


def _which(value: Any) -> str | None:
    for key, kind in _KINDS.items():
        if isinstance(value, kind) or (isinstance(value, dict) and key in value):
            return key
    return None


_Fetched = (
    Annotated[DownloadedFile, Tag("url")]
    | Annotated[HubModel, Tag("hub")]
    | Annotated[UntrainedModel, Tag("untrained")]
)

FetchedCheckpoint = Annotated[_Fetched, Discriminator(_which)]
"""Settings of a checkpoint that is fetched to the cache."""

CheckpointSettings = Annotated[
    _Fetched | Annotated[PretrainedCheckpoint, Tag("pretrain")],
    Discriminator(
        _which,
        custom_error_type="no_source",
        custom_error_message="needs one of the keys url, hub, untrained and pretrain",
    ),
]


def source_of(settings: Any) -> str:
    """Return the settings that determine the weights: not their digest, nor how speech is read.

    Pre-training depends on the table of its speech, not on the settings that table is read with.

    Parameters
    ----------
    settings : CheckpointSettings
        Settings of a checkpoint.

    Returns
    -------
    str
        Canonical JSON.

    Examples
    --------
    >>> source_of(DownloadedFile(url="https://example.org/w.pt", sha256="0" * 64))
    '{"url":"https://example.org/w.pt"}'
    """
    return canonical_json(settings.model_dump(mode="json", exclude={"sha256", "speech"}))


class PredictionSettings(Settings):
    """Settings in `run.json` for predicting new recordings; no training depends on them."""

    audio: AudioChecks = AudioChecks()
    """Checks of each recording."""

    checkpoints: dict[Name, FetchedCheckpoint] = Field(default_factory=dict)
    """Fetched checkpoints that the representations of the run name."""

    pretrained: dict[Name, UserPath] = Field(default_factory=dict)
    """Paths of the checkpoints that the study pre-trained, relative to its folder, by the names
    that the representations use."""

    checkpoint_cache: UserPath = "~/.cache/emoscale"
    """Folder of downloaded checkpoints."""
