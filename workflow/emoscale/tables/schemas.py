"""Schemas of the tables that steps exchange: columns, their types and what they mean."""

from __future__ import annotations

import pyarrow as pa

from emoscale.tables.digests import MEASURED

VOTE = pa.struct([("rater", pa.string()), ("label", pa.string())])
SHARE = pa.struct([("label", pa.string()), ("share", pa.float64())])
WORD = pa.struct([("word", pa.string()), ("start", pa.float64()), ("end", pa.float64())])


def schema_field(
    name: str, kind: pa.DataType, meaning: str, *, null: bool = False, measured: bool = False
) -> pa.Field:
    """A column with what it means; null only where it says so.

    `measured` is a time or a memory measurement: equal studies need not agree in it.
    """
    metadata = {b"meaning": meaning.encode(), **({MEASURED: b"yes"} if measured else {})}
    return pa.field(name, kind, nullable=null, metadata=metadata)


_RECORDING_FIELDS = [
    schema_field("utterance", pa.string(), "unique key"),
    schema_field("corpus", pa.string(), "corpus it comes from"),
    schema_field("audio", pa.string(), "path relative to the corpus root"),
    schema_field(
        "start", pa.float64(), "seconds within that file; null: from its beginning", null=True
    ),
    schema_field("end", pa.float64(), "seconds within that file; null: to its end", null=True),
    schema_field("seconds", pa.float64(), "duration, seconds"),
    schema_field("sample_rate", pa.int32(), "of the file, Hz; features are computed at 16,000 Hz"),
    schema_field("channels", pa.int32(), "of the file; several are averaged to one"),
    schema_field("speaker", pa.string(), "who speaks"),
    schema_field("sex", pa.string(), "F, M or null", null=True),
    schema_field("session", pa.string(), "recording session", null=True),
    schema_field("dialog", pa.string(), "dialog the utterance belongs to", null=True),
    schema_field("style", pa.string(), "improvised, scripted or null", null=True),
    schema_field("emotion", pa.string(), "the corpus's own label"),
    schema_field("valence", pa.float64(), "mean rating, in the corpus's units", null=True),
    schema_field("activation", pa.float64(), "mean rating, in the corpus's units", null=True),
    schema_field("dominance", pa.float64(), "mean rating, in the corpus's units", null=True),
    schema_field(
        "votes",
        pa.list_(VOTE),
        "each rater's labels, in the words of `emotion`; a word that is none stands as written",
        null=True,
    ),
    schema_field("audio_sha256", pa.string(), "of the decoded samples, their rate and channels"),
]

_TEXT_FIELDS = [
    schema_field("transcript", pa.string(), "as the corpus writes it", null=True),
    schema_field(
        "words", pa.list_(WORD), "alignment, seconds from the utterance's start", null=True
    ),
    schema_field(
        "text_key", pa.string(), "normalised transcript, for finding repeated text", null=True
    ),
]

RECORDINGS = pa.schema(_RECORDING_FIELDS)
"""Every usable utterance of the corpus, before the study's classes are known; no texts."""

UTTERANCES = pa.schema(
    [
        *_RECORDING_FIELDS,
        schema_field("label", pa.string(), "the study's class; null: outside the study", null=True),
        schema_field(
            "vote_shares",
            pa.list_(SHARE),
            "share of each of the study's classes in the raters' votes; they sum to 1; null: no "
            "vote is for a class",
            null=True,
        ),
    ]
)
"""The utterance table: recordings with the study's classes."""

REJECTED = pa.schema(
    [
        schema_field("utterance", pa.string(), "key, where there is one", null=True),
        schema_field("file", pa.string(), "path relative to the corpus root"),
        schema_field("location", pa.string(), "line or part of the file", null=True),
        schema_field("reason", pa.string(), "short code of the reason"),
        schema_field("detail", pa.string(), "the reason in a sentence"),
    ]
)
"""What was left out, and why."""

_PLACE = ("utterance", "audio", "start", "end", "seconds", "audio_sha256")

