"""wav2vec 2.0 and related models of waveforms through transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from emoscale.representations.audio_models import (
    LOG_MEL_TYPES,
    WHISPER_TYPES,
    AudioModel,
    load_audio_model,
)
from emoscale.representations.chunking import half_overlapping_chunks
from emoscale.representations.contract import UtteranceFeatures, Waveform
from emoscale.representations.layers import select_layers
from emoscale.representations.log_mel_encoder import LogMelEncoder
from emoscale.representations.transfer import padded_waveforms, stored_arrays
from emoscale.representations.wav2vec_model import GroupNorm
from emoscale.representations.whisper import WhisperEncoder
from emoscale.runtime.errors import AudioError

if TYPE_CHECKING:
    from emoscale.config.representations import TransformersAudioSettings

BATCH_INVARIANT_TYPES = ("wav2vec2", "hubert", "wavlm", "unispeech", "unispeech-sat")
"""Model types whose features do not depend on padding, with masks. Convolutions of data2vec and of
the conformer read beyond the end of an utterance, so their utterances are computed one by one."""

GPU_BATCH_SECONDS = 80.0
"""Audio per batch on a GPU, including padding."""


class TransformersAudio:
    """Hidden states of wav2vec 2.0 and related models.

    On a CPU utterances are computed one by one, without padding. On a GPU, utterances of similar
    length are batched if the model type allows it; normalisation over time and attention mask the
    padding.

    Parameters
    ----------
    settings : TransformersAudioSettings
        Settings of the representation.
    loaded : AudioModel
        The pre-trained model.
    """

    modality: Literal["audio", "text"] = "audio"
    batch_seconds = 0.0

    def __init__(self, settings: TransformersAudioSettings, loaded: AudioModel) -> None:
        config = loaded.network.config
        self._model = loaded
        # torch's counter of operations fails at normalised weights that require a gradient.
        self._network = loaded.network.requires_grad_(False)
        self._network.adapter = None  # it follows the hidden states
        self._model_type = str(config.model_type)
        self._selection = select_layers(settings.layer, config.num_hidden_layers, settings.model)
        # Layers after the last selected hidden state need not be computed.
        last = max(1, self._selection.indices[-1])
        self._network.encoder.layers = self._network.encoder.layers[:last]
        self._norm = _mask_group_norm(self._network)
        self._precision: torch.dtype = getattr(torch, settings.precision)
        self._storage_dtype: torch.dtype = getattr(torch, settings.storage_dtype)
        self.dtype: str = settings.storage_dtype
        self._device = torch.device("cpu")
        self._convolutions = tuple(zip(config.conv_kernel, config.conv_stride, strict=True))
        self._hop = int(np.prod(config.conv_stride))
        self._max_frames = round(settings.chunk_seconds * loaded.sample_rate) // self._hop
        self.layers = self._selection.stored_layers
        self.dimension: int = config.hidden_size
        self.frame_rate: float | None = loaded.sample_rate / self._hop
        self.checkpoint_sha256 = loaded.sha256

    def to(self, device: str) -> None:
        """Move the network to a device.

        Parameters
        ----------
        device : str
            ``cpu`` or ``cuda``.
        """
        self._device = torch.device(device)
        self._network.to(self._device, self._precision)
        if device == "cuda" and self._model_type in BATCH_INVARIANT_TYPES:
            self.batch_seconds = GPU_BATCH_SECONDS

    @torch.inference_mode()
    def extract(self, batch: Sequence[Waveform]) -> list[UtteranceFeatures]:
        """Compute the hidden states of each waveform.

        Parameters
        ----------
        batch : sequence of ndarray
            Waveforms ``[samples]``.

        Returns
        -------
        list of UtteranceFeatures
            ``[frames, dimension]`` or ``[layers, frames, dimension]`` of each waveform.

        Raises
        ------
        AudioError
            If a waveform is shorter than one frame.
        """
        prepared = [self._prepare(self._model.resample(waveform)) for waveform in batch]
        frame_counts = [self._frame_count(waveform) for waveform in prepared]
        if len(batch) > 1 and max(frame_counts) <= self._max_frames:
            states = self._hidden_states(prepared)
            return self._features(
                [states[:, index, :count] for index, count in enumerate(frame_counts)]
            )
        return [
            self._extract_single(waveform, count)
            for waveform, count in zip(prepared, frame_counts, strict=True)
        ]

    def _extract_single(self, waveform: torch.Tensor, frame_count: int) -> UtteranceFeatures:
        """Compute one prepared waveform ``[samples]``, in chunks if it is long."""
        chunks = half_overlapping_chunks(frame_count, self._max_frames)
        if len(chunks) == 1:
            return self._features([self._hidden_states([waveform])[:, 0]])[0]
        # In the stored type and in place: all layers of ten minutes take a gigabyte.
        shape = (len(self._selection.indices), frame_count, self.dimension)
        frames = torch.empty(shape, dtype=self._storage_dtype)
        for chunk in chunks:
            samples = waveform[chunk.start * self._hop : self._sample_count(chunk.stop)]
            states = self._hidden_states([samples])[:, 0]
            central = states[:, chunk.first - chunk.start : chunk.last - chunk.start]
            frames[:, chunk.first : chunk.last] = central.to(self._storage_dtype)
        return self._features([frames], len(chunks))[0]

    def _hidden_states(self, waveforms: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return ``[layers, batch, frames, dimension]`` of prepared waveforms ``[samples]``."""
        lengths = [len(waveform) for waveform in waveforms]
        values = padded_waveforms(waveforms, self._device).to(self._precision)
        mask = None
        if min(lengths) < max(lengths):
            samples = torch.tensor(lengths, device=self._device)
            mask = (torch.arange(max(lengths), device=self._device) < samples[:, None]).long()
            self._set_norm_lengths(samples)
        output = self._network(values, attention_mask=mask, output_hidden_states=True)
        self._set_norm_lengths(None)
        states: torch.Tensor = self._selection.stack(output)
        return states

    def _set_norm_lengths(self, samples: torch.Tensor | None) -> None:
        if self._norm is not None:
            self._norm.samples = samples

    def _prepare(self, waveform: Waveform) -> torch.Tensor:
        """Return ``[samples]``, normalised if the model was trained on normalised waveforms."""
        prepared = self._model.feature_extractor(
            waveform, sampling_rate=self._model.sample_rate, return_tensors="pt"
        )
        values: torch.Tensor = prepared.input_values[0]
        return values

    def _features(self, states: Sequence[torch.Tensor], chunks: int = 1) -> list[UtteranceFeatures]:
        """Convert hidden states ``[layers, frames, dimension]`` of utterances."""
        arrays = stored_arrays(states, self._storage_dtype)
        return [
            UtteranceFeatures(array[0] if self._selection.single else array, chunks=chunks)
            for array in arrays
        ]

    def _frame_count(self, waveform: torch.Tensor) -> int:
        count = len(waveform)
        for kernel, stride in self._convolutions:
            count = (count - kernel) // stride + 1 if count >= kernel else 0
        if not count:
            raise AudioError(
                "too short",
                f"{len(waveform)} samples are fewer than the {self._sample_count(1)} of one frame",
            )
        return count

    def _sample_count(self, frame_count: int) -> int:
        """Return the number of samples that frames are computed from."""
        for kernel, stride in reversed(self._convolutions):
            frame_count = (frame_count - 1) * stride + kernel
        return int(frame_count)


