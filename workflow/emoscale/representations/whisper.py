"""Whisper's encoder through transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from emoscale.audio.decoding import SAMPLE_RATE
from emoscale.config.representations import TransformersAudioSettings
from emoscale.representations.audio_models import AudioModel
from emoscale.representations.contract import Extracted, Waveform
from emoscale.representations.layers import choose_layers

GPU_PIECES = 16
"""Pieces of 30 seconds that a GPU computes at once."""


class WhisperEncoder:
    """Hidden states of Whisper's encoder (Radford et al. 2023).

    The model sees 30 seconds, no more and no less: its own preprocessing fills up with silence, and
    frames of the filling are left out. Longer utterances are computed in pieces of 30 seconds.
    """

    modality: Literal["audio", "text"] = "audio"
    batch_seconds = 0.0
    _pieces_together = 1

    def __init__(self, settings: TransformersAudioSettings, loaded: AudioModel) -> None:
        config = loaded.model.config
        self._prepare = loaded.prepare
        self._model = loaded.model
        self._chosen = choose_layers(settings.layer, config.encoder_layers, settings.model)
        self._model.layers = self._model.layers[: max(1, self._chosen.numbers[-1])]
        if self._chosen.numbers[-1] < config.encoder_layers:
            # transformers gives the last state that it computes after the encoder's last norm.
            self._model.layer_norm = torch.nn.Identity()
        self._precision: torch.dtype = getattr(torch, settings.precision)
        self._stored_type: torch.dtype = getattr(torch, settings.storage_dtype)
        self.dtype: str = settings.storage_dtype
        self._device = torch.device("cpu")
        self._window = int(loaded.prepare.n_samples)
        self._hop = self._window // int(config.max_source_positions)
        self.layers = self._chosen.stored
        self.dimension: int = config.d_model
        self.frame_rate: float | None = SAMPLE_RATE / self._hop
        self.checkpoint_sha256 = loaded.sha256

    def to(self, device: str) -> None:
        """Compute on "cpu" or "cuda"."""
        self._device = torch.device(device)
        self._model.to(self._device, self._precision)
        if device == "cuda":
            self._pieces_together = GPU_PIECES
            self.batch_seconds = GPU_PIECES * 4.0  # of usual utterances, about as many

    @torch.inference_mode()
    def extract(self, batch: Sequence[Waveform]) -> list[Extracted]:
        """Frames of each waveform ([T_i, dimension], or layers first), one for 20 ms begun."""
        pieces = [
            waveform[begin : begin + self._window]
            for waveform in batch
            for begin in range(0, len(waveform), self._window)
        ]
        states = [
            frames
            for first in range(0, len(pieces), self._pieces_together)
            for frames in self._states(pieces[first : first + self._pieces_together])
        ]
        results = []
        for waveform in batch:
            count = -(-len(waveform) // self._window)
            own, states = states[:count], states[count:]
            frames = torch.cat(own, dim=1).numpy()
            results.append(Extracted(frames[0] if self._chosen.single else frames, chunks=count))
        return results

    def _states(self, pieces: Sequence[Waveform]) -> list[torch.Tensor]:
        """[layers, T_i, dimension] of pieces of at most 30 seconds."""
        prepared = self._prepare(list(pieces), sampling_rate=SAMPLE_RATE, return_tensors="pt")
        given = prepared.input_features.to(self._device, self._precision)
        output = self._model(given, output_hidden_states=True)
        states = self._chosen.of(output)
        counts = [-(-len(piece) // self._hop) for piece in pieces]
        return [
            states[:, place, :count].to(self._stored_type).cpu()
            for place, count in enumerate(counts)
        ]
