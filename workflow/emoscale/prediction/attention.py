"""Attention weights of the tokens of one utterance over its speech, in a trained model."""

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
from emoscale.training.normalisation import input_normalisations
from emoscale.training.saved_run import SavedRepeat, SavedRun

SPECIAL_TOKEN = "(special)"
"""Text of a token that corresponds to no character of the transcript."""


@dataclass(frozen=True)
class AttentionMap:
    """Attention weights of each token of an utterance over the frames of its speech."""

    utterance: str
    transcript: str

    tokens: list[str]
    """Text of each token, as in the transcript."""

    attention: NDArray[np.float64]
    """[heads, tokens, frames] attention weights; they sum to 1 over frames."""

    frame_rate: float
    """Frames per second."""

    seconds: NDArray[np.float64]
    """[tokens, 2] start and end of each token's word; NaN where unknown."""


ATTENTION = pa.schema(
    [
        schema_field("utterance", pa.string(), "unique key"),
        schema_field("token", pa.int32(), "index of the token in the transcript, from 0"),
        schema_field("text", pa.string(), "text of the token"),
        schema_field(
            "token_start",
            pa.float64(),
            "start of the token's word, seconds; null: unknown",
            null=True,
        ),
        schema_field(
            "token_end", pa.float64(), "end of the token's word, seconds; null: unknown", null=True
        ),
        schema_field("head", pa.int32(), "index of the attention head, from 0"),
        schema_field("frame", pa.int32(), "index of the speech frame, from 0"),
        schema_field("start", pa.float64(), "start of the frame, seconds"),
        schema_field(
            "weight", pa.float64(), "attention weight of the frame for token and head, 0 to 1"
        ),
    ]
)
"""Schema of a table with one row per head, token and frame."""


def attention_of_utterance(
    run: SavedRun, repeat: SavedRepeat, study: Path, utterance: str, device: torch.device
) -> AttentionMap:
    """Compute the attention weights for an utterance of the study.

    Parameters
    ----------
    run : SavedRun
        The run, of a model of the kind aligned_fusion.
    repeat : SavedRepeat
        The repeat of the run that is used.
    study : Path
        Folder of the study's results.
    utterance : str
        Key of the utterance.
    device : torch.device
        Device of the computation.

    Returns
    -------
    AttentionMap
        The attention weights, tokens and times.

    Raises
    ------
    UserError
        If the model is of another kind, or its inputs are not speech frames and text.
    StoreError
        If the study's features are not those that the model was trained on, or do not include the
        utterance.
    """
    if repeat.model.kind != "aligned_fusion":
        raise UserError(
            f"{run.folder}: is a model of the kind {repeat.model.kind}, which has no attention "
            "map; name the run of a model of the kind aligned_fusion"
        )
    stores = [_feature_store(run, index, study) for index in range(len(run.inputs))]
    frame_rate = stores[0].frame_rate
    if frame_rate is None:
        raise UserError(
            f"{run.folder}: frames of {run.inputs[0].name} are not equally spaced in time, so "
            "there is no attention map; name a model whose first input is speech"
        )
    features = [store.load([utterance]) for store in stores]
    characters, seconds = features[1].characters, features[1].seconds
    if characters is None or seconds is None:
        raise UserError(
            f"{run.folder}: {run.inputs[1].name} is not text, so it has no tokens; name a model "
            "whose second input is text"
        )
    network = build_model(repeat.model, run.shapes, len(run.classes)).to(device)
    assert isinstance(network, AlignedFusion)
    network.load_state_dict(repeat.weights)
    network.eval()
    normalisations = input_normalisations(run.normalisation, stores, [utterance], device)
    cell_features = CellFeatures([utterance], features, device, normalisations)
    speech, text = cell_features.batch(torch.tensor([0]))
    autocast = repeat.precision == "bfloat16"
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=autocast):
        (attention,) = network.attention_weights(speech, text)
    transcript = _read_transcript(study, utterance)
    return AttentionMap(
        utterance,
        transcript,
        [transcript[start:end] or SPECIAL_TOKEN for start, end in characters.tolist()],
        attention.double().cpu().numpy(),
        frame_rate,
        seconds,
    )


def attention_table(attention_map: AttentionMap) -> pl.DataFrame:
    """Convert an attention map to a table (schema `ATTENTION`).

    Parameters
    ----------
    attention_map : AttentionMap
        The map.

    Returns
    -------
    DataFrame
        One row per head, token and frame.
    """
    heads, tokens, frames = attention_map.attention.shape
    head, token, frame = (axis.ravel() for axis in np.indices((heads, tokens, frames)))
    columns = {
        "utterance": [attention_map.utterance] * len(head),
        "token": token,
        "text": [attention_map.tokens[index] for index in token],
        "token_start": attention_map.seconds[token, 0],
        "token_end": attention_map.seconds[token, 1],
        "head": head,
        "frame": frame,
        "start": frame / attention_map.frame_rate,
        "weight": attention_map.attention.ravel(),
    }
    empty = dataframe_of([], ATTENTION)
    return pl.DataFrame(columns, schema_overrides=dict(empty.schema)).with_columns(
        pl.col("token_start", "token_end").fill_nan(None)
    )


def attention_json(attention_map: AttentionMap) -> dict[str, Any]:
    """Convert an attention map to JSON-serialisable values.

    Parameters
    ----------
    attention_map : AttentionMap
        The map.

    Returns
    -------
    dict of str to Any
        The map's fields; attention weights are nested lists ``[heads][tokens][frames]``, and
        unknown times are None.
    """
    times = [None if np.isnan(row).any() else row.tolist() for row in attention_map.seconds]
    return {
        **asdict(attention_map),
        "attention": attention_map.attention.tolist(),
        "seconds": times,
    }


def study_folder(run: SavedRun) -> Path:
    """Return the folder of the study's results that contains a run.

    Parameters
    ----------
    run : SavedRun
        The run.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    StoreError
        If the run is not in a study's results.
    """
    folder = run.folder.resolve()
    parents = folder.parents
    if len(parents) < 4 or parents[2].name != "runs":
        raise StoreError(
            f"{run.folder}: is not in the results of a study; name their folder with --study"
        )
    return parents[3]


def _feature_store(run: SavedRun, index: int, study: Path) -> FeatureStore:
    record = run.inputs[index]
    store = FeatureStore(study / "features" / record.name / "index.parquet", record.layer)
    if store.sha256 != record.features_sha256:
        raise StoreError(
            f"{store.path}: holds other features than {run.name} was trained on; train it again"
        )
    return store


def _read_transcript(study: Path, utterance: str) -> str:
    path = study / "corpus" / "texts.parquet"
    rows = read_table(path, TEXTS).filter(pl.col("utterance") == utterance)
    if not len(rows) or rows["transcript"][0] is None:
        raise StoreError(f"{path}: has no transcript of {utterance}; run the study again")
    return str(rows["transcript"][0])
