"""Which utterances are computed together, and how fewer are where memory runs out."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

from emoscale.representations.contract import Extracted
from emoscale.runtime.memory import FEWER_AT_ONCE, explain_out_of_memory, is_out_of_memory

Rows = Sequence[dict[str, Any]]


def plan_batches(seconds: Sequence[float], batch_seconds: float) -> list[list[int]]:
    """Places of utterances, batch by batch: the longest first, neighbours of similar length.

    A batch has as many utterances as fit in `batch_seconds` when each counts as its longest (which
    they are padded to), and at least one. The largest batch comes first, so that too little memory
    shows at once and not at the end.

    >>> plan_batches([1.0, 5.0, 2.0, 4.5, 2.0], batch_seconds=10.0)
    [[1, 3], [2, 4, 0]]
    >>> plan_batches([1.0, 5.0], batch_seconds=0.0)
    [[1], [0]]
    """
    batches: list[list[int]] = []
    for place in sorted(range(len(seconds)), key=lambda place: (-seconds[place], place)):
        room = batches and (len(batches[-1]) + 1) * seconds[batches[-1][0]] <= batch_seconds
        if room:
            batches[-1].append(place)
        else:
            batches.append([place])
    return batches


class SmallerBatches:
    """Computes batches of utterances, and from where memory ran out on, smaller ones.

    What an utterance gets does not depend on its batch (see `Representation`), so nothing of this
    is in the results; a line says it.
    """

    def __init__(
        self,
        label: str,
        compute: Callable[[Rows, list[Any]], list[Extracted]],
        advice: Callable[[bool], str],
    ) -> None:
        """`label` names the step; `advice` is told whether a GPU's memory is too small."""
        self._label, self._compute, self._advice = label, compute, advice
        self._most_seconds = math.inf

    def extract(self, rows: Rows, given: list[Any]) -> list[Extracted]:
        """What is computed of each of `rows` from what is `given` of it.

        Raises `MemoryLimitError` where not even one utterance fits.
        """
        longest = max(float(row["seconds"]) for row in rows)
        if len(rows) > 1 and len(rows) * longest > self._most_seconds:
            return self._halves(rows, given)
        if len(rows) == 1:
            step = f"{self._label}: {rows[0]['utterance']}, {longest:,.1f} s long"
            with explain_out_of_memory(step, self._advice):
                return self._compute(rows, given)
        try:
            return self._compute(rows, given)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Here the error is gone, and with it what it held of memory.
        _give_back_gpu_memory()
        self._most_seconds = len(rows) * longest / 2
        print(
            f"{self._label}: memory ran out with {len(rows)} utterances of up to {longest:,.1f} s "
            f"at once; going on with batches of {self._most_seconds:,.1f} s at most (the results "
            "are the same)",
            file=sys.stderr,
            flush=True,
        )
        return self._halves(rows, given)

    def _halves(self, rows: Rows, given: list[Any]) -> list[Extracted]:
        half = len(rows) // 2
        return [
            *self.extract(rows[:half], given[:half]),
            *self.extract(rows[half:], given[half:]),
        ]


def settings_that_help(name: str, settings: Any) -> Callable[[bool], str]:
    """What to change of the representation `name`, whose one utterance does not fit in memory."""

    def advice(on_gpu: bool) -> str:
        ways = []
        window = getattr(settings, "chunk_seconds", None)
        if settings.kind == "transformers_audio" and window is not None and window > 5:
            shorter = max(5.0, window / 2)
            ways.append(f"lower representations.{name}.chunk_seconds ({window:g}) to {shorter:g}")
        layer = getattr(settings, "layer", None)
        if layer == "all" or (isinstance(layer, list) and len(layer) > 1):
            ways.append(f"name fewer layers in representations.{name}.layer")
        if getattr(settings, "precision", None) == "float32":
            ways.append(f"set representations.{name}.precision to bfloat16")
        ways.append("set execution.device to cpu" if on_gpu else FEWER_AT_ONCE)
        return "; or ".join(ways)

    return advice


def _give_back_gpu_memory() -> None:
    import torch

    torch.cuda.empty_cache()  # does nothing where no GPU is in use
