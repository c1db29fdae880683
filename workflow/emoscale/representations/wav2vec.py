"""wav2vec (Schneider et al. 2019) from its public checkpoints, such as `wav2vec_large.pt`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from emoscale.audio.waveform import SAMPLE_RATE
from emoscale.representations.contract import Waveform
from emoscale.representations.fairseq_checkpoints import (
    FairseqCheckpoint,
    load_fairseq_checkpoint,
    load_weights,
)
from emoscale.representations.transfer import padded_waveforms, stored_arrays
from emoscale.representations.wav2vec_long import contextualise_long, encode_long
from emoscale.representations.wav2vec_model import ArchitectureError, Wav2Vec, Wav2VecArchitecture
from emoscale.runtime.errors import AudioError, CheckpointError

if TYPE_CHECKING:
    from emoscale.config.representations import PretrainedSettings, Wav2VecSettings

LONG_SECONDS = 40.0
"""Longer recordings are computed in blocks: a few percent slower, with less memory."""

GPU_BATCH_SECONDS = 120.0
"""Audio in a batch on a GPU, padding included."""

# Prefixes of weights that only pre-training uses.
_PRETRAINING_PREFIXES = ("wav2vec_predictions.", "project_features.")


class FairseqFeatures:
    """Base class for the frames of wav2vec and vq-wav2vec, from unnormalised waveforms.

    The group norm averages over time, so padding would change every frame. On a CPU, a batch of one
    unpadded utterance is fastest. On a GPU, utterances of similar length are batched, and the norms
    exclude the padding. Recordings longer than `LONG_SECONDS` are computed in blocks.

    Parameters
    ----------
    model : Wav2Vec
        The network, whose weights are loaded from the checkpoint.
    checkpoint : FairseqCheckpoint
        The checkpoint.
    settings : PretrainedSettings
        Settings of the representation.
    """

    modality: Literal["audio", "text"] = "audio"
    batch_seconds = 0.0

    def __init__(
        self, model: Wav2Vec, checkpoint: FairseqCheckpoint, settings: PretrainedSettings
    ) -> None:
        load_weights(model, checkpoint, _PRETRAINING_PREFIXES)
        self._precision: torch.dtype = getattr(torch, settings.precision)
        self._storage_dtype: torch.dtype = getattr(torch, settings.storage_dtype)
        self.dtype: str = settings.storage_dtype
        self._device = torch.device("cpu")
        self._architecture = model.architecture
        self._network = model.eval()
        self.checkpoint_sha256 = checkpoint.sha256
        self.frame_rate: float | None = SAMPLE_RATE / model.architecture.hop_samples

    def to(self, device: str) -> None:
        """Move the network to a device.

        Parameters
        ----------
        device : str
            "cpu" or "cuda".
        """
        self._device = torch.device(device)
        self._network.to(self._device, self._precision)
        if device == "cpu" and self._precision == torch.float32:
            self._network.prepare()
        # A skip connection in the encoder takes every n-th frame, and n depends on the length.
        if device == "cuda" and not self._architecture.skip_connections_feat:
            self.batch_seconds = GPU_BATCH_SECONDS

    @torch.inference_mode()
    def extract(self, batch: Sequence[Waveform]) -> list[NDArray[np.generic]]:
        """Compute the stored frames or codes of each waveform.

        Parameters
        ----------
        batch : sequence of ndarray
            Waveforms ``[samples]`` at 16 kHz.

        Returns
        -------
        list of ndarray
            ``[frames, dimension]`` or, for codes, ``[frames, groups]`` of each waveform.

        Raises
        ------
        AudioError
            If a waveform is shorter than one frame.
        """
        counts = [self._frame_count(waveform) for waveform in batch]
        waveforms = padded_waveforms([torch.from_numpy(each) for each in batch], self._device)
        waveforms = waveforms.to(self._precision)
        if len(batch) == 1:
            is_long = waveforms.shape[1] > LONG_SECONDS * SAMPLE_RATE
            frames = self._compute_long(waveforms) if is_long else self._compute(waveforms)
        else:
            samples = torch.tensor([len(waveform) for waveform in batch], device=self._device)
            frames = self._compute(waveforms, samples, torch.tensor(counts, device=self._device))
        unpadded = [array[:count] for array, count in zip(frames, counts, strict=True)]
        return stored_arrays(unpadded, frames.dtype)

    def _frame_count(self, waveform: Waveform) -> int:
        count = self._architecture.frame_count(len(waveform))
        if not count:
            raise AudioError(
                "too short",
                f"{len(waveform)} samples are fewer than the "
                f"{self._architecture.minimum_samples} of one frame",
            )
        return count

    @abstractmethod
    def _compute(
        self,
        waveforms: torch.Tensor,
        sample_lengths: torch.Tensor | None = None,
        frame_lengths: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Compute the stored values ``[batch, frames, ...]`` of waveforms ``[batch, samples]``.

        The lengths without padding ``[batch]`` are necessary if they differ.
        """

    @abstractmethod
    def _compute_long(self, waveform: torch.Tensor) -> torch.Tensor:
        """Compute the stored values ``[1, frames, ...]`` of a long waveform ``[1, samples]``."""


class Wav2VecFeatures(FairseqFeatures):
    """Outputs of wav2vec's encoder (z) or context network (c).

    Parameters
    ----------
    settings : Wav2VecSettings
        Settings of the representation.
    """

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

    def _compute(
        self,
        waveforms: torch.Tensor,
        sample_lengths: torch.Tensor | None = None,
        frame_lengths: torch.Tensor | None = None,
    ) -> torch.Tensor:
        z = self._network.encode(waveforms, sample_lengths)
        output = z if self._output == "z" else self._network.contextualise(z, frame_lengths)
        return output.transpose(1, 2).to(self._storage_dtype)

    def _compute_long(self, waveform: torch.Tensor) -> torch.Tensor:
        z = encode_long(self._network, waveform)
        output = z if self._output == "z" else contextualise_long(self._network, z)
        return output.transpose(1, 2).to(self._storage_dtype)
