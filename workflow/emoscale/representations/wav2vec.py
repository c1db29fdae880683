"""wav2vec (Schneider et al. 2019) from its public checkpoints, such as `wav2vec_large.pt`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from emoscale.audio import SAMPLE_RATE
from emoscale.config.representations import Wav2VecSettings
from emoscale.errors import AudioError, CheckpointError
from emoscale.representations.checkpoints import load_fairseq_checkpoint, load_weights
from emoscale.representations.contract import Waveform
from emoscale.representations.wav2vec_model import ArchitectureError, Wav2Vec, Wav2VecArchitecture

ONLY_FOR_TRAINING = ("wav2vec_predictions.", "project_features.")
"""Beginnings of the names of weights that only pre-training needs."""


def check_length(waveform: Waveform, architecture: Wav2VecArchitecture) -> None:
    """Raise `AudioError` where a waveform is shorter than one frame."""
    needed = architecture.minimum_samples
    if len(waveform) < needed:
        raise AudioError(
            "too short", f"{len(waveform)} samples are fewer than the {needed} of one frame"
        )


class Wav2VecFeatures:
    """z or c, in float16, of the raw waveform (no normalisation, as it was trained).

    Utterances are computed one by one: the group norm averages over time, so padding would change
    every frame, and on a CPU one unpadded utterance is the fastest batch.
    """

    modality: Literal["audio", "text"] = "audio"
    dtype = "float16"

    def __init__(self, settings: Wav2VecSettings) -> None:
        checkpoint = load_fairseq_checkpoint(settings.checkpoint)
        if any(name.startswith("vector_quantizer.") for name in checkpoint.weights):
            raise CheckpointError(f"{checkpoint.path} is a vq-wav2vec model; use kind: vq_wav2vec")
        try:
            architecture = Wav2VecArchitecture.from_arguments(checkpoint.arguments)
        except ArchitectureError as error:
            raise CheckpointError(f"{checkpoint.path}: {error}") from None
        self._model = Wav2Vec(architecture)
        load_weights(self._model, checkpoint, ONLY_FOR_TRAINING)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model.eval().to(self._device)
        self._output = settings.output
        self.checkpoint_sha256 = checkpoint.sha256
        layers = architecture.encoder if settings.output == "z" else architecture.aggregator
        self.dimension = layers[-1][0]
        self.frame_rate: float | None = SAMPLE_RATE / architecture.hop_samples

    @torch.inference_mode()
    def extract(self, batch: Sequence[Waveform]) -> list[NDArray[np.generic]]:
        """Frames [T_i, dimension] of each waveform; raises `AudioError` where one has none."""
        return [self._frames(waveform).cpu().numpy().astype(self.dtype) for waveform in batch]

    def _frames(self, waveform: Waveform) -> torch.Tensor:
        """[T, dimension], float32."""
        check_length(waveform, self._model.architecture)
        frames = self._model.encode(torch.from_numpy(waveform).to(self._device)[None])
        if self._output == "c":
            frames = self._model.contextualise(frames)
        return frames[0].T
