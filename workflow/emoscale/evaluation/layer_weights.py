"""The table of layer weights: how trained models weight the layers of pre-trained networks."""

from __future__ import annotations

import pyarrow as pa

from emoscale.tables.schemas import schema_field
from emoscale.training.run_record import RepeatRecord, RunRecord

LAYER_WEIGHTS = pa.schema(
    [
        schema_field("experiment", pa.string(), "name of the experiment (representation, model)"),
        schema_field("fold", pa.string(), "cross-validation fold"),
        schema_field("size", pa.string(), "training size, as in the study"),
        schema_field("repeat", pa.int32(), "repeat (training order and seed), from 0"),
        schema_field("representation", pa.string(), "representation whose layers are weighted"),
        schema_field("layer", pa.int32(), "hidden state; 0: input of the first transformer layer"),
        schema_field("weight", pa.float64(), "layer weight, 0 to 1; all layers sum to 1"),
    ]
)
"""One row per experiment, fold, size, repeat, representation and layer, for weighted layers."""


def layer_weight_rows(run: RunRecord, repeat: RepeatRecord) -> list[dict[str, object]]:
    """Return the layer weights of one repeat of a cell.

    Parameters
    ----------
    run : RunRecord
        The record of the run.
    repeat : RepeatRecord
        One of its repeats.

    Returns
    -------
    list of dict
        Rows of `LAYER_WEIGHTS`; empty if no input has several layers.
    """
    return [
        {
            "experiment": run.experiment,
            "fold": run.fold,
            "size": run.size,
            "repeat": repeat.repeat,
            "representation": record.representation,
            "layer": layer,
            "weight": weight,
        }
        for record in repeat.layer_weights
        for layer, weight in zip(record.layers, record.weights, strict=True)
    ]
