"""Loading of pre-trained speech models: a folder, a hub model or a fairseq checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from emoscale.audio.decoding import SAMPLE_RATE
from emoscale.representations.fairseq_wav2vec2 import load_fairseq_wav2vec2
from emoscale.representations.torchaudio_guard import import_torchaudio
from emoscale.representations.transformers_models import (
    load_network,
    loading_error,
    model_digest,
)
from emoscale.runtime.errors import CheckpointError

AUDIO_MODEL_TYPES = ("wav2vec2", "hubert", "wavlm", "data2vec-audio", "whisper")
"""Supported model types of transformers; XLS-R is wav2vec2."""

_PRETRAINING_WEIGHTS = ("masked_spec_embed",)
"""Names of weights that only pre-training uses; published models often lack them."""


@dataclass(frozen=True)
class AudioModel:
    """A pre-trained speech model."""

    network: Any
    """The network in float32 and evaluation mode; only the encoder of Whisper."""

    feature_extractor: Any
    """The model's feature extractor of transformers, which prepares waveforms."""

    sha256: str
    """Digest of all files that affect the outputs."""


def load_audio_model(name: str) -> AudioModel:
    """Load a pre-trained speech model.

    Parameters
    ----------
    name : str
        Folder of a model, name of a hub model (the local cache is used first), or path of a fairseq
        checkpoint.

    Returns
    -------
    AudioModel
        The loaded model.

    Raises
    ------
    CheckpointError
        If the model does not exist, has an unsupported type, is damaged, lacks weights or expects
        another sample rate.
    """
    import_torchaudio()  # transformers imports it and would fail beside a CPU build of torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()  # the causes of its warnings are checked below
    if Path(name).is_file():
        converted = load_fairseq_wav2vec2(name)
        feature_extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=converted.normalise)
        return AudioModel(converted.model, feature_extractor, converted.sha256)
    try:
        config = transformers.AutoConfig.from_pretrained(name, trust_remote_code=False)
        if config.model_type not in AUDIO_MODEL_TYPES:
            raise CheckpointError(
                f"{name} is a model of the type {config.model_type}; "
                f"transformers_audio supports {', '.join(AUDIO_MODEL_TYPES)}"
            )
        feature_extractor = transformers.AutoFeatureExtractor.from_pretrained(
            name, trust_remote_code=False
        )
    except CheckpointError:
        raise
    except Exception as error:  # transformers raises many types for a model that cannot be loaded
        raise loading_error(name, "a speech", error) from error
    network = load_network(name, config, torch.float32, "a speech", _PRETRAINING_WEIGHTS)
    if config.model_type == "whisper":
        network = network.encoder
    if feature_extractor.sampling_rate != SAMPLE_RATE:
        raise CheckpointError(
            f"{name} expects audio at {feature_extractor.sampling_rate} Hz; representations are "
            f"computed from {SAMPLE_RATE} Hz"
        )
    return AudioModel(network, feature_extractor, model_digest(name))
