"""Batches of utterances of similar length, split in half if memory runs out."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

from emoscale.representations.contract import UtteranceFeatures
from emoscale.runtime.memory import FEWER_PARALLEL_STEPS, explain_out_of_memory, is_out_of_memory

Rows = Sequence[dict[str, Any]]
"""Rows of schema `EXTRACTION_INPUTS`, one per utterance."""


def plan_batches(seconds: Sequence[float], batch_seconds: float) -> list[list[int]]:
    """Group utterances of similar length into batches, the longest first.

    A batch takes at most `batch_seconds`, counting each of its utterances as the longest (the
    length after padding), and at least one utterance. The largest batch comes first, so that
    insufficient memory shows at once.

    Parameters
    ----------
    seconds : sequence of float
        Duration of each utterance.
    batch_seconds : float
        Maximum duration of a batch after padding.

    Returns
    -------
    list of list of int
        Indices of the utterances of each batch.

    Examples
    --------
    >>> plan_batches([1.0, 5.0, 2.0, 4.5, 2.0], batch_seconds=10.0)
    [[1, 3], [2, 4, 0]]
    >>> plan_batches([1.0, 5.0], batch_seconds=0.0)
    [[1], [0]]
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(seconds)), key=lambda index: (-seconds[index], index)):
        if batches and (len(batches[-1]) + 1) * seconds[batches[-1][0]] <= batch_seconds:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


class AdaptiveBatchExtractor:
    """Extracts features batch by batch, with smaller batches after memory runs out.

    The results do not depend on the batches (see `Representation`). A line on stderr reports each
    reduction.

    Parameters
    ----------
    label : str
        Name of the step, for messages.
    compute : callable
        Computes the features of a batch from its rows and inputs.
    advice : callable
        Returns which setting to change, from whether a GPU's memory is too small.
    """

    def __init__(
        self,
        label: str,
        compute: Callable[[Rows, list[Any]], list[UtteranceFeatures]],
        advice: Callable[[bool], str],
    ) -> None:
        self._label, self._compute, self._advice = label, compute, advice
        self._max_seconds = math.inf

    def extract(self, rows: Rows, inputs: list[Any]) -> list[UtteranceFeatures]:
        """Compute the features of a batch, in halves if it does not fit in memory.

        Parameters
        ----------
        rows : sequence of dict
            Rows of the utterances.
        inputs : list
            Waveform or transcript of each utterance.

        Returns
        -------
        list of UtteranceFeatures
            Features of each utterance, in order.

        Raises
        ------
        MemoryLimitError
            If a single utterance does not fit.
        """
        longest = max(float(row["seconds"]) for row in rows)
        if len(rows) > 1 and len(rows) * longest > self._max_seconds:
            return self._extract_halves(rows, inputs)
        if len(rows) == 1:
            step = f"{self._label}: {rows[0]['utterance']}, {longest:,.1f} s long"
            with explain_out_of_memory(step, self._advice):
                return self._compute(rows, inputs)
        try:
            return self._compute(rows, inputs)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Only after the except block are the error and the tensors of its traceback released.
        _empty_gpu_cache()
        self._max_seconds = len(rows) * longest / 2
        print(
            f"{self._label}: memory ran out with a batch of {len(rows)} utterances of up to "
            f"{longest:,.1f} s; continuing with batches of at most {self._max_seconds:,.1f} s "
            "(the results do not change)",
            file=sys.stderr,
            flush=True,
        )
        return self._extract_halves(rows, inputs)

    def _extract_halves(self, rows: Rows, inputs: list[Any]) -> list[UtteranceFeatures]:
        half = len(rows) // 2
        return [
            *self.extract(rows[:half], inputs[:half]),
            *self.extract(rows[half:], inputs[half:]),
        ]


def memory_advice(name: str, settings: Any) -> Callable[[bool], str]:
    """Return advice for a representation of which one utterance does not fit in memory.

    Parameters
    ----------
    name : str
        The representation's name in the configuration.
    settings : Settings
        The representation's settings.

    Returns
    -------
    callable
        Returns which settings to change, from whether a GPU's memory is too small.
    """

    def advice(on_gpu: bool) -> str:
        remedies = []
        chunk_seconds = getattr(settings, "chunk_seconds", None)
        if (
            settings.kind == "transformers_audio"
            and chunk_seconds is not None
            and chunk_seconds > 5
        ):
            shorter = max(5.0, chunk_seconds / 2)
            remedies.append(
                f"lower representations.{name}.chunk_seconds ({chunk_seconds:g}) to {shorter:g}"
            )
        layer = getattr(settings, "layer", None)
        if layer == "all" or (isinstance(layer, list) and len(layer) > 1):
            remedies.append(f"select fewer layers in representations.{name}.layer")
        if getattr(settings, "precision", None) == "float32":
            remedies.append(f"set representations.{name}.precision to bfloat16")
        remedies.append("set execution.device to cpu" if on_gpu else FEWER_PARALLEL_STEPS)
        return "; or ".join(remedies)

    return advice


def _empty_gpu_cache() -> None:
    import torch

    torch.cuda.empty_cache()  # does nothing if no GPU is in use
