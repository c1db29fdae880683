"""Schema of the table of losses of pre-trainings."""

from __future__ import annotations

import pyarrow as pa

from emoscale.tables.schemas import schema_field

HISTORY = pa.schema(
    [
        schema_field("checkpoint", pa.string(), "name under `checkpoints`"),
        schema_field("step", pa.int64(), "training steps completed"),
        schema_field("hours", pa.float64(), "speech that was trained on, hours; repetitions count"),
        schema_field(
            "loss",
            pa.float64(),
            "mean loss per prediction since the last row, nats; NaN before the first step",
        ),
        schema_field(
            "ranks_first",
            pa.float64(),
            "share of these predictions whose true frame ranks first of all candidates",
        ),
        schema_field("held_out_loss", pa.float64(), "mean loss per prediction, held-out speech"),
        schema_field(
            "held_out_ranks_first",
            pa.float64(),
            "share of predictions whose true frame ranks first, held-out speech",
        ),
        schema_field("chance", pa.float64(), "share by chance: 1 / candidates"),
    ]
)
"""Losses during pre-trainings, one row per measurement."""
