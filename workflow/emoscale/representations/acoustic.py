"""Log-mel energies and mel-frequency cepstral coefficients by torchaudio, and raw samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from emoscale.audio.waveform import SAMPLE_RATE
from emoscale.config.representations import (
    LogMelSettings,
    MfccSettings,
    SpectralSettings,
    WaveformSettings,
)
from emoscale.representations.contract import Waveform
from emoscale.representations.torchaudio_guard import import_torchaudio

torchaudio = import_torchaudio()

INT16_FULL_SCALE = 32_767
"""Integer value of a sample of 1.0."""

_ENERGY_FLOOR = 1e-6
"""Added to energies before the logarithm, as torchaudio's MFCC does with `log_mels`."""


class _Spectral:
    """Features of the short-time spectrum.

    Frames are centred on multiples of the hop, with reflection padding at both ends. Utterances are
    computed one by one: zero padding would change the last frames, and batches are no faster on a
    CPU.
    """

    modality: Literal["audio", "text"] = "audio"
    dtype = "float16"

    def __init__(self, settings: SpectralSettings) -> None:
        hop = round(settings.hop_seconds * SAMPLE_RATE)
        self.frame_rate: float | None = SAMPLE_RATE / hop
        self._spectrogram_options = {
            "n_fft": settings.transform_samples,
            "win_length": settings.window_samples,
            "hop_length": hop,
            "n_mels": settings.mel_bands,
        }

    @torch.inference_mode()
    def extract(self, batch: Sequence[Waveform]) -> list[NDArray[np.generic]]:
        """Compute the frames of each waveform.

        Parameters
        ----------
        batch : sequence of ndarray
            Waveforms ``[samples]``.

        Returns
        -------
        list of ndarray
            ``[frames, dimension]`` of each waveform; frames = samples // hop + 1.
        """
        return [
            self._frames(torch.from_numpy(waveform)).T.numpy().astype(self.dtype)
            for waveform in batch
        ]

    def _frames(self, waveform: torch.Tensor) -> torch.Tensor:
        """Return ``[dimension, frames]`` of one waveform ``[samples]``."""
        raise NotImplementedError


class LogMel(_Spectral):
    """Natural logarithm of the energies in mel bands.

    Parameters
    ----------
    settings : LogMelSettings
        Settings of the representation.
    """

    def __init__(self, settings: LogMelSettings) -> None:
        super().__init__(settings)
        self.dimension = settings.mel_bands
        self._transform = torchaudio.transforms.MelSpectrogram(
            SAMPLE_RATE, **self._spectrogram_options
        )

    def _frames(self, waveform: torch.Tensor) -> torch.Tensor:
        return torch.log(self._transform(waveform) + _ENERGY_FLOOR)


class Mfcc(_Spectral):
    """Mel-frequency cepstral coefficients: orthonormal DCT of log-mel energies, optional deltas.

    Parameters
    ----------
    settings : MfccSettings
        Settings of the representation.
    """

    def __init__(self, settings: MfccSettings) -> None:
        super().__init__(settings)
        self._deltas = settings.deltas
        self._mean_normalisation = settings.cepstral_mean_normalisation
        self.dimension = settings.coefficients * (1 + settings.deltas)
        # log_mels: torchaudio's decibels are clipped 80 dB below the loudest frame of the BATCH,
        # so an utterance's features would depend on the rest of its batch.
        self._transform = torchaudio.transforms.MFCC(
            SAMPLE_RATE,
            n_mfcc=settings.coefficients,
            log_mels=True,
            melkwargs=self._spectrogram_options,
        )

    def _frames(self, waveform: torch.Tensor) -> torch.Tensor:
        coefficients = self._transform(waveform)
        if self._mean_normalisation:
            coefficients = coefficients - coefficients.mean(dim=1, keepdim=True)
        orders = [coefficients]
        for _ in range(self._deltas):
            orders.append(torchaudio.functional.compute_deltas(orders[-1]))
        return torch.cat(orders)


class RawWaveform:
    """Samples as int16 frames of one value; samples beyond full scale are clipped.

    Parameters
    ----------
    settings : WaveformSettings
        Settings of the representation, which has none to choose.
    """

    modality: Literal["audio", "text"] = "audio"
    dimension = 1
    frame_rate: float | None = float(SAMPLE_RATE)
    dtype = "int16"

    def __init__(self, settings: WaveformSettings) -> None:
        del settings

    def extract(self, batch: Sequence[Waveform]) -> list[NDArray[np.generic]]:
        """Quantise the samples of each waveform.

        Parameters
        ----------
        batch : sequence of ndarray
            Waveforms ``[samples]``.

        Returns
        -------
        list of ndarray
            ``[samples, 1]`` of each waveform.
        """
        return [
            np.clip(np.rint(waveform * INT16_FULL_SCALE), -INT16_FULL_SCALE, INT16_FULL_SCALE)
            .astype(np.int16)
            .reshape(-1, 1)
            for waveform in batch
        ]
