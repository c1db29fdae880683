"""Loads pre-trained models of speech: from a folder, from the hub, or from a fairseq file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from emoscale.audio.decoding import SAMPLE_RATE
from emoscale.representations.fairseq_wav2vec2 import load_fairseq_wav2vec2
from emoscale.representations.torchaudio_guard import import_torchaudio
from emoscale.representations.transformers_models import (
    cannot_be_loaded,
    digest_of_model,
    load_network,
)
from emoscale.runtime.errors import CheckpointError

AUDIO_TYPES = ("wav2vec2", "hubert", "wavlm", "data2vec-audio", "whisper")
"""Types that are taken; XLS-R is wav2vec2."""

_ONLY_FOR_TRAINING = ("masked_spec_embed",)


@dataclass(frozen=True)
class AudioModel:
    """A pre-trained model of speech."""

    model: Any
    """In float32 and evaluation mode; of Whisper, its encoder."""

    prepare: Any
    """Its own feature extractor: what it wants of a waveform."""

    sha256: str
    """Digest of everything that decides its numbers."""


def load_audio_model(name: str) -> AudioModel:
    """A model from a folder, from the hub's local cache or the hub, or from a fairseq file.

    Raises `CheckpointError` where there is none, its type is not known here, it is damaged or lacks
    weights, or it wants another sample rate.
    """
    import_torchaudio()  # transformers imports it, and crashes beside a CPU torch without this
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()  # what it warns of is checked here
    if Path(name).is_file():
        converted = load_fairseq_wav2vec2(name)
        prepare = transformers.Wav2Vec2FeatureExtractor(do_normalize=converted.normalise)
        return AudioModel(converted.model, prepare, converted.sha256)
    try:
        config = transformers.AutoConfig.from_pretrained(name, trust_remote_code=False)
        if config.model_type not in AUDIO_TYPES:
            raise CheckpointError(
                f"{name} is a model of the type {config.model_type}; "
                f"transformers_audio takes {', '.join(AUDIO_TYPES)}"
            )
        prepare = transformers.AutoFeatureExtractor.from_pretrained(name, trust_remote_code=False)
    except CheckpointError:
        raise
    except Exception as error:  # of many kinds, and all of them mean the same
        raise cannot_be_loaded(name, "a speech", error) from error
    model = load_network(name, config, torch.float32, "a speech", _ONLY_FOR_TRAINING)
    if config.model_type == "whisper":
        model = model.encoder
    if prepare.sampling_rate != SAMPLE_RATE:
        raise CheckpointError(
            f"{name} wants {prepare.sampling_rate} Hz; representations are given {SAMPLE_RATE} Hz"
        )
    return AudioModel(model, prepare, digest_of_model(name))
