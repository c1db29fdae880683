"""Which setting helps where a training does not fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from emoscale.runtime.memory import usual_advice
from emoscale.store.index import FeatureStore


def settings_that_help(
    kind: str, batch_size: int, stores: Sequence[FeatureStore]
) -> Callable[[bool], str]:
    """What to change where a training of a model of this kind does not fit in memory.

    Nothing is changed by itself: another batch is another training.
    """

    def advice(on_gpu: bool) -> str:
        if kind == "estimator":
            said = "an estimator takes a vector of every training utterance at once; "
            return said + usual_advice(on_gpu)
        sizes = [store.longest * store.values_a_frame * 4 * batch_size for store in stores]
        largest = stores[sizes.index(max(sizes))]
        said = (
            f"its largest piece is a step of {batch_size} utterances of up to "
            f"{largest.longest:,} frames of {largest.values_a_frame:,} values ({largest.name}: up "
            f"to {max(sizes) / 1e9:,.2f} GB as they enter the model); "
        )
        if batch_size > 1:
            said += (
                f"lower training.batch_size from {batch_size} to "
                f"{batch_size // 2}, which is another training and changes its numbers; or "
            )
        return said + usual_advice(on_gpu)

    return advice
