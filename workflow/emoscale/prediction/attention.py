"""Where the tokens of an utterance of a study look in its speech, in a trained model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import torch
from numpy.typing import NDArray

from emoscale.models.aligned_fusion import AlignedFusion
from emoscale.models.registry import build_model
from emoscale.runtime.errors import StoreError, UserError
from emoscale.store.index import FeatureStore
from emoscale.tables.parquet import dataframe_of, read_table
from emoscale.tables.schemas import TEXTS, schema_field
from emoscale.training.cell_features import CellFeatures
from emoscale.training.saved_run import SavedRepeat, SavedRun

SPECIAL = "(special)"
"""In place of a token that stands for no character of the transcript."""


@dataclass(frozen=True)
class AttentionMap:
    """How each token of an utterance spreads its attention over the frames of speech."""

    utterance: str
    transcript: str

    tokens: list[str]
    """As the transcript writes them."""

    attention: NDArray[np.float64]
    """[heads, tokens, frames]; the sum over frames is 1."""

    frame_rate: float
    """Frames a second."""

    seconds: NDArray[np.float64]
    """[tokens, 2] when each token's word is spoken; not a number where that is unknown."""


ATTENTION = pa.schema(
    [
        schema_field("utterance", pa.string(), "unique key"),
        schema_field("token", pa.int32(), "place in the transcript, from 0"),
        schema_field("text", pa.string(), "of the token"),
        schema_field("token_start", pa.float64(), "of its word, seconds; null: unknown", null=True),
        schema_field("token_end", pa.float64(), "of its word, seconds; null: unknown", null=True),
        schema_field("head", pa.int32(), "of the attention, from 0"),
        schema_field("frame", pa.int32(), "of the speech, from 0"),
        schema_field("start", pa.float64(), "of the frame, seconds"),
        schema_field("weight", pa.float64(), "of the token's attention in this head, 0 to 1"),
    ]
)
"""A row a head, token and frame."""


def attention_of_utterance(
    run: SavedRun, repeat: SavedRepeat, study: Path, utterance: str, device: torch.device
) -> AttentionMap:
    """The map of an utterance of the study whose results are in the folder `study`.

    Raises `UserError` where the model aligns nothing, and `StoreError` where the study's features
    are not those that the model was trained on, or the utterance is not there.
    """
    if repeat.model.kind != "aligned_fusion":
        raise UserError(
            f"{run.folder}: is a model of the kind {repeat.model.kind}, which has no map; name a "
            "training of the kind aligned_fusion"
        )
    stores = [_store(run, place, study) for place in range(len(run.inputs))]
    frame_rate = stores[0].frame_rate
    if frame_rate is None:
        raise UserError(
            f"{run.folder}: frames of {run.inputs[0].name} are not equally spaced in "
            "time, so there is no map; name a model whose first input is speech"
        )
    features = [store.load([utterance]) for store in stores]
    characters, seconds = features[1].characters, features[1].seconds
    if characters is None or seconds is None:
        raise UserError(
            f"{run.folder}: {run.inputs[1].name} is no text, so there are no tokens to "
            "show; name a model whose second input is text"
        )
    network = build_model(repeat.model, run.shapes, len(run.classes)).to(device)
    assert isinstance(network, AlignedFusion)
    network.load_state_dict(repeat.weights)
    network.eval()
    cell_features = CellFeatures([utterance], features, device)
    speech, text = cell_features.batch(torch.tensor([0]))
    reduced = repeat.precision == "bfloat16"
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=reduced):
        (attention,) = network.attention_of(speech, text)
    transcript = _transcript(study, utterance)
    return AttentionMap(
        utterance,
        transcript,
        [transcript[first:end] or SPECIAL for first, end in characters.tolist()],
        attention.double().cpu().numpy(),
        frame_rate,
        seconds,
    )


def attention_frame(shown: AttentionMap) -> pl.DataFrame:
    """The map's numbers (schema `ATTENTION`)."""
    heads, tokens, frames = shown.attention.shape
    head, token, frame = (axis.ravel() for axis in np.indices((heads, tokens, frames)))
    columns = {
        "utterance": [shown.utterance] * len(head),
        "token": token,
        "text": [shown.tokens[place] for place in token],
        "token_start": shown.seconds[token, 0],
        "token_end": shown.seconds[token, 1],
        "head": head,
        "frame": frame,
        "start": frame / shown.frame_rate,
        "weight": shown.attention.ravel(),
    }
    table = dataframe_of([], ATTENTION)
    return pl.DataFrame(columns, schema_overrides=dict(table.schema)).with_columns(
        pl.col("token_start", "token_end").fill_nan(None)
    )


def attention_json(shown: AttentionMap) -> dict[str, Any]:
    """The same as nested lists: attention [heads][tokens][frames]; unknown times are null."""
    times = [None if np.isnan(row).any() else row.tolist() for row in shown.seconds]
    return {**asdict(shown), "attention": shown.attention.tolist(), "seconds": times}


def study_of(run: SavedRun) -> Path:
    """The folder of the study's results that the run lies in; raises `StoreError` where in none."""
    folder = run.folder.resolve()
    parents = folder.parents
    if len(parents) < 4 or parents[2].name != "runs":
        raise StoreError(f"{run.folder}: does not lie in a study's results; name them with --study")
    return parents[3]


def _store(run: SavedRun, place: int, study: Path) -> FeatureStore:
    saved = run.inputs[place]
    store = FeatureStore(study / "features" / saved.name / "index.parquet", saved.layer)
    if store.sha256 != saved.features_sha256:
        raise StoreError(
            f"{store.path}: holds other features than {run.name} was trained on; train it again"
        )
    return store


def _transcript(study: Path, utterance: str) -> str:
    path = study / "corpus" / "texts.parquet"
    rows = read_table(path, TEXTS).filter(pl.col("utterance") == utterance)
    if not len(rows) or rows["transcript"][0] is None:
        raise StoreError(f"{path}: has no transcript of {utterance}; run the study again")
    return str(rows["transcript"][0])
