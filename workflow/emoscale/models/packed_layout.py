"""Layout of a packed batch: the indices by which its frames are summed, padded and reordered."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from emoscale.models.execution import prefers_few_operations


class PackedLayout:
    """Indices of a packed batch, and reductions over each utterance's frames.

    Indices are computed on the CPU when they are first used, and once per batch. A GPU reads them
    from pinned memory, so the CPU does not wait for the operations that were started before.

    Parameters
    ----------
    lengths : list of int
        Number of frames of each utterance.
    device : torch.device
        Device of the frames.

    Examples
    --------
    >>> layout = PackedLayout([2, 1], torch.device("cpu"))
    >>> layout.sum(torch.tensor([[1.0], [2.0], [3.0]])).tolist()
    [[3.0], [3.0]]
    >>> layout.softmax(torch.tensor([5.0, 5.0, -1.0])).tolist()
    [0.5, 0.5, 1.0]
    >>> layout.pad(torch.tensor([[1.0], [2.0], [3.0]])).tolist()
    [[[1.0], [2.0]], [[3.0], [0.0]]]
    """

    def __init__(self, lengths: list[int], device: torch.device) -> None:
        self.lengths = lengths
        self.device = device

    @cached_property
    def _host(self) -> tuple[Tensor, Tensor]:
        """The counts and the utterance of each frame, on the CPU."""
        counts = torch.tensor(self.lengths)
        utterances = torch.arange(len(self.lengths))
        return counts, torch.repeat_interleave(utterances, counts, output_size=sum(self.lengths))

    @cached_property
    def _sent(self) -> list[Tensor]:
        return send(self.device, *self._host)

    @property
    def counts(self) -> Tensor:
        """``[utterances]``, number of frames of each utterance."""
        return self._sent[0]

    @property
    def utterance(self) -> Tensor:
        """``[total frames]``, index of the utterance of each frame."""
        return self._sent[1]

    @cached_property
    def batch_sizes(self) -> Tensor:
        """``[steps]`` on the CPU, number of utterances that have each step of a recurrence."""
        counts, _ = self._host
        return len(self.lengths) - torch.bincount(counts).cumsum(dim=0)[:-1]

    @cached_property
    def time_major(self) -> list[Tensor]:
        """Per direction, ``[total frames]``: the index of each frame in torch's `PackedSequence`.

        Frames are ordered by step, and within a step by descending length of the utterance.
        """
        counts, utterance = self._host
        rank = torch.empty_like(counts)  # of each utterance by descending length
        rank[torch.argsort(counts, descending=True, stable=True)] = torch.arange(len(counts))
        starts = self.batch_sizes.cumsum(dim=0) - self.batch_sizes
        to_last = counts.cumsum(dim=0)[utterance] - 1 - torch.arange(len(utterance))
        from_first = counts[utterance] - 1 - to_last
        indices = [starts[step] + rank[utterance] for step in (from_first, to_last)]
        return send(self.device, *indices)

    @cached_property
    def _padded(self) -> Tensor:
        """``[total frames]``, row of each frame in a padded batch ``[utterances * longest, …]``."""
        counts, utterance = self._host
        missing = max(self.lengths) - counts
        before = missing.cumsum(dim=0) - missing
        (rows,) = send(self.device, torch.arange(len(utterance)) + before[utterance])
        return rows

    def sum(self, frames: Tensor) -> Tensor:
        """Sum the frames of each utterance, in float32 (float64 for float64 frames).

        Parameters
        ----------
        frames : Tensor
            Packed frames, ``[total frames, dim]``.

        Returns
        -------
        Tensor
            Sums, ``[utterances, dim]``.
        """
        frames = frames if frames.dtype == torch.float64 else frames.float()
        if prefers_few_operations(self.device):
            # A GPU adds frames of one index one after the other, to get the same sum in each run.
            return self.pad(frames).sum(dim=1)
        zeros = frames.new_zeros(len(self.lengths), frames.shape[1])
        return zeros.index_add(0, self.utterance, frames)

    def mean(self, frames: Tensor) -> Tensor:
        """Average the frames of each utterance.

        Parameters
        ----------
        frames : Tensor
            Packed frames, ``[total frames, dim]``.

        Returns
        -------
        Tensor
            Means, ``[utterances, dim]``.
        """
        return self.sum(frames) / self.counts[:, None]

    def broadcast(self, vectors: Tensor) -> Tensor:
        """Repeat the vector of each utterance for all its frames.

        Parameters
        ----------
        vectors : Tensor
            One vector per utterance, ``[utterances, dim]``.

        Returns
        -------
        Tensor
            One vector per frame, ``[total frames, dim]``.
        """
        if prefers_few_operations(self.device):  # its gradient is a sum over frames, see `sum`
            return self.unpad(vectors[:, None].expand(-1, max(self.lengths), -1))
        return vectors.index_select(0, self.utterance)

    def softmax(self, logits: Tensor) -> Tensor:
        """Compute the softmax over the frames of each utterance.

        Parameters
        ----------
        logits : Tensor
            One logit per frame, ``[total frames]``.

        Returns
        -------
        Tensor
            Weights that sum to 1 over each utterance, ``[total frames]``.
        """
        logits = logits if logits.dtype == torch.float64 else logits.float()
        minima = logits.new_full((len(self.lengths),), -torch.inf)
        maxima = minima.scatter_reduce(0, self.utterance, logits.detach(), "amax")
        exponentials = torch.exp(logits - maxima[self.utterance])
        sums = self.sum(exponentials[:, None])
        return exponentials / self.broadcast(sums)[:, 0]

    def pad(self, frames: Tensor) -> Tensor:
        """Return packed frames as a batch that is padded with zeros.

        Parameters
        ----------
        frames : Tensor
            Packed frames, ``[total frames, dim]``.

        Returns
        -------
        Tensor
            ``[utterances, longest, dim]``.
        """
        shape = len(self.lengths), max(self.lengths), frames.shape[1]
        zeros = frames.new_zeros(shape[0] * shape[1], shape[2])
        return zeros.index_copy(0, self._padded, frames).view(shape)

    def unpad(self, padded: Tensor) -> Tensor:
        """Return the packed frames of a padded batch.

        Parameters
        ----------
        padded : Tensor
            ``[utterances, longest, dim]``.

        Returns
        -------
        Tensor
            Packed frames, ``[total frames, dim]``.
        """
        return padded.flatten(0, 1).index_select(0, self._padded)


def send(device: torch.device, *tensors: Tensor) -> list[Tensor]:
    """Copy tensors from the CPU to a device, in one copy for which the CPU does not wait.

    Parameters
    ----------
    device : torch.device
        The device; a CPU gets the same tensors.
    *tensors : Tensor
        Tensors of one type and of one dimension.

    Returns
    -------
    list of Tensor
        The tensors on the device.
    """
    if device.type == "cpu":
        return list(tensors)
    joined = torch.cat(tensors)
    if device.type == "cuda":
        joined = joined.pin_memory()
    sent = joined.to(device, non_blocking=True)
    return list(torch.split(sent, [len(tensor) for tensor in tensors]))
