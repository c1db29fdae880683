"""Advice on which setting to change when a training runs out of memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from emoscale.runtime.memory import default_memory_advice
from emoscale.store.index import FeatureStore


def memory_advice(
    kind: str, batch_size: int, stores: Sequence[FeatureStore]
) -> Callable[[bool], str]:
    """Return advice for a training that runs out of memory.

    The batch size is never changed automatically, because that would change the numbers.

    Parameters
    ----------
    kind : str
        Kind of the model.
    batch_size : int
        Utterances per step.
    stores : sequence of FeatureStore
        Features of each input of the model.

    Returns
    -------
    callable
        Returns the advice; its argument is whether the memory of a GPU is exhausted.
    """

    def advice(on_gpu: bool) -> str:
        if kind == "estimator":
            cause = "an estimator needs the vectors of all training utterances at once; "
            return cause + default_memory_advice(on_gpu)
        sizes = [store.max_frames * store.values_per_frame * 4 * batch_size for store in stores]
        largest = stores[sizes.index(max(sizes))]
        text = (
            f"its largest array is a batch of {batch_size} utterances of up to "
            f"{largest.max_frames:,} frames of {largest.values_per_frame:,} values "
            f"({largest.name}: up to {max(sizes) / 1e9:,.2f} GB as input of the model); "
        )
        if batch_size > 1:
            text += (
                f"lower training.batch_size from {batch_size} to "
                f"{batch_size // 2}, which is another training and changes its numbers; or "
            )
        return text + default_memory_advice(on_gpu)

    return advice
