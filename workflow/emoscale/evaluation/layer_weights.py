"""The table of layer weights: how much of each layer of a network the trained models take."""

from __future__ import annotations

import pyarrow as pa

from emoscale.tables.schemas import described
from emoscale.training.run_record import RepeatRecord, RunRecord

LAYER_WEIGHTS = pa.schema(
    [
        described("experiment", pa.string(), "representation and model, by the study's name"),
        described("fold", pa.string(), "which part of the corpus is tested"),
        described("size", pa.string(), "training size as asked for"),
        described("repeat", pa.int32(), "training order and initialisation"),
        described("representation", pa.string(), "whose layers are weighed"),
        described("layer", pa.int32(), "hidden state; 0 is what enters the transformer"),
        described("share", pa.float64(), "its weight, 0 to 1; those of all layers sum to 1"),
    ]
)
"""A row an experiment, fold, size, repeat, representation and layer, where layers are weighed."""


def layer_weight_rows(run: RunRecord, repeat: RepeatRecord) -> list[dict[str, object]]:
    """The shares of one repeat of a cell; none where no input has several layers."""
    return [
        {
            "experiment": run.experiment,
            "fold": run.fold,
            "size": run.size,
            "repeat": repeat.repeat,
            "representation": weighed.representation,
            "layer": layer,
            "share": share,
        }
        for weighed in repeat.layer_weights
        for layer, share in zip(weighed.layers, weighed.weights, strict=True)
    ]