SHARD = pa.schema(
    [field for field in _RECORDING_FIELDS if field.name in (*_PLACE, "sample_rate", "channels")]
)
"""A shard's recordings: neither labels nor texts, so that these extract no audio again."""

TEXTS = pa.schema([_RECORDING_FIELDS[0], *_TEXT_FIELDS])
"""What is said: apart from all else, so that a corrected transcript changes no fold."""

TALKERS = pa.schema(
    [
        field
        for field in _RECORDING_FIELDS
        if field.name in ("utterance", "audio", "start", "end", "seconds", "speaker")
    ]
)
"""Whose voices others are heard through."""

EXTRACTION_INPUTS = pa.schema(
    [*(field for field in _RECORDING_FIELDS if field.name in _PLACE), *_TEXT_FIELDS[:2]]
)
"""What extraction reads of an utterance; no labels."""

FEATURE_INDEX = pa.schema(
    [
        schema_field("utterance", pa.string(), "unique key"),
        schema_field("shard", pa.string(), "file that holds it, beside the index"),
        schema_field("row", pa.int64(), "its position in that shard"),
        schema_field("frames", pa.int64(), "number of frames"),
        schema_field("chunks", pa.int32(), "parts that it was computed in; 1: as a whole"),
    ]
)
"""Where the features of each utterance are; the shards' digests are in the table's metadata."""

HISTORY = pa.schema(
    [
        schema_field("repeat", pa.int32(), "which training of the cell, from 0"),
        schema_field("step", pa.int32(), "optimiser steps so far"),
        schema_field("trial", pa.int32(), "point of the searched grid, from 0"),
        schema_field(
            "train_loss",
            pa.float64(),
            "mean weighted cross-entropy since the last row, nats; null: not trained by steps",
            null=True,
        ),
        schema_field("development_loss", pa.float64(), "weighted cross-entropy, nats", null=True),
        schema_field("development_ua", pa.float64(), "unweighted accuracy, 0 to 1", null=True),
        schema_field("best", pa.bool_(), "whether these weights were kept as the best so far"),
    ]
)
"""A row an evaluation of a training; of an estimator, a row a strength that was tried."""


def protocol_schema(repeats: int, shuffled: bool = False) -> pa.Schema:
    """A fold: the role of every labelled utterance, its rank in each training order.

    In a negative control (`shuffled`) there is also what each repeat is told the class is, and no
    votes, which would tell the truth.
    """
    told = "class that this repeat learns: permuted within training and within development"
    return pa.schema(
        [
            schema_field("utterance", pa.string(), "unique key"),
            schema_field("role", pa.string(), "train, dev or test; no dev where nothing is chosen"),
            schema_field("label", pa.string(), "true class"),
            schema_field("speaker", pa.string(), "who speaks"),
            schema_field(
                "votes", pa.list_(SHARE), "shares of the classes in the raters' votes", null=True
            ),
            *(
                schema_field(
                    f"rank_{repeat}", pa.int32(), "place in this training order", null=True
                )
                for repeat in range(repeats)
            ),
            *(
                schema_field(f"training_label_{repeat}", pa.string(), told)
                for repeat in range(repeats if shuffled else 0)
            ),
        ]
    )


def predictions_schema(classes: list[str]) -> pa.Schema:
    """A row a repeat and test utterance."""
    return pa.schema(
        [
            schema_field("utterance", pa.string(), "unique key"),
            schema_field("repeat", pa.int32(), "which training of the cell, from 0"),
            schema_field("label", pa.string(), "true class"),
            schema_field("predicted", pa.string(), "class of the highest probability"),
            *(
                schema_field(f"p_{name}", pa.float64(), "probability of this class")
                for name in classes
            ),
        ]
    )


def perturbed_schema(classes: list[str]) -> pa.Schema:
    """A row a condition, repeat and test utterance, where test audio is changed."""
    condition = schema_field("condition", pa.string(), "what it went through; clean: nothing")
    return pa.schema([condition, *predictions_schema(classes)])
