"""vq-wav2vec (Baevski et al. 2020) from its public checkpoints, Gumbel and k-means."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from emoscale.config.representations import VqWav2VecSettings
from emoscale.representations.checkpoints import load_fairseq_checkpoint
from emoscale.representations.quantiser import QuantiserArchitecture, build_quantiser, look_up
from emoscale.representations.wav2vec import FairseqFeatures
from emoscale.representations.wav2vec_long import contextualise_long, encode_long
from emoscale.representations.wav2vec_model import ArchitectureError, Wav2Vec, Wav2VecArchitecture
from emoscale.runtime.errors import CheckpointError


class _QuantisedWav2Vec(Wav2Vec):
    """wav2vec with a quantiser between its two networks."""

    def __init__(self, architecture: Wav2VecArchitecture, quantiser: QuantiserArchitecture) -> None:
        super().__init__(architecture)
        self.vector_quantizer = build_quantiser(quantiser)


class VqWav2VecFeatures(FairseqFeatures):
    """Codes, or the context network's output over their vectors.

    Codes [T, groups] are stored as int16 beside one `codebook`; reading gives their vectors. Two
    codes a frame take 4 bytes where 512 values in float16 take 1,024.
    """

    def __init__(self, settings: VqWav2VecSettings) -> None:
        checkpoint = load_fairseq_checkpoint(settings.checkpoint)
        try:
            architecture = Wav2VecArchitecture.from_arguments(checkpoint.arguments)
            quantiser = QuantiserArchitecture.from_arguments(
                checkpoint.arguments, architecture.encoder[-1][0]
            )
        except ArchitectureError as error:
            raise CheckpointError(f"{checkpoint.path}: {error}") from None
        model = _QuantisedWav2Vec(architecture, quantiser)
        super().__init__(model, checkpoint, settings)
        self._quantiser = model.vector_quantizer
        codebook = self._quantiser.codebook()
        self._codes_only = settings.output == "codes"
        self.codebook: NDArray[np.float32] | None = None
        self.dimension = architecture.aggregator[-1][0]
        if self._codes_only:
            self.codebook = codebook.contiguous().numpy()
            self.dimension = quantiser.vector_dimension
            self.dtype = "int16"

    def to(self, device: str) -> None:
        """Compute on "cpu" or "cuda"; codes are chosen in float32 whatever the precision."""
        exact = {name: value.clone() for name, value in self._quantiser.state_dict().items()}
        super().to(device)
        self._quantiser.float().load_state_dict(exact)

    def _short(
        self,
        waveforms: torch.Tensor,
        samples: torch.Tensor | None = None,
        frames: torch.Tensor | None = None,
    ) -> torch.Tensor:
        z = self._network.encode(waveforms, samples)
        codes: torch.Tensor = self._quantiser(z.float(), frames)
        if self._codes_only:
            return codes.short()
        vectors = look_up(codes, self._quantiser.codebook()).to(self._precision)
        c = self._network.contextualise(vectors, frames)
        return c.transpose(1, 2).to(self._stored_type)

    def _long(self, waveform: torch.Tensor) -> torch.Tensor:
        codes: torch.Tensor = self._quantiser(encode_long(self._network, waveform).float())
        if self._codes_only:
            return codes.short()
        vectors = look_up(codes, self._quantiser.codebook()).to(self._precision)
        c = contextualise_long(self._network, vectors)
        return c.transpose(1, 2).to(self._stored_type)
