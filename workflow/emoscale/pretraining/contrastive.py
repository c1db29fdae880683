"""wav2vec's objective (Schneider et al. 2019): tell future frames from distractors.

From c at frame t, an affine map per step predicts z at frame t + k, for several k. The prediction
is compared, by a dot product, with the true frame and with negatives: other frames of the same
crop or of all crops of the batch. Names of weights, and the meaning of the settings, are those of
fairseq 0.12.2 (`Wav2VecPredictionsModel` and the criterion `wav2vec`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from emoscale.config.pretraining import Wav2VecKeys
from emoscale.representations.wav2vec_model import ConvolutionLayers, Wav2Vec, Wav2VecArchitecture


@dataclass(frozen=True)
class ObjectiveSum:
    """Sums over the predictions of a batch; a training step divides by their number."""

    loss: Tensor
    """Sum of the loss, a scalar with a gradient."""

    count: int
    """Number of predictions."""

    first: Tensor
    """Number of predictions whose true frame has the highest score of all candidates."""


def automatic_offset(layers: ConvolutionLayers) -> int:
    """Return fairseq's `offset: auto`: the first future frame that shares no sample with the last.

    Parameters
    ----------
    layers : tuple of tuple of int
        Channels, kernel size and stride of the encoder's layers.

    Returns
    -------
    int
        Receptive field of a frame divided by the hop, rounded up, as fairseq computes it.

    Examples
    --------
    >>> automatic_offset(((512, 10, 5), (512, 8, 4), (512, 4, 2), (512, 4, 2), (512, 4, 2)))
    3
    """
    hop = field = 0
    for _, kernel, stride in layers:
        field = (field or kernel) + (kernel - 1) * hop
        hop = hop * stride if hop else stride
    return math.ceil(field / hop)


def sample_negatives(
    batch: int, frames: int, keys: Wav2VecKeys, generator: torch.Generator
) -> Tensor:
    """Sample the negatives of every frame.

    Parameters
    ----------
    batch : int
        Number of crops.
    frames : int
        Number of frames of each crop.
    keys : Wav2VecKeys
        `num_negatives` are sampled from the crop of the frame (of its first `sample_distance`
        frames, as fairseq does), `cross_sample_negatives` from all crops.
    generator : Generator
        Source of randomness.

    Returns
    -------
    Tensor
        ``[batch, frames, negatives]``, indices into the batch's frames ``[batch * frames]``. A
        frame is never its own negative; in fairseq it may be one of its negatives from all crops.
    """
    indices = []
    if keys.num_negatives:
        high = min(frames, keys.sample_distance or frames)
        shape = (batch, frames, keys.num_negatives)
        within = torch.randint(high - 1, shape, generator=generator)
        within += within >= torch.arange(frames)[:, None]
        indices.append(within + frames * torch.arange(batch)[:, None, None])
    if keys.cross_sample_negatives:
        shape = (batch, frames, keys.cross_sample_negatives)
        across = torch.randint(batch * frames - 1, shape, generator=generator)
        across += across >= torch.arange(batch * frames).view(batch, frames, 1)
        indices.append(across)
    return torch.cat(indices, dim=2)


class FuturePredictions(nn.Module):
    """Predictions of future frames and their loss.

    Parameters
    ----------
    in_channels : int
        Channels of c.
    out_channels : int
        Channels of z.
    keys : Wav2VecKeys
        Settings of the objective.
    offset : int
        Distance of the first predicted frame.
    """

    def __init__(self, in_channels: int, out_channels: int, keys: Wav2VecKeys, offset: int) -> None:
        super().__init__()
        self.project_to_steps = nn.ConvTranspose2d(
            in_channels, out_channels, (1, keys.prediction_steps)
        )
        self._keys, self._offset = keys, offset

    def forward(self, c: Tensor, z: Tensor, negatives: Tensor) -> ObjectiveSum:
        """Compute the loss of all predictions.

        Parameters
        ----------
        c : Tensor
            Context frames ``[batch, in_channels, frames]``.
        z : Tensor
            Encoder frames ``[batch, out_channels, frames]``.
        negatives : Tensor
            ``[batch, frames, negatives]``, see `sample_negatives`; those of the predicted frame.

        Returns
        -------
        ObjectiveSum
            Sums over all predictions of frames that exist.
        """
        batch, _, frames = z.shape
        steps = min(self._keys.prediction_steps, frames - self._offset)
        targets = frames - self._offset  # frames that some step predicts
        predictions = self._predict(c, steps)
        # The prediction of target u by step k is that of frame u - k, counted without the offset.
        aligned = torch.stack(
            [
                functional.pad(predictions[:, : targets - step, step], (0, 0, step, 0))
                for step in range(steps)
            ],
            dim=2,
        )
        candidates = self._candidates(z, negatives)[:, self._offset :]
        scores = torch.matmul(aligned, candidates.transpose(2, 3)).float()
        exists = torch.arange(targets)[:, None] >= torch.arange(steps)
        count = batch * int(exists.sum())
        mask = exists.to(scores.device)[None]
        true, others = scores[..., :1], scores[..., 1:]
        first = ((true > others).all(dim=3) & mask).sum()
        if self._keys.infonce:
            losses = torch.logsumexp(scores, dim=3) - true[..., 0]
        else:
            weight = 1 / self._keys.num_negatives if self._keys.balanced_classes else 1.0
            losses = functional.softplus(-true[..., 0])
            losses = losses + weight * functional.softplus(others).sum(dim=3)
        return ObjectiveSum((losses * mask).sum(), count, first)

    def _predict(self, c: Tensor, steps: int) -> Tensor:
        """Return the predictions ``[batch, frames, steps, out_channels]`` of every frame."""
        # As one product: torch's transposed convolution of one column is slower.
        layer = self.project_to_steps
        weight = layer.weight[:, :, 0, :steps].permute(0, 2, 1)
        product = torch.matmul(c.transpose(1, 2), weight.flatten(1))
        assert layer.bias is not None
        predictions: Tensor = product.view(*product.shape[:2], *weight.shape[1:]) + layer.bias
        return predictions

    def _candidates(self, z: Tensor, negatives: Tensor) -> Tensor:
        """Return each frame and its negatives, ``[batch, frames, 1 + negatives, channels]``."""
        batch, channels, frames = z.shape
        rows = z.transpose(1, 2).reshape(batch * frames, channels)
        true = torch.arange(batch * frames, device=z.device).view(batch, frames, 1)
        return functional.embedding(torch.cat([true, negatives], dim=2), rows)


class Wav2VecPretraining(Wav2Vec):
    """wav2vec with the layer that only pre-training uses.

    Parameters
    ----------
    keys : Wav2VecKeys
        fairseq's settings of network and objective.
    """

    def __init__(self, keys: Wav2VecKeys) -> None:
        super().__init__(Wav2VecArchitecture.from_arguments(keys.arguments()))
        self._keys = keys
        offset = keys.offset
        if offset == "auto":
            offset = automatic_offset(self.architecture.encoder)
        self._offset = offset
        self.wav2vec_predictions = FuturePredictions(
            self.architecture.aggregator[-1][0], self.architecture.encoder[-1][0], keys, offset
        )

    @property
    def minimum_samples(self) -> int:
        """Samples of the shortest crop that has a prediction."""
        return self.architecture.minimum_samples + self._offset * self.architecture.hop_samples

    @property
    def chance(self) -> float:
        """Share of predictions whose true frame ranks first by chance."""
        return 1 / (1 + self._keys.num_negatives + self._keys.cross_sample_negatives)

    def sample(self, batch: int, samples: int, generator: torch.Generator) -> Tensor:
        """Sample what a batch needs besides its waveforms: the negatives.

        Parameters
        ----------
        batch : int
            Number of crops.
        samples : int
            Samples of each crop.
        generator : Generator
            Source of randomness.

        Returns
        -------
        Tensor
            See `sample_negatives`.
        """
        frames = self.architecture.frame_count(samples)
        return sample_negatives(batch, frames, self._keys, generator)

    def forward(self, waveforms: Tensor, negatives: Tensor) -> ObjectiveSum:
        """Compute the objective of a batch of crops.

        Parameters
        ----------
        waveforms : Tensor
            ``[batch, samples]`` at 16 kHz.
        negatives : Tensor
            What `sample` returned.

        Returns
        -------
        ObjectiveSum
            Sums over all predictions.
        """
        z = self.encode(waveforms)
        objective: ObjectiveSum = self.wav2vec_predictions(self.contextualise(z), z, negatives)
        return objective
