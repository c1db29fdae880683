"""Loading of pre-trained speech models: a folder, a hub model or a fairseq checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from emoscale.audio.waveform import SAMPLE_RATE, Waveform
from emoscale.representations.fairseq_wav2vec2 import load_fairseq_wav2vec2
from emoscale.representations.torchaudio_guard import import_torchaudio
from emoscale.representations.transformers_models import (
    load_network,
    loading_error,
    model_digest,
)
from emoscale.runtime.errors import CheckpointError

WAVEFORM_TYPES = (
    "wav2vec2",
    "wav2vec2-conformer",
    "hubert",
    "wavlm",
    "unispeech",
    "unispeech-sat",
    "data2vec-audio",
)
"""Supported model types of transformers that read waveforms; XLS-R is wav2vec2."""

WHISPER_TYPES = ("whisper", "voxtral_encoder")
"""Those that read log-mel features of 30 seconds."""

LOG_MEL_TYPES = ("wav2vec2-bert", "parakeet_encoder", "qwen3_asr_encoder")
"""Those that read log-mel features of any length."""

_ENCODER_CONFIGS = {
    "canary": "encoder_config",
    "parakeet_ctc": "encoder_config",
    "parakeet_rnnt": "encoder_config",
    "parakeet_tdt": "encoder_config",
    "qwen3_asr": "audio_config",
    "voxtral": "audio_config",
}
"""Attribute with the configuration of the encoder, of model types of which only that is loaded."""

_ENCODER_WEIGHTS = {r"^(model\.)?(audio_tower|encoder)\.": ""}
"""Prefix of the encoder's weights in a file with the whole model, and its replacement."""

AUDIO_MODEL_TYPES = (*WAVEFORM_TYPES, *WHISPER_TYPES, *LOG_MEL_TYPES, *_ENCODER_CONFIGS)
"""All supported model types."""

_PRETRAINING_WEIGHTS = ("masked_spec_embed",)
"""Names of weights that only pre-training uses; published models often lack them."""


@dataclass(frozen=True)
class AudioModel:
    """A pre-trained speech model."""

    network: Any
    """The network in float32 and evaluation mode; of speech recognisers only the encoder."""

    feature_extractor: Any
    """The model's feature extractor of transformers, which prepares waveforms."""

    sha256: str
    """Digest of all files that affect the outputs."""

    @property
    def sample_rate(self) -> int:
        """Hz; sample rate that the feature extractor expects."""
        return int(self.feature_extractor.sampling_rate)

    def resample(self, waveform: Waveform) -> Waveform:
        """Resample a waveform to the model's sample rate.

        Parameters
        ----------
        waveform : ndarray
            ``[samples]`` at 16 kHz.

        Returns
        -------
        ndarray
            ``[samples]`` at `sample_rate`; without frequencies above 8 kHz if that is higher.
        """
        if self.sample_rate == SAMPLE_RATE:
            return waveform
        import soxr

        resampled: Waveform = soxr.resample(waveform, SAMPLE_RATE, self.sample_rate, quality="VHQ")
        return resampled


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
        If the model does not exist, has an unsupported type, is damaged, lacks weights or has the
        feature extractor of another model.
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
    encoder = _ENCODER_CONFIGS.get(config.model_type)
    network = load_network(
        name,
        getattr(config, encoder) if encoder else config,
        torch.float32,
        "a speech",
        _PRETRAINING_WEIGHTS,
        key_mapping=_ENCODER_WEIGHTS if encoder else None,
    )
    if config.model_type == "whisper":
        network = network.encoder
    if network.main_input_name not in feature_extractor.model_input_names:
        raise CheckpointError(
            f"{name} has the feature extractor {type(feature_extractor).__name__}, which does not "
            f"compute the {network.main_input_name} of the model; add the preprocessor_config.json "
            "that was published with it"
        )
    return AudioModel(network, feature_extractor, model_digest(name))
