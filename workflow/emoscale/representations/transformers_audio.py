"""wav2vec 2.0 and its family (HuBERT, WavLM, data2vec, XLS-R, Whisper) through transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from emoscale.audio.decoding import SAMPLE_RATE
from emoscale.config.representations import TransformersAudioSettings
from emoscale.representations.audio_models import AudioModel, load_audio_model
from emoscale.representations.contract import Extracted, Waveform
from emoscale.representations.layers import choose_layers
from emoscale.representations.wav2vec_model import GroupNorm
from emoscale.representations.whisper import WhisperEncoder
from emoscale.representations.windows import half_overlapping_windows
from emoscale.runtime.errors import AudioError

EXACT_IN_BATCHES = ("wav2vec2", "hubert", "wavlm")
"""Model types that give an utterance what it gets alone, where masks leave out the padding.
data2vec's positional convolutions see beyond an utterance's end, so its utterances stay alone."""

GPU_BATCH_SECONDS = 80.0
"""Audio in a batch on a GPU, padding included."""


class TransformersAudio:
    """Hidden states.

    On a CPU utterances are computed one by one, unpadded. On a GPU, utterances of similar length go
    together where the type allows it; norms over time and attention leave the padding out.
    """

    modality: Literal["audio", "text"] = "audio"
    batch_seconds = 0.0

    def __init__(self, settings: TransformersAudioSettings, loaded: AudioModel) -> None:
        config = loaded.model.config
        self._prepare = loaded.prepare
        self._model = loaded.model
        self._model.adapter = None  # comes after the hidden states
        self._type = str(config.model_type)
        self._chosen = choose_layers(settings.layer, config.num_hidden_layers, settings.model)
        # What lies above the highest state that is asked for need not be computed.
        self._model.encoder.layers = self._model.encoder.layers[: max(1, self._chosen.numbers[-1])]
        self._norm = _masked_group_norm(self._model)
        self._precision: torch.dtype = getattr(torch, settings.precision)
        self._stored_type: torch.dtype = getattr(torch, settings.storage_dtype)
        self.dtype: str = settings.storage_dtype
        self._device = torch.device("cpu")
        self._kernels = tuple(zip(config.conv_kernel, config.conv_stride, strict=True))
        self._hop = int(np.prod(config.conv_stride))
        self._longest_frames = round(settings.chunk_seconds * SAMPLE_RATE) // self._hop
        self.layers = self._chosen.stored
        self.dimension: int = config.hidden_size
        self.frame_rate: float | None = SAMPLE_RATE / self._hop
        self.checkpoint_sha256 = loaded.sha256

    def to(self, device: str) -> None:
        """Compute on "cpu" or "cuda"."""
        self._device = torch.device(device)
        self._model.to(self._device, self._precision)
        if device == "cuda" and self._type in EXACT_IN_BATCHES:
            self.batch_seconds = GPU_BATCH_SECONDS

    @torch.inference_mode()
    def extract(self, batch: Sequence[Waveform]) -> list[Extracted]:
        """Frames of each waveform ([T_i, dimension], or layers first).

        Raises `AudioError` where one is shorter than a frame.
        """
        counts = [self._frames_of(waveform) for waveform in batch]
        given = [self._prepared(waveform) for waveform in batch]
        if len(batch) > 1 and max(counts) <= self._longest_frames:
            states = self._states(given)
            return [
                Extracted(self._stored(states[:, place, :count]))
                for place, count in enumerate(counts)
            ]
        return [self._alone(waveform, count) for waveform, count in zip(given, counts, strict=True)]

    def _alone(self, waveform: torch.Tensor, count: int) -> Extracted:
        """Of one prepared waveform [samples]: as a whole, or in windows where it is long."""
        windows = half_overlapping_windows(count, self._longest_frames)
        if len(windows) == 1:
            return Extracted(self._stored(self._states([waveform])[:, 0]))
        # In the stored type and in place: all layers of ten minutes are a gigabyte as it is.
        shape = (len(self._chosen.numbers), count, self.dimension)
        whole = torch.empty(shape, dtype=self._stored_type)
        for window in windows:
            samples = waveform[window.start * self._hop : self._samples_of(window.stop)]
            states = self._states([samples])[:, 0]
            kept = states[:, window.first - window.start : window.last - window.start]
            whole[:, window.first : window.last] = kept.to(self._stored_type)
        return Extracted(self._stored(whole), chunks=len(windows))

    def _states(self, waveforms: Sequence[torch.Tensor]) -> torch.Tensor:
        """[layers, batch, T, dimension] of prepared waveforms [samples]."""
        lengths = [len(waveform) for waveform in waveforms]
        values = torch.nn.utils.rnn.pad_sequence(list(waveforms), batch_first=True)
        values = values.to(self._device, self._precision)
        mask = None
        if min(lengths) < max(lengths):
            samples = torch.tensor(lengths, device=self._device)
            mask = (torch.arange(max(lengths), device=self._device) < samples[:, None]).long()
            self._mask_norm(samples)
        output = self._model(values, attention_mask=mask, output_hidden_states=True)
        self._mask_norm(None)
        states: torch.Tensor = self._chosen.of(output)
        return states

    def _mask_norm(self, samples: torch.Tensor | None) -> None:
        if self._norm is not None:
            self._norm.samples = samples

    def _prepared(self, waveform: Waveform) -> torch.Tensor:
        """[samples], normalised where the model was trained so."""
        prepared = self._prepare(waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        values: torch.Tensor = prepared.input_values[0]
        return values

    def _stored(self, states: torch.Tensor) -> NDArray[np.generic]:
        """[layers, T, dimension], or [T, dimension] of a single one."""
        frames = states.to(self._stored_type).cpu().numpy()
        return frames[0] if self._chosen.single else frames

    def _frames_of(self, waveform: Waveform) -> int:
        samples = len(waveform)
        for kernel, stride in self._kernels:
            samples = (samples - kernel) // stride + 1 if samples >= kernel else 0
        if not samples:
            raise AudioError(
                "too short",
                f"{len(waveform)} samples are fewer than the {self._samples_of(1)} of one frame",
            )
        return samples

    def _samples_of(self, frames: int) -> int:
        """Samples that so many frames are computed from."""
        for kernel, stride in reversed(self._kernels):
            frames = (frames - 1) * stride + kernel
        return int(frames)


class _MaskedGroupNorm(torch.nn.Module):
    """A group norm that leaves out the padding when it is told where that begins."""

    def __init__(self, plain: torch.nn.GroupNorm, kernel: int, stride: int) -> None:
        super().__init__()
        self._plain = plain
        self._masked = GroupNorm(plain.num_channels, affine=True, groups=plain.num_groups)
        self._masked.load_state_dict(plain.state_dict())
        self._masked.eps = plain.eps
        self._kernel, self._stride = kernel, stride
        self.samples: torch.Tensor | None = None
        """[batch] samples of each waveform, or None: all of them."""

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """[batch, channels, frames] to the same shape."""
        if self.samples is None:
            plain: torch.Tensor = self._plain(frames)
            return plain
        lengths = (self.samples - self._kernel) // self._stride + 1
        masked: torch.Tensor = self._masked(frames, lengths)
        return masked


def _masked_group_norm(model: Any) -> _MaskedGroupNorm | None:
    """Replace the norm over time of the first convolution; None where there is none to mask."""
    first = model.feature_extractor.conv_layers[0]
    plain = getattr(first, "layer_norm", None)
    if not isinstance(plain, torch.nn.GroupNorm):
        return None
    masked = _MaskedGroupNorm(plain, model.config.conv_kernel[0], model.config.conv_stride[0])
    first.layer_norm = masked.eval()
    return masked


def build_transformers_audio(
    settings: TransformersAudioSettings,
) -> TransformersAudio | WhisperEncoder:
    """The representation for a model's type; raises `CheckpointError` where that is not known."""
    loaded = load_audio_model(settings.model)
    if loaded.model.config.model_type == "whisper":
        return WhisperEncoder(settings, loaded)
    return TransformersAudio(settings, loaded)