class _MaskedGroupNorm(torch.nn.Module):
    """Group norm over time that masks the padding if the lengths are set."""

    def __init__(self, plain: torch.nn.GroupNorm, kernel: int, stride: int) -> None:
        super().__init__()
        self._plain = plain
        self._masked = GroupNorm(plain.num_channels, affine=True, groups=plain.num_groups)
        self._masked.load_state_dict(plain.state_dict())
        self._masked.eps = plain.eps
        self._kernel, self._stride = kernel, stride
        self.samples: torch.Tensor | None = None
        """``[batch]``, samples of each waveform without padding; None: no padding."""

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Normalise frames ``[batch, channels, frames]``."""
        if self.samples is None:
            plain: torch.Tensor = self._plain(frames)
            return plain
        lengths = (self.samples - self._kernel) // self._stride + 1
        masked: torch.Tensor = self._masked(frames, lengths)
        return masked


def _mask_group_norm(network: Any) -> _MaskedGroupNorm | None:
    """Replace the first convolution's group norm by a masked one; return None without one."""
    first = network.feature_extractor.conv_layers[0]
    norm = getattr(first, "layer_norm", None)
    if not isinstance(norm, torch.nn.GroupNorm):
        return None
    masked = _MaskedGroupNorm(norm, network.config.conv_kernel[0], network.config.conv_stride[0])
    first.layer_norm = masked.eval()
    return masked


def build_transformers_audio(
    settings: TransformersAudioSettings,
) -> TransformersAudio | WhisperEncoder | LogMelEncoder:
    """Build the representation for a model's type.

    Parameters
    ----------
    settings : TransformersAudioSettings
        Settings of the representation.

    Returns
    -------
    TransformersAudio, WhisperEncoder or LogMelEncoder
        The representation.

    Raises
    ------
    CheckpointError
        If the model cannot be loaded or its type is not supported.
    """
    loaded = load_audio_model(settings.model)
    model_type = loaded.network.config.model_type
    if model_type in LOG_MEL_TYPES:
        return LogMelEncoder(settings, loaded)
    if model_type in WHISPER_TYPES:
        return WhisperEncoder(settings, loaded)
    return TransformersAudio(settings, loaded)
