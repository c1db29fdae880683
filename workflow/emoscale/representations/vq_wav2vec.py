"""vq-wav2vec (Baevski et al. 2020) from its public checkpoints, Gumbel and k-means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from emoscale.audio import SAMPLE_RATE
from emoscale.config.representations import VqWav2VecSettings
from emoscale.errors import CheckpointError
from emoscale.representations.checkpoints import load_fairseq_checkpoint, load_weights
from emoscale.representations.contract import Waveform
from emoscale.representations.quantiser import QuantiserArchitecture, build_quantiser, look_up
from emoscale.representations.wav2vec import ONLY_FOR_TRAINING, check_length
from emoscale.representations.wav2vec_model import ArchitectureError, Wav2Vec, Wav2VecArchitecture


class _Model(Wav2Vec):
    """wav2vec with a quantiser between its two networks."""

    def __init__(self, architecture: Wav2VecArchitecture, quantiser: QuantiserArchitecture) -> None:
        super().__init__(architecture)
        self.vector_quantizer = build_quantiser(quantiser)


class VqWav2VecFeatures:
    """Codes, or the context network's output over their vectors.

    Codes [T, groups] are stored as int16 beside one `codebook`; reading gives their vectors. They
    take a hundredth of the vectors' space.
    """

    modality: Literal["audio", "text"] = "audio"

    def __init__(self, settings: VqWav2VecSettings) -> None:
        checkpoint = load_fairseq_checkpoint(settings.checkpoint)
        try:
            architecture = Wav2VecArchitecture.from_arguments(checkpoint.arguments)
            quantiser = QuantiserArchitecture.from_arguments(
                checkpoint.arguments, architecture.encoder[-1][0]
            )
        except ArchitectureError as error:
            raise CheckpointError(f"{checkpoint.path}: {error}") from None
        self._model = _Model(architecture, quantiser)
        load_weights(self._model, checkpoint, ONLY_FOR_TRAINING)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model.eval().to(self._device)
        self._codebook = self._model.vector_quantizer.codebook()
        self._codes_only = settings.output == "codes"
        self.codebook: NDArray[np.float32] | None = None
        if self._codes_only:
            self.codebook = self._codebook.cpu().contiguous().numpy()
        self.dtype = "int16" if self._codes_only else "float16"
        self.checkpoint_sha256 = checkpoint.sha256
        self.dimension = (
            quantiser.vector_dimension if self._codes_only else architecture.aggregator[-1][0]
        )
        self.frame_rate: float | None = SAMPLE_RATE / architecture.hop_samples

    @torch.inference_mode()
    def extract(self, batch: Sequence[Waveform]) -> list[NDArray[np.generic]]:
        """Codes [T_i, groups] or frames [T_i, dimension]; `AudioError` where there is no frame."""
        return [self._frames(waveform).cpu().numpy().astype(self.dtype) for waveform in batch]

    def _frames(self, waveform: Waveform) -> torch.Tensor:
        check_length(waveform, self._model.architecture)
        z = self._model.encode(torch.from_numpy(waveform).to(self._device)[None])
        quantiser: nn.Module = self._model.vector_quantizer
        codes: torch.Tensor = quantiser(z)
        if self._codes_only:
            return codes[0]
        return self._model.contextualise(look_up(codes, self._codebook))[0].T
