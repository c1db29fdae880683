"""The table of layer weights: how much of each layer of a network the trained models take."""

from __future__ import annotations

import pyarrow as pa

from emoscale.tables.schemas import schema_field
from emoscale.training.run_record import RepeatRecord, RunRecord

LAYER_WEIGHTS = pa.schema(
    [
        schema_field("experiment", pa.string(), "representation and model, by the study's name"),
        schema_field("fold", pa.string(), "which part of the corpus is tested"),
        schema_field("size", pa.string(), "training size as asked for"),
        schema_field("repeat", pa.int32(), "training order and initialisation"),
        schema_field("representation", pa.string(), "whose layers are weighed"),
        schema_field("layer", pa.int32(), "hidden state; 0 is what enters the transformer"),
        schema_field("weight", pa.float64(), "its weight, 0 to 1; those of all layers sum to 1"),
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
            "weight": share,
        }
        for weighed in repeat.layer_weights
        for layer, share in zip(weighed.layers, weighed.weights, strict=True)
    ]
