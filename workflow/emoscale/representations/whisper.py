"""Encoders of 30 seconds through transformers: those of Whisper and Voxtral."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from emoscale.representations.audio_models import AudioModel
from emoscale.representations.contract import UtteranceFeatures, Waveform
from emoscale.representations.layers import select_layers
from emoscale.representations.transfer import stored_arrays

if TYPE_CHECKING:
    from emoscale.config.representations import TransformersAudioSettings

GPU_BATCH_CHUNKS = 16
"""Number of chunks of 30 seconds per batch on a GPU."""


class WhisperEncoder:
    """Hidden states of the encoder of Whisper [1]_ or Voxtral [2]_.

    The input always has 30 seconds: shorter ones are padded with silence by the model's feature
    extractor, and frames of the padding are dropped. Longer utterances are computed in chunks of 30
    seconds.

    Parameters
    ----------
    settings : TransformersAudioSettings
        Settings of the representation.
    loaded : AudioModel
        The pre-trained encoder.

    References
    ----------
    .. [1] Radford et al., "Robust speech recognition via large-scale weak supervision", ICML 2023.
    .. [2] Liu et al., "Voxtral", 2025.
    """

    modality: Literal["audio", "text"] = "audio"
    batch_seconds = 0.0
    _batch_chunks = 1

    def __init__(self, settings: TransformersAudioSettings, loaded: AudioModel) -> None:
        config = loaded.network.config
        self._model = loaded
        self._network = loaded.network
        self._selection = select_layers(settings.layer, config.encoder_layers, settings.model)
        self._network.layers = self._network.layers[: max(1, self._selection.indices[-1])]
        if self._selection.indices[-1] < config.encoder_layers:
            # transformers applies the final norm to the last hidden state that is computed.
            self._network.layer_norm = torch.nn.Identity()
        self._precision: torch.dtype = getattr(torch, settings.precision)
        self._storage_dtype: torch.dtype = getattr(torch, settings.storage_dtype)
        self.dtype: str = settings.storage_dtype
        self._device = torch.device("cpu")
        self._chunk_samples = int(loaded.feature_extractor.n_samples)
        self._hop = self._chunk_samples // int(config.max_source_positions)
        self.layers = self._selection.stored_layers
        self.dimension: int = config.d_model
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
        if device == "cuda":
            self._batch_chunks = GPU_BATCH_CHUNKS
            self.batch_seconds = GPU_BATCH_CHUNKS * 4.0  # about as many utterances of usual length

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
            ``[frames, dimension]`` or ``[layers, frames, dimension]`` of each waveform, one frame
            per 20 ms, rounded up.
        """
        waveforms = [self._model.resample(waveform) for waveform in batch]
        chunks = [
            waveform[start : start + self._chunk_samples]
            for waveform in waveforms
            for start in range(0, len(waveform), self._chunk_samples)
        ]
        states = [
            frames
            for first in range(0, len(chunks), self._batch_chunks)
            for frames in self._hidden_states(chunks[first : first + self._batch_chunks])
        ]
        results = []
        for waveform in waveforms:
            count = -(-len(waveform) // self._chunk_samples)
            utterance_states, states = states[:count], states[count:]
            frames = np.concatenate(utterance_states, axis=1)
            if self._selection.single:
                frames = frames[0]
            results.append(UtteranceFeatures(frames, chunks=count))
        return results

    def _hidden_states(self, chunks: Sequence[Waveform]) -> list[NDArray[np.generic]]:
        """Return ``[layers, frames, dimension]`` of each chunk of at most 30 seconds."""
        prepared = self._model.feature_extractor(
            list(chunks),
            sampling_rate=self._model.sample_rate,
            device=self._device.type,  # a core takes 20 ms for the log-mel features of a chunk
            return_tensors="pt",
        )
        inputs = prepared.input_features.to(self._device, self._precision)
        output = self._network(inputs, output_hidden_states=True)
        states = self._selection.stack(output)
        frame_counts = [-(-len(chunk) // self._hop) for chunk in chunks]
        used = [states[:, index, :count] for index, count in enumerate(frame_counts)]
        return stored_arrays(used, self._storage_dtype)
