"""A small study trained on shuffled labels."""

from __future__ import annotations

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from emoscale.config.protocol import ProtocolSettings
from emoscale.corpus.votes import VOTE_SHARES_DTYPE
from emoscale.evaluation.comparisons import (
    StudyValues,
    comparison_table,
    comparison_table_by_size,
)
from emoscale.evaluation.speakers import confusion_by_speaker, counts_by_cell
from emoscale.protocol.orders import make_fold, subset, training_labels

CLASSES = ["anger", "happiness", "neutral", "sadness"]
SIZES = ["40", "all"]
DIMENSIONS = {"few": 4, "more": 12, "many": 32, "most": 60}
PROTOCOL = ProtocolSettings(
    fold_unit="session", folds=5, repeats=2, development="none", shuffle_labels=True
)
_CLASS_PROPORTIONS = (0.3, 0.15, 0.3, 0.25)


def shuffled_comparisons(seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the comparisons of four experiments on ten speakers and 600 utterances.

    The tables are those over the learning curves and by size.

    The features separate the classes well: scores are at chance only because the training labels
    are permuted. Each experiment uses a different number of the features' dimensions.
    """
    generator = np.random.default_rng([seed, 1])
    utterances, features = _corpus(generator)
    index_of = {key: index for index, key in enumerate(utterances["utterance"])}
    predictions: list[pl.DataFrame] = []
    for fold_number in range(PROTOCOL.folds):
        fold = make_fold(utterances, PROTOCOL, fold_number, seed)
        test = fold.filter(pl.col("role") == "test")
        test_features = features[[index_of[key] for key in test["utterance"]]]
        for repeat in range(PROTOCOL.repeats):
            label_of = dict(zip(fold["utterance"], training_labels(fold, repeat), strict=True))
            for size in SIZES:
                keys = subset(fold, repeat, size)
                training_features = features[[index_of[key] for key in keys]]
                for name, dimension in DIMENSIONS.items():
                    model = LogisticRegression(C=0.1, max_iter=200)
                    with threadpool_limits(1):  # ten times faster than several threads
                        model.fit(training_features[:, :dimension], [label_of[key] for key in keys])
                    predictions.append(
                        test.select(
                            "utterance",
                            "label",
                            predicted=pl.Series(model.predict(test_features[:, :dimension])),
                            repeat=pl.lit(repeat),
                            order=pl.lit(repeat),
                            fold=pl.lit(f"fold{fold_number}"),
                            experiment=pl.lit(name),
                            size=pl.lit(size),
                        )
                    )
    scores = pl.DataFrame(
        [
            {"experiment": name, "size": size, "training_utterances_mean": labels}
            for name in DIMENSIONS
            for size, labels in zip(SIZES, (40.0, 480.0), strict=True)
        ]
    )
    confusions = [
        confusion_by_speaker(table, utterances).with_columns(
            experiment=pl.lit(name), size=pl.lit(size)
        )
        for (name, size), table in pl.concat(predictions).group_by("experiment", "size")
    ]
    study = StudyValues(scores, counts_by_cell(pl.concat(confusions), CLASSES))
    return comparison_table(study), comparison_table_by_size(study)


def _corpus(generator: np.random.Generator) -> tuple[pl.DataFrame, np.ndarray]:
    dimensions = max(DIMENSIONS.values())
    class_means = generator.normal(0, 1.0, (len(CLASSES), dimensions))
    rows, features = [], []
    for speaker in range(10):
        speaker_offset = generator.normal(0, 1.0, dimensions)
        for number in range(60):
            label = generator.choice(len(CLASSES), p=_CLASS_PROPORTIONS)
            rows.append(
                {
                    "utterance": f"{speaker}-{number:02d}",
                    "speaker": f"speaker{speaker}",
                    "session": f"session{speaker // 2}",
                    "label": CLASSES[label],
                    "vote_shares": None,
                }
            )
            features.append(
                class_means[label] + speaker_offset + generator.normal(0, 1.5, dimensions)
            )
    return pl.DataFrame(rows, schema_overrides={"vote_shares": VOTE_SHARES_DTYPE}), np.array(
        features
    )
