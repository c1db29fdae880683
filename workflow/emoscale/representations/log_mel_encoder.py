"""Encoders of log-mel features through transformers: w2v-BERT 2.0, Parakeet and Qwen3-ASR."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch

from emoscale.representations.audio_models import AudioModel
from emoscale.representations.chunking import half_overlapping_chunks
from emoscale.representations.contract import UtteranceFeatures, Waveform
from emoscale.representations.layers import select_layers
from emoscale.runtime.errors import AudioError

if TYPE_CHECKING:
    from emoscale.config.representations import TransformersAudioSettings

_KALDI_HOP, _KALDI_WINDOW = 160, 400  # fixed in the feature extractor of w2v-BERT 2.0
_QWEN_STRIDE = 8  # of Qwen3-ASR's three convolutions, which restart in each chunk of mel frames


class _Grid(NamedTuple):
    """Positions of an encoder's frames in the waveform, which repeat after some samples."""

    samples: int
    """Samples until the positions repeat."""

    frames: int
    """Frames in these samples."""

    min_samples: int
    """Samples of the shortest usable waveform."""

    max_frames: int = sys.maxsize
    """Positions of the encoder."""


class LogMelEncoder:
    """Hidden states of encoders that read log-mel features of any length.

    These are w2v-BERT 2.0 [1]_, the encoder of Parakeet and Canary [2]_, and that of Qwen3-ASR
    [3]_. Utterances are computed one by one, because each of these models treats padding in another
    way; frames of the padding are dropped.

    Parameters
    ----------
    settings : TransformersAudioSettings
        Settings of the representation.
    loaded : AudioModel
        The pre-trained encoder.

    References
    ----------
    .. [1] Barrault et al., "Seamless: Multilingual expressive and streaming speech translation",
       2023.
    .. [2] Rekesh et al., "Fast Conformer with linearly scalable attention for efficient speech
       recognition", ASRU 2023.
    .. [3] Shi et al., "Qwen3-ASR technical report", 2026.
    """

    modality: Literal["audio", "text"] = "audio"
    batch_seconds = 0.0

    def __init__(self, settings: TransformersAudioSettings, loaded: AudioModel) -> None:
        config = loaded.network.config
        self._model = loaded
        self._type = str(config.model_type)
        self._selection = select_layers(settings.layer, config.num_hidden_layers, settings.model)
        encoder = loaded.network
        if self._type == "wav2vec2-bert":
            # These parts follow the hidden states.
            loaded.network.adapter = loaded.network.intermediate_ffn = None
            encoder = loaded.network.encoder
        # Layers after the last selected hidden state need not be computed.
        encoder.layers = encoder.layers[: max(1, self._selection.indices[-1])]
        self._precision: torch.dtype = getattr(torch, settings.precision)
        self._storage_dtype: torch.dtype = getattr(torch, settings.storage_dtype)
        self.dtype: str = settings.storage_dtype
        self._device = torch.device("cpu")
        self._grid = _grid_of(config, loaded.feature_extractor)
        self.layers = self._selection.stored_layers
        self.dimension: int = config.hidden_size
        self.frame_rate: float | None = self._grid.frames * loaded.sample_rate / self._grid.samples
        max_frames = min(settings.chunk_seconds * self.frame_rate, self._grid.max_frames)
        self._max_repeats = max(1, int(max_frames) // self._grid.frames)
        self.checkpoint_sha256 = loaded.sha256

    def to(self, device: str) -> None:
        """Move the network to a device.

        Parameters
        ----------
        device : str
            ``cpu`` or ``cuda``.
        """
        self._device = torch.device(device)
        self._model.network.to(self._device, self._precision)

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
        return [self._extract(self._model.resample(waveform)) for waveform in batch]

    def _extract(self, waveform: Waveform) -> UtteranceFeatures:
        """Compute a waveform ``[samples]`` at the model's sample rate, in chunks if it is long."""
        grid = self._grid
        if len(waveform) < grid.min_samples:
            raise AudioError(
                "too short",
                f"{len(waveform)} samples are fewer than the {grid.min_samples} of one frame",
            )
        chunks = half_overlapping_chunks(math.ceil(len(waveform) / grid.samples), self._max_repeats)
        blocks = []
        for chunk in chunks:
            states = self._hidden_states(
                waveform[chunk.start * grid.samples : chunk.stop * grid.samples]
            )
            last = None if chunk is chunks[-1] else (chunk.last - chunk.start) * grid.frames
            blocks.append(states[:, (chunk.first - chunk.start) * grid.frames : last])
        frames = torch.cat(blocks, dim=1).numpy()
        return UtteranceFeatures(frames[0] if self._selection.single else frames, None, len(chunks))

    def _hidden_states(self, waveform: Waveform) -> torch.Tensor:
        """Return ``[layers, frames, dimension]`` of a waveform, without frames of padding."""
        inputs = self._model.feature_extractor(
            waveform,
            sampling_rate=self._model.sample_rate,
            padding="longest",
            return_attention_mask=True,
            return_tensors="pt",
        )
        mask = inputs.attention_mask.to(self._device)
        is_packed = self._type == "qwen3_asr_encoder"  # its output has no padding, and no batch
        output = self._model.network(
            inputs.input_features.to(self._device, self._precision),
            **{"input_features_mask" if is_packed else "attention_mask": mask},
            output_hidden_states=True,
        )
        states: torch.Tensor = self._selection.stack(output)
        if not is_packed:
            # Parakeet returns the mask of its frames, which are fewer than those of the input.
            states = states[:, 0, : int(output.get("attention_mask", mask).sum())]
        # Qwen3-ASR's feature extractor counts silence that it adds to short waveforms.
        count = math.ceil(len(waveform) * self._grid.frames / self._grid.samples)
        return states[:, :count].to(self._storage_dtype).cpu()


def _grid_of(config: Any, feature_extractor: Any) -> _Grid:
    """Return the frames of an encoder with its feature extractor.

    The normalisation of the mel bands needs two mel frames.
    """
    match config.model_type:
        case "wav2vec2-bert":
            samples = feature_extractor.stride * _KALDI_HOP
            return _Grid(samples, 1, _KALDI_WINDOW + _KALDI_HOP)
        case "qwen3_asr_encoder":
            mel_frames = 2 * config.n_window
            frames = math.ceil(mel_frames / _QWEN_STRIDE)
            return _Grid(mel_frames * feature_extractor.hop_length, frames, 1)
        case _:
            hop = feature_extractor.hop_length
            limit = config.max_position_embeddings
            return _Grid(hop * config.subsampling_factor, 1, 2 * hop, limit)
