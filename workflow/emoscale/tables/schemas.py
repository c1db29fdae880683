"""Schemas of the tables that workflow steps exchange: names, types and meanings of the columns."""

from __future__ import annotations

import pyarrow as pa

from emoscale.tables.digests import MEASURED

VOTE = pa.struct([("rater", pa.string()), ("label", pa.string())])
VOTE_SHARE = pa.struct([("label", pa.string()), ("share", pa.float64())])
WORD = pa.struct([("word", pa.string()), ("start", pa.float64()), ("end", pa.float64())])


def schema_field(
    name: str, data_type: pa.DataType, meaning: str, *, null: bool = False, measured: bool = False
) -> pa.Field:
    """Create a column of a schema, with its meaning in the field's metadata.

    Parameters
    ----------
    name : str
        Name of the column.
    data_type : pyarrow.DataType
        Type of the values.
    meaning : str
        Description of the column, with the unit.
    null : bool
        Whether values may be null.
    measured : bool
        Whether values are times or memory sizes, which differ between runs of equal studies.

    Returns
    -------
    pyarrow.Field
        Column with the metadata `meaning` and, if `measured`, the key `MEASURED`.
    """
    metadata = {b"meaning": meaning.encode(), **({MEASURED: b"yes"} if measured else {})}
    return pa.field(name, data_type, nullable=null, metadata=metadata)


_RECORDING_FIELDS = [
    schema_field("utterance", pa.string(), "unique key"),
    schema_field("corpus", pa.string(), "name of the corpus"),
    schema_field("audio", pa.string(), "path relative to the corpus root"),
    schema_field(
        "start", pa.float64(), "start within the file, seconds; null: start of the file", null=True
    ),
    schema_field(
        "end", pa.float64(), "end within the file, seconds; null: end of the file", null=True
    ),
    schema_field("seconds", pa.float64(), "duration, seconds"),
    schema_field(
        "sample_rate",
        pa.int32(),
        "sample rate of the file, Hz; features are computed at 16,000 Hz",
    ),
    schema_field(
        "channels", pa.int32(), "number of channels of the file; several are averaged to one"
    ),
    schema_field("speaker", pa.string(), "speaker"),
    schema_field("sex", pa.string(), "sex of the speaker: F, M or null", null=True),
    schema_field("session", pa.string(), "recording session", null=True),
    schema_field("dialog", pa.string(), "dialog that the utterance belongs to", null=True),
    schema_field("style", pa.string(), "improvised, scripted or null", null=True),
    schema_field("emotion", pa.string(), "emotion label of the corpus"),
    schema_field("valence", pa.float64(), "mean rating, in the corpus's units", null=True),
    schema_field("activation", pa.float64(), "mean rating, in the corpus's units", null=True),
    schema_field("dominance", pa.float64(), "mean rating, in the corpus's units", null=True),
    schema_field(
        "votes",
        pa.list_(VOTE),
        "labels chosen by each rater, named as in `emotion`; unknown labels are unchanged",
        null=True,
    ),
    schema_field("acted", pa.string(), "acted emotion, where `emotion` is perceived", null=True),
    schema_field(
        "intensity", pa.string(), "intensity of the emotion, as the corpus names it", null=True
    ),
    schema_field("split", pa.string(), "official split: train, dev, test, test1 …", null=True),
    schema_field("language", pa.string(), "language: en, de, zh …", null=True),
    schema_field("age", pa.float64(), "age of the speaker, years", null=True),
    schema_field(
        "audio_sha256", pa.string(), "sha256 of decoded samples, sample rate and channels"
    ),
]

_TEXT_FIELDS = [
    schema_field("transcript", pa.string(), "transcript as the corpus writes it", null=True),
    schema_field(
        "words",
        pa.list_(WORD),
        "word alignment, seconds from the start of the utterance",
        null=True,
    ),
    schema_field(
        "text_key", pa.string(), "normalised transcript, to identify repeated text", null=True
    ),
]

RECORDINGS = pa.schema(_RECORDING_FIELDS)
"""Recordings: every usable utterance of the corpus, without classes and transcripts."""

UTTERANCES = pa.schema(
    [
        *_RECORDING_FIELDS,
        schema_field("label", pa.string(), "class; null: outside the study", null=True),
        schema_field(
            "vote_shares",
            pa.list_(VOTE_SHARE),
            "share of each class in the raters' votes, sum 1; null: no vote for any class",
            null=True,
        ),
    ]
)
"""Utterance table: recordings with the study's classes."""

REJECTED = pa.schema(
    [
        schema_field("utterance", pa.string(), "key; null: unknown", null=True),
        schema_field("file", pa.string(), "path relative to the corpus root"),
        schema_field("location", pa.string(), "line or section of the file", null=True),
        schema_field("reason", pa.string(), "short code of the reason"),
        schema_field("detail", pa.string(), "explanation of the reason"),
    ]
)
"""Rejected utterances and files, with the reasons."""

_LOCATION_COLUMNS = ("utterance", "audio", "start", "end", "seconds", "audio_sha256")

SHARD = pa.schema(
    [
        field
        for field in _RECORDING_FIELDS
        if field.name in (*_LOCATION_COLUMNS, "sample_rate", "channels")
    ]
)
"""Recordings of a shard, without labels and transcripts, whose changes must not repeat the
extraction of audio features."""

