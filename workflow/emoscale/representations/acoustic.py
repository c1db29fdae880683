"""Log-mel energies and cepstral coefficients, by torchaudio, and the samples themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from emoscale.audio.decoding import SAMPLE_RATE
from emoscale.config.representations import (
    LogMelSettings,
    MfccSettings,
    SpectralSettings,
    WaveformSettings,
)
from emoscale.representations.contract import Waveform
from emoscale.representations.torchaudio_guard import import_torchaudio

torchaudio = import_torchaudio()

FULL_SCALE = 32_767

_FLOOR = 1e-6
"""Added to energies before the logarithm, as torchaudio's MFCC does with `log_mels`."""


class _Spectral:
    """Frames are centred on multiples of the hop; the ends are mirrored.

    Utterances are computed one by one: padding would change the last frames, and on a CPU batches
    gain nothing.
    """

    modality: Literal["audio", "text"] = "audio"
    dtype = "float16"

    def __init__(self, settings: SpectralSettings) -> None:
        hop = round(settings.hop_seconds * SAMPLE_RATE)
        self.frame_rate: float | None = SAMPLE_RATE / hop
        self._spectrum = {
            "n_fft": settings.transform_samples,
            "win_length": settings.window_samples,
            "hop_length": hop,
            "n_mels": settings.mel_bands,
        }

    @torch.inference_mode()
    def extract(self, batch: Sequence[Waveform]) -> list[NDArray[np.generic]]:
        """Frames [T_i, dimension] of each waveform; T_i = samples // hop + 1."""
        return [
            self._frames(torch.from_numpy(waveform)).T.numpy().astype(self.dtype)
            for waveform in batch
        ]

    def _frames(self, waveform: torch.Tensor) -> torch.Tensor:
        """[dimension, T] of one waveform [samples]."""
        raise NotImplementedError


class LogMel(_Spectral):
    """Natural logarithm of the energies in mel bands."""

    def __init__(self, settings: LogMelSettings) -> None:
        super().__init__(settings)
        self.dimension = settings.mel_bands
        self._transform = torchaudio.transforms.MelSpectrogram(SAMPLE_RATE, **self._spectrum)

    def _frames(self, waveform: torch.Tensor) -> torch.Tensor:
        return torch.log(self._transform(waveform) + _FLOOR)


class Mfcc(_Spectral):
    """Orthonormal cosine transform of log-mel energies, with derivatives appended where asked."""

    def __init__(self, settings: MfccSettings) -> None:
        super().__init__(settings)
        self._deltas = settings.deltas
        self._centred = settings.cepstral_mean_normalisation
        self.dimension = settings.coefficients * (1 + settings.deltas)
        # log_mels: torchaudio's decibels are clipped 80 dB below the loudest frame of the BATCH,
        # so an utterance's features would depend on its neighbours.
        self._transform = torchaudio.transforms.MFCC(
            SAMPLE_RATE, n_mfcc=settings.coefficients, log_mels=True, melkwargs=self._spectrum
        )

    def _frames(self, waveform: torch.Tensor) -> torch.Tensor:
        coefficients = self._transform(waveform)
        if self._centred:
            coefficients = coefficients - coefficients.mean(dim=1, keepdim=True)
        parts = [coefficients]
        for _ in range(self._deltas):
            parts.append(torchaudio.functional.compute_deltas(parts[-1]))
        return torch.cat(parts)


class RawWaveform:
    """Frames [samples, 1] of int16; what is beyond full scale is clipped."""

    modality: Literal["audio", "text"] = "audio"
    dimension = 1
    frame_rate: float | None = float(SAMPLE_RATE)
    dtype = "int16"

    def __init__(self, settings: WaveformSettings) -> None:
        del settings  # there is nothing to choose

    def extract(self, batch: Sequence[Waveform]) -> list[NDArray[np.generic]]:
        """Samples [T_i, 1] of each waveform."""
        return [
            np.clip(np.rint(waveform * FULL_SCALE), -FULL_SCALE, FULL_SCALE)
            .astype(np.int16)
            .reshape(-1, 1)
            for waveform in batch
        ]
