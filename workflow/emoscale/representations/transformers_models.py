"""Loads pre-trained models through transformers, and refuses what would not be the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoscale.audio import SAMPLE_RATE
from emoscale.errors import CheckpointError
from emoscale.provenance import digest, file_sha256
from emoscale.representations.fairseq_wav2vec2 import load_fairseq_wav2vec2
from emoscale.torchaudio_guard import import_torchaudio

AUDIO_TYPES = ("wav2vec2", "hubert", "wavlm", "data2vec-audio", "whisper")
"""Types that are taken; XLS-R is wav2vec2."""

_ONLY_FOR_TRAINING = "masked_spec_embed"
_FILES = ("*.json", "*.txt", "*.model", "*.safetensors", "*.bin")


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

    Raises `CheckpointError` where there is none, its type is not known here, weights are missing
    (transformers fills them in with random numbers; that must not become a result), or it wants
    another sample rate.
    """
    import_torchaudio()  # transformers imports it, and crashes beside a CPU torch without this
    import transformers

    transformers.utils.logging.disable_progress_bar()
    if Path(name).is_file():
        converted = load_fairseq_wav2vec2(name)
        prepare = transformers.Wav2Vec2FeatureExtractor(do_normalize=converted.normalise)
        return AudioModel(converted.model, prepare, converted.sha256)
    try:
        config = transformers.AutoConfig.from_pretrained(name)
        if config.model_type not in AUDIO_TYPES:
            raise CheckpointError(
                f"{name} is a model of the type {config.model_type}; "
                f"transformers_audio takes {', '.join(AUDIO_TYPES)}"
            )
        prepare = transformers.AutoFeatureExtractor.from_pretrained(name)
        model, report = transformers.AutoModel.from_pretrained(
            name, config=config, dtype="float32", output_loading_info=True
        )
    except (OSError, ValueError, KeyError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f"{name} cannot be loaded as a model: {first}; name a folder with config.json, "
            "preprocessor_config.json and weights, or a model that is in the local cache"
        ) from None
    if config.model_type == "whisper":
        model = model.encoder
    missing = sorted(key for key in report["missing_keys"] if _ONLY_FOR_TRAINING not in key)
    if missing:
        raise CheckpointError(
            f"{name} lacks weights of its model: {missing[0]} and {len(missing) - 1} others; "
            "it is incomplete or of another architecture"
        )
    if prepare.sampling_rate != SAMPLE_RATE:
        raise CheckpointError(
            f"{name} wants {prepare.sampling_rate} Hz; representations are given {SAMPLE_RATE} Hz"
        )
    return AudioModel(model.eval(), prepare, digest_of_model(name))


def digest_of_model(name: str) -> str:
    """Digest of everything in a model's folder (or the hub's local cache) that decides numbers."""
    from transformers.utils.hub import cached_file

    folder = Path(name)
    if not folder.is_dir():
        folder = Path(str(cached_file(name, "config.json"))).parent
    files = sorted({path for pattern in _FILES for path in folder.glob(pattern)})
    return digest({path.name: file_sha256(path) for path in files})
