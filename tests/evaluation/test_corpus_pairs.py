"""Scores of every pair of a training and a test corpus."""

from __future__ import annotations

import polars as pl
import pytest

from emoscale.evaluation.corpus_pairs import CORPUS_PAIRS, corpus_pairs_table
from emoscale.evaluation.slices import MINIMUM_SPEAKERS

CLASSES = ["anger", "neutral"]
SPEAKERS = {"large": 6, "small": MINIMUM_SPEAKERS - 1}
FOLDS = {"fold1": "large", "fold2": "large", "fold3": "small", "fold4": "small"}
UTTERANCES = pl.DataFrame(
    [
        {"corpus": corpus, "speaker": f"{corpus}:{speaker}", "label": label}
        | {"utterance": f"{corpus}:{speaker}_{label}_{number}"}
        for corpus, speakers in SPEAKERS.items()
        for speaker in range(speakers)
        for label in CLASSES
        for number in range(2)
    ]
)
RUNS = pl.DataFrame(
    [
        {"experiment": "mfcc", "size": "all", "fold": fold, "training_utterances": 8 + number}
        for number, fold in enumerate(FOLDS)
        for _ in range(2)
    ]
)


def predictions() -> pl.DataFrame:
    """Predict a corpus without error within, and always anger across; two repeats."""
    rows = [
        {**row, "fold": fold, "repeat": repeat}
        | {"predicted": row["label"] if row["corpus"] == trained else "anger"}
        for number, (fold, trained) in enumerate(FOLDS.items())
        for row in UTTERANCES.iter_rows(named=True)
        for repeat in range(2)
        if int(row["speaker"][-1]) % 2 == number % 2
    ]
    return pl.DataFrame(rows).select(
        "utterance", "label", "predicted", "fold", "repeat", experiment=pl.lit("mfcc"),
        size=pl.lit("all"), order="repeat",
    )  # fmt: skip


def test_each_pair_is_scored_over_its_folds() -> None:
    table = corpus_pairs_table(predictions(), RUNS, FOLDS, UTTERANCES, CLASSES, seed=1)
    assert table.columns == CORPUS_PAIRS.names
    assert table.drop("experiment", "size", "ua_low", "ua_high").rows() == [
        ("large", "large", 8.5, 24, 6, 2, 1.0, 1.0),
        ("large", "small", 8.5, 16, 4, 2, 0.5, 0.5),
        ("small", "large", 10.5, 24, 6, 2, 0.5, 0.5),
        ("small", "small", 10.5, 16, 4, 2, 1.0, 1.0),
    ]
    # Too few speakers have no interval; without any variance its ends are the score.
    assert table["ua_low"].to_list() == [1.0, None, 0.5, None]


def test_intervals_are_of_the_speakers_and_trainings_of_the_pair() -> None:
    """Trainings on one corpus that disagree do not widen the intervals of the other corpus."""
    second = (pl.col("repeat") == 1) & pl.col("fold").is_in(["fold1", "fold2"])
    table = predictions().with_columns(
        predicted=pl.when(second).then(pl.lit("anger")).otherwise(pl.col("predicted"))
    )
    pairs = corpus_pairs_table(table, RUNS, FOLDS, UTTERANCES, CLASSES, seed=1)
    within, _, across, _ = pairs.iter_rows(named=True)
    assert within["ua"] == pytest.approx(0.75)
    assert within["ua_low"] < 0.7 < 0.8 < within["ua_high"]
    assert across["ua_low"] == across["ua_high"] == 0.5
