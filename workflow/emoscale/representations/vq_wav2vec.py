"""vq-wav2vec (Baevski et al. 2020) from its public checkpoints, Gumbel and k-means."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from emoscale.config.representations import VqWav2VecSettings
from emoscale.representations.fairseq_checkpoints import load_fairseq_checkpoint
from emoscale.representations.quantiser import (
    QuantiserArchitecture,
    build_quantiser,
    code_vectors,
)
from emoscale.representations.wav2vec import FairseqFeatures
from emoscale.representations.wav2vec_long import contextualise_long, encode_long
from emoscale.representations.wav2vec_model import ArchitectureError, Wav2Vec, Wav2VecArchitecture
from emoscale.runtime.errors import CheckpointError


class _QuantisedWav2Vec(Wav2Vec):
    """wav2vec with a quantiser between encoder and context network."""

    def __init__(self, architecture: Wav2VecArchitecture, quantiser: QuantiserArchitecture) -> None:
        super().__init__(architecture)
        self.vector_quantizer = build_quantiser(quantiser)


class VqWav2VecFeatures(FairseqFeatures):
    """Codes of vq-wav2vec, or the context network's output (c) for their vectors.

    Codes ``[frames, groups]`` are stored as int16 with one codebook, from which their vectors are
    read. Two codes per frame take 4 bytes, whereas 512 values in float16 take 1,024.

    Parameters
    ----------
    settings : VqWav2VecSettings
        Settings of the representation.
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
        """Move the network to a device; the quantiser remains in float32 at any precision.

        Parameters
        ----------
        device : str
            "cpu" or "cuda".
        """
        float32_weights = {
            name: value.clone() for name, value in self._quantiser.state_dict().items()
        }
        super().to(device)
        self._quantiser.float().load_state_dict(float32_weights)

    def _compute(
        self,
        waveforms: torch.Tensor,
        sample_lengths: torch.Tensor | None = None,
        frame_lengths: torch.Tensor | None = None,
    ) -> torch.Tensor:
        z = self._network.encode(waveforms, sample_lengths)
        codes: torch.Tensor = self._quantiser(z.float(), frame_lengths)
        if self._codes_only:
            return codes.short()
        vectors = code_vectors(codes, self._quantiser.codebook()).to(self._precision)
        c = self._network.contextualise(vectors, frame_lengths)
        return c.transpose(1, 2).to(self._storage_dtype)

    def _compute_long(self, waveform: torch.Tensor) -> torch.Tensor:
        codes: torch.Tensor = self._quantiser(encode_long(self._network, waveform).float())
        if self._codes_only:
            return codes.short()
        vectors = code_vectors(codes, self._quantiser.codebook()).to(self._precision)
        c = contextualise_long(self._network, vectors)
        return c.transpose(1, 2).to(self._storage_dtype)