TEXTS = pa.schema([_RECORDING_FIELDS[0], *_TEXT_FIELDS])
"""Transcripts, in a table of their own so that a corrected transcript changes no fold."""

RECORDING_SPEAKERS = pa.schema(
    [field for field in _RECORDING_FIELDS if field.name in (*_LOCATION_COLUMNS, "speaker")]
)
"""All usable recordings with their speakers, for babble noise and normalisation by speaker; with
digests of their audio, because Snakemake takes a small file with the same content for unchanged,
and babble depends on the audio."""

EXTRACTION_INPUTS = pa.schema(
    [*(field for field in _RECORDING_FIELDS if field.name in _LOCATION_COLUMNS), *_TEXT_FIELDS[:2]]
)
"""Inputs of feature extraction, without labels."""

FEATURE_INDEX = pa.schema(
    [
        schema_field("utterance", pa.string(), "unique key"),
        schema_field("shard", pa.string(), "feature file in the folder of the index"),
        schema_field("row", pa.int64(), "position within the feature file"),
        schema_field("frames", pa.int64(), "number of frames"),
        schema_field(
            "chunks", pa.int32(), "number of chunks computed separately; 1: computed as a whole"
        ),
    ]
)
"""Index of the features of each utterance; the digests of the shards are in its metadata."""

SPEAKER_STATISTICS = pa.schema(
    [
        schema_field("speaker", pa.string(), "speaker"),
        schema_field("utterances", pa.list_(pa.string()), "keys of the speaker's utterances"),
        schema_field("frames", pa.int64(), "number of frames of these utterances"),
        schema_field(
            "mean", pa.list_(pa.float64()), "mean over the frames, of each dimension of each layer"
        ),
        schema_field("std", pa.list_(pa.float64()), "population standard deviation"),
    ]
)
"""Statistics of the features of each speaker, for normalisation by speaker."""

HISTORY = pa.schema(
    [
        schema_field("repeat", pa.int32(), "number of the repeat, from 0"),
        schema_field("step", pa.int32(), "number of optimiser steps"),
        schema_field("trial", pa.int32(), "point of the search grid, from 0"),
        schema_field(
            "train_loss",
            pa.float64(),
            "mean weighted cross-entropy since the previous row, nats; null: not trained by steps",
            null=True,
        ),
        schema_field("development_loss", pa.float64(), "weighted cross-entropy, nats", null=True),
        schema_field("development_ua", pa.float64(), "unweighted accuracy, 0 to 1", null=True),
        schema_field("best", pa.bool_(), "whether these weights were saved as the best so far"),
    ]
)
"""Training history: one row per evaluation on development data.

For an estimator, there is one row per fitted value of C.
"""


def fold_schema(repeats: int, shuffled: bool = False) -> pa.Schema:
    """Return the schema of a fold: role and rank of each labelled utterance.

    Parameters
    ----------
    repeats : int
        Number of repeats, each with its training order.
    shuffled : bool
        Whether the study is a negative control: each repeat has a column of shuffled training
        labels, and votes are null because they would reveal the true class.

    Returns
    -------
    pyarrow.Schema
        Schema of one row per labelled utterance.
    """
    training_label = "training label of this repeat, permuted within each of train and dev"
    return pa.schema(
        [
            schema_field("utterance", pa.string(), "unique key"),
            schema_field(
                "role", pa.string(), "train, dev or test; no dev without a development set"
            ),
            schema_field("label", pa.string(), "true class"),
            schema_field("speaker", pa.string(), "speaker"),
            schema_field(
                "votes",
                pa.list_(VOTE_SHARE),
                "share of each class in the raters' votes",
                null=True,
            ),
            *(
                schema_field(
                    f"rank_{repeat}", pa.int32(), "rank in this training order, from 0", null=True
                )
                for repeat in range(repeats)
            ),
            *(
                schema_field(f"training_label_{repeat}", pa.string(), training_label)
                for repeat in range(repeats if shuffled else 0)
            ),
        ]
    )


def predictions_schema(classes: list[str]) -> pa.Schema:
    """Return the schema of test predictions: one row per repeat and test utterance.

    Parameters
    ----------
    classes : list of str
        Names of the classes, each with a column of probabilities.

    Returns
    -------
    pyarrow.Schema
        Schema of the predictions.
    """
    return pa.schema(
        [
            schema_field("utterance", pa.string(), "unique key"),
            schema_field("repeat", pa.int32(), "number of the repeat, from 0"),
            schema_field("label", pa.string(), "true class"),
            schema_field("predicted", pa.string(), "class with the highest probability"),
            *(
                schema_field(f"p_{name}", pa.float64(), "probability of this class")
                for name in classes
            ),
        ]
    )


def perturbed_schema(classes: list[str]) -> pa.Schema:
    """Return the schema of predictions on perturbed test audio.

    There is one row per condition, repeat and test utterance.

    Parameters
    ----------
    classes : list of str
        Names of the classes, each with a column of probabilities.

    Returns
    -------
    pyarrow.Schema
        Schema of the predictions.
    """
    condition = schema_field(
        "condition", pa.string(), "perturbation of the test audio; clean: unperturbed"
    )
    return pa.schema([condition, *predictions_schema(classes)])
