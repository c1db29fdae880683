"""The table of corpus pairs: the scores of every test corpus by models of every training corpus."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import pyarrow as pa

from emoscale.evaluation.slices import MINIMUM_SPEAKERS, group_score
from emoscale.evaluation.speakers import count_predictions
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import schema_field

_INTERVAL = (
    "95 % interval, bootstrap over speakers and trainings; null: fewer than "
    f"{MINIMUM_SPEAKERS} speakers"
)

CORPUS_PAIRS = pa.schema(
    [
        schema_field("experiment", pa.string(), "name of the experiment (representation, model)"),
        schema_field("size", pa.string(), "training size, as in the study"),
        schema_field("training_corpus", pa.string(), "corpus that the models are trained on"),
        schema_field(
            "test_corpus",
            pa.string(),
            "corpus that is tested; the training corpus: its speakers that are not trained on",
        ),
        schema_field("training_utterances_mean", pa.float64(), "training labels, mean over folds"),
        schema_field("utterances", pa.int32(), "test utterances, over all folds"),
        schema_field("speakers", pa.int32(), "speakers of these utterances"),
        schema_field("classes", pa.int32(), "number of classes in the test corpus"),
        schema_field("ua", pa.float64(), "unweighted accuracy (UA), mean over repeats, 0 to 1"),
        schema_field("ua_low", pa.float64(), f"lower end of its {_INTERVAL}", null=True),
        schema_field("ua_high", pa.float64(), f"upper end of its {_INTERVAL}", null=True),
        schema_field("wa", pa.float64(), "accuracy (WA), mean over repeats, 0 to 1"),
    ]
)
"""One row per experiment, training size, training corpus and test corpus."""


def corpus_pairs_table(
    predictions: pl.DataFrame,
    runs: pl.DataFrame,
    training_corpus_of: Mapping[str, str],
    utterances: pl.DataFrame,
    classes: list[str],
    seed: int,
) -> pl.DataFrame:
    """Score every pair of a training and a test corpus, of one experiment and training size.

    A pair tests each speaker in one fold, so that its interval is that of a cross-validation by
    speakers (`evaluation.speakers`).

    Parameters
    ----------
    predictions : DataFrame
        Columns `experiment, size, fold, utterance, repeat, label, predicted`.
    runs : DataFrame
        Columns `experiment, size, fold, training_utterances`.
    training_corpus_of : mapping of str to str
        The training corpus of each fold.
    utterances : DataFrame
        Columns `utterance, corpus, speaker`.
    classes : list of str
        Class names.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    DataFrame
        Scores (schema `CORPUS_PAIRS`), sorted by corpora.
    """
    training_corpus = pl.col("fold").replace_strict(training_corpus_of, return_dtype=pl.String)
    corpus_of = utterances.select("utterance", test_corpus="corpus")
    tested = predictions.with_columns(training_corpus=training_corpus).join(
        corpus_of, on="utterance"
    )
    keys = ["experiment", "size", "training_corpus", "test_corpus"]
    rows = [
        dict(zip(keys, names, strict=True))
        | group_score(count_predictions(table, utterances, classes), seed)
        for names, table in sorted(tested.group_by(keys), key=lambda pair: pair[0])
    ]
    labels = runs.group_by("experiment", "size", training_corpus=training_corpus).agg(
        training_utterances_mean=pl.col("training_utterances").mean()
    )
    scores = pl.DataFrame(rows, infer_schema_length=None).join(
        labels, on=keys[:3], how="left", maintain_order="left"
    )
    return dataframe_of(scores.to_dicts(), CORPUS_PAIRS)
