"""wav2vec (Schneider et al. 2019) from its public checkpoints, such as `wav2vec_large.pt`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from emoscale.audio.decoding import SAMPLE_RATE
from emoscale.config.representations import PretrainedSettings, Wav2VecSettings
from emoscale.representations.checkpoints import (
    FairseqCheckpoint,
    load_fairseq_checkpoint,
    load_weights,
)
from emoscale.representations.contract import Waveform
from emoscale.representations.wav2vec_long import contextualise_long, encode_long
from emoscale.representations.wav2vec_model import ArchitectureError, Wav2Vec, Wav2VecArchitecture
from emoscale.runtime.errors import AudioError, CheckpointError

LONG_SECONDS = 40.0
"""Longer recordings are computed piece by piece: slower by a few percent, with less memory."""

GPU_BATCH_SECONDS = 120.0
"""Audio in a batch on a GPU, padding included."""

# Beginnings of the names of weights that only pre-training needs.
_ONLY_FOR_TRAINING = ("wav2vec_predictions.", "project_features.")


class FairseqFeatures:
    """Frames of a wav2vec model of either kind, from the raw waveform (no normalisation).

    The group norm averages over time, so padding would change every frame. On a CPU one unpadded
    utterance is the fastest batch; on a GPU utterances of similar length go together, with norms
    that leave the padding out. Recordings beyond `LONG_SECONDS` are computed piece by piece.
    """

    modality: Literal["audio", "text"] = "audio"
    batch_seconds = 0.0

    def __init__(
        self, model: Wav2Vec, checkpoint: FairseqCheckpoint, settings: PretrainedSettings
    ) -> None:
        load_weights(model, checkpoint, _ONLY_FOR_TRAINING)
        self._precision: torch.dtype = getattr(torch, settings.precision)
        self._stored_type: torch.dtype = getattr(torch, settings.storage_dtype)
        self.dtype: str = settings.storage_dtype
        self._device = torch.device("cpu")
        self._architecture = model.architecture
        self._network = model.eval()
        self.checkpoint_sha256 = checkpoint.sha256
        self.frame_rate: float | None = SAMPLE_RATE / model.architecture.hop_samples

    def to(self, device: str) -> None:
        """Compute on "cpu" or "cuda"."""
        self._device = torch.device(device)
        self._network.to(self._device, self._precision)
        if device == "cpu" and self._precision == torch.float32:
            self._network.prepare()
        # A skip connection in the encoder takes every n-th frame, and n depends on the length.
        if device == "cuda" and not self._architecture.skip_connections_feat:
            self.batch_seconds = GPU_BATCH_SECONDS

    @torch.inference_mode()
    def extract(self, batch: Sequence[Waveform]) -> list[NDArray[np.generic]]:
        """What is stored of each waveform, [T_i, …]; raises `AudioError` where it has no frame."""
        counts = [self._frames_of(waveform) for waveform in batch]
        longest = max(len(waveform) for waveform in batch)
        if len(batch) == 1:
            waveforms = torch.from_numpy(batch[0])[None].to(self._device, self._precision)
            frames = self._long(waveforms) if self._is_long(longest) else self._short(waveforms)
        else:
            padded = np.stack([np.pad(given, (0, longest - len(given))) for given in batch])
            lengths = torch.tensor([len(waveform) for waveform in batch], device=self._device)
            waveforms = torch.from_numpy(padded).to(self._device, self._precision)
            frames = self._short(waveforms, lengths, torch.tensor(counts, device=self._device))
        return [array[:count].cpu().numpy() for array, count in zip(frames, counts, strict=True)]

    def _is_long(self, samples: int) -> bool:
        return samples > LONG_SECONDS * SAMPLE_RATE

    def _frames_of(self, waveform: Waveform) -> int:
        count = self._architecture.frames_of(len(waveform))
        if not count:
            raise AudioError(
                "too short",
                f"{len(waveform)} samples are fewer than the "
                f"{self._architecture.minimum_samples} of one frame",
            )
        return count

    @abstractmethod
    def _short(
        self,
        waveforms: torch.Tensor,
        samples: torch.Tensor | None = None,
        frames: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """[batch, T, …] as it is stored, of waveforms [batch, samples].

        `samples` and `frames` [batch] say how many count, where they differ.
        """

    @abstractmethod
    def _long(self, waveform: torch.Tensor) -> torch.Tensor:
        """[1, T, …] as it is stored, of a long waveform [1, samples], with little memory."""


class Wav2VecFeatures(FairseqFeatures):
    """z or c."""

    def __init__(self, settings: Wav2VecSettings) -> None:
        checkpoint = load_fairseq_checkpoint(settings.checkpoint)
        if any(name.startswith("vector_quantizer.") for name in checkpoint.weights):
            raise CheckpointError(f"{checkpoint.path} is a vq-wav2vec model; use kind: vq_wav2vec")
        try:
            architecture = Wav2VecArchitecture.from_arguments(checkpoint.arguments)
        except ArchitectureError as error:
            raise CheckpointError(f"{checkpoint.path}: {error}") from None
        super().__init__(Wav2Vec(architecture), checkpoint, settings)
        self._output = settings.output
        layers = architecture.encoder if settings.output == "z" else architecture.aggregator
        self.dimension = layers[-1][0]

    def _short(
        self,
        waveforms: torch.Tensor,
        samples: torch.Tensor | None = None,
        frames: torch.Tensor | None = None,
    ) -> torch.Tensor:
        z = self._network.encode(waveforms, samples)
        output = z if self._output == "z" else self._network.contextualise(z, frames)
        return output.transpose(1, 2).to(self._stored_type)

    def _long(self, waveform: torch.Tensor) -> torch.Tensor:
        z = encode_long(self._network, waveform)
        output = z if self._output == "z" else contextualise_long(self._network, z)
        return output.transpose(1, 2).to(self._stored_type)
