"""wav2vec 2.0 and its family (HuBERT, WavLM, data2vec, XLS-R) through transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from emoscale.audio import SAMPLE_RATE
from emoscale.config.representations import TransformersAudioSettings
from emoscale.errors import AudioError, CheckpointError
from emoscale.provenance import digest, file_sha256
from emoscale.representations.contract import Waveform
from emoscale.torchaudio_guard import import_torchaudio

FAMILY = ("wav2vec2", "hubert", "wavlm", "data2vec-audio")
"""Model types whose input is the waveform and whose frames are 20 ms apart; XLS-R is wav2vec2."""

_WEIGHTS = ("*.safetensors", "*.bin")
_ONLY_FOR_TRAINING = "masked_spec_embed"


class TransformersAudio:
    """One hidden state of a model, in float16.

    Utterances are computed one by one. Padding would change them: models with group norm average
    over the padding too, and an attention mask does not undo that.
    """

    modality: Literal["audio", "text"] = "audio"
    dtype = "float16"

    def __init__(self, settings: TransformersAudioSettings) -> None:
        import_torchaudio()  # transformers imports it, and crashes beside a CPU torch without this
        import transformers

        transformers.utils.logging.disable_progress_bar()
        name = settings.model
        try:
            config = transformers.AutoConfig.from_pretrained(name)
            if config.model_type not in FAMILY:
                raise CheckpointError(
                    f"{name} is a model of the type {config.model_type}; "
                    f"transformers_audio takes {', '.join(FAMILY)}"
                )
            self._prepare = transformers.AutoFeatureExtractor.from_pretrained(name)
            model, report = transformers.AutoModel.from_pretrained(
                name, config=config, output_loading_info=True
            )
        except (OSError, ValueError, KeyError) as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise CheckpointError(
                f"{name} cannot be loaded as a model: {first}; name a folder with config.json, "
                "preprocessor_config.json and weights, or a model that is in the local cache"
            ) from None
        _check_weights(name, report)
        _check_rate(name, self._prepare.sampling_rate)
        self._layer = _layer_index(settings, config.num_hidden_layers)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = model.eval().to(self._device)
        self._minimum_samples = _minimum_samples(config)
        self.dimension: int = config.hidden_size
        self.frame_rate: float | None = SAMPLE_RATE / float(np.prod(config.conv_stride))
        self.checkpoint_sha256 = _digest_of(name)

    @torch.inference_mode()
    def extract(self, batch: Sequence[Waveform]) -> list[NDArray[np.generic]]:
        """Frames [T_i, dimension] of each waveform; raises `AudioError` where one has none."""
        return [self._frames(waveform).cpu().numpy().astype(self.dtype) for waveform in batch]

    def _frames(self, waveform: Waveform) -> torch.Tensor:
        """[T, dimension], float32."""
        if len(waveform) < self._minimum_samples:
            raise AudioError(
                "too short",
                f"{len(waveform)} samples are fewer than the {self._minimum_samples} of one frame",
            )
        prepared = self._prepare(waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        values = prepared.input_values.to(self._device)
        states = self._model(values, output_hidden_states=True).hidden_states
        frames: torch.Tensor = states[self._layer][0]
        return frames


def _check_weights(name: str, report: dict[str, Any]) -> None:
    """transformers fills in what is missing with random numbers; that must not become a result."""
    missing = sorted(key for key in report["missing_keys"] if _ONLY_FOR_TRAINING not in key)
    if missing:
        raise CheckpointError(
            f"{name} lacks weights of its model: {missing[0]} and {len(missing) - 1} others; "
            "it is incomplete or of another architecture"
        )


def _check_rate(name: str, rate: int) -> None:
    if rate != SAMPLE_RATE:
        raise CheckpointError(f"{name} wants {rate} Hz; representations are given {SAMPLE_RATE} Hz")


def _layer_index(settings: TransformersAudioSettings, layers: int) -> int:
    if not -layers - 1 <= settings.layer <= layers:
        raise CheckpointError(
            f"{settings.model} has the hidden states 0 to {layers}; layer {settings.layer} is none"
        )
    return settings.layer


def _minimum_samples(config: Any) -> int:
    samples = 1
    for kernel, stride in zip(
        reversed(config.conv_kernel), reversed(config.conv_stride), strict=True
    ):
        samples = (samples - 1) * stride + kernel
    return samples


def _digest_of(name: str) -> str:
    """Digest of everything in the model's folder that decides its numbers."""
    from transformers.utils.hub import cached_file

    folder = Path(name)
    if not folder.is_dir():
        folder = Path(str(cached_file(name, "config.json"))).parent
    patterns = ("config.json", "preprocessor_config.json", *_WEIGHTS)
    files = sorted(path for pattern in patterns for path in folder.glob(pattern))
    return digest({path.name: file_sha256(path) for path in files})
