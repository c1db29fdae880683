"""wav2vec (Schneider et al. 2019) from its public checkpoints, such as `wav2vec_large.pt`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from emoscale.audio import SAMPLE_RATE
from emoscale.config.representations import Wav2VecSettings
from emoscale.errors import AudioError, CheckpointError
from emoscale.representations.checkpoints import (
    FairseqCheckpoint,
    load_fairseq_checkpoint,
    load_weights,
)
from emoscale.representations.contract import Waveform
from emoscale.representations.wav2vec_model import ArchitectureError, Wav2Vec, Wav2VecArchitecture

# Beginnings of the names of weights that only pre-training needs.
_ONLY_FOR_TRAINING = ("wav2vec_predictions.", "project_features.")


class FairseqFeatures:
    """Frames of a wav2vec model of either kind, from the raw waveform (no normalisation).

    Utterances are computed one by one: the group norm averages over time, so padding would change
    every frame, and on a CPU one unpadded utterance is the fastest batch.
    """

    modality: Literal["audio", "text"] = "audio"
    dtype = "float16"

    def __init__(self, model: Wav2Vec, checkpoint: FairseqCheckpoint) -> None:
        load_weights(model, checkpoint, _ONLY_FOR_TRAINING)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._architecture = model.architecture
        self._network = model.eval().to(self._device)
        self.checkpoint_sha256 = checkpoint.sha256
        self.frame_rate: float | None = SAMPLE_RATE / model.architecture.hop_samples

    @torch.inference_mode()
    def extract(self, batch: Sequence[Waveform]) -> list[NDArray[np.generic]]:
        """What is stored of each waveform, [T_i, …]; raises `AudioError` where it has no frame."""
        frames = [self._frames(self._z(waveform)) for waveform in batch]
        return [array.cpu().numpy().astype(self.dtype) for array in frames]

    def _z(self, waveform: Waveform) -> torch.Tensor:
        """[1, channels, T] of a waveform [samples]."""
        needed = self._architecture.minimum_samples
        if len(waveform) < needed:
            raise AudioError(
                "too short", f"{len(waveform)} samples are fewer than the {needed} of one frame"
            )
        return self._network.encode(torch.from_numpy(waveform).to(self._device)[None])

    @abstractmethod
    def _frames(self, z: torch.Tensor) -> torch.Tensor:
        """[T, …] of z [1, channels, T]."""


class Wav2VecFeatures(FairseqFeatures):
    """z or c, in float16."""

    def __init__(self, settings: Wav2VecSettings) -> None:
        checkpoint = load_fairseq_checkpoint(settings.checkpoint)
        if any(name.startswith("vector_quantizer.") for name in checkpoint.weights):
            raise CheckpointError(f"{checkpoint.path} is a vq-wav2vec model; use kind: vq_wav2vec")
        try:
            architecture = Wav2VecArchitecture.from_arguments(checkpoint.arguments)
        except ArchitectureError as error:
            raise CheckpointError(f"{checkpoint.path}: {error}") from None
        super().__init__(Wav2Vec(architecture), checkpoint)
        self._output = settings.output
        layers = architecture.encoder if settings.output == "z" else architecture.aggregator
        self.dimension = layers[-1][0]

    def _frames(self, z: torch.Tensor) -> torch.Tensor:
        frames = z if self._output == "z" else self._network.contextualise(z)
        return frames[0].T
