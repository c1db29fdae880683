"""A small study that is really trained, on labels that are really shuffled."""

from __future__ import annotations

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from emoscale.config.protocol import ProtocolSettings
from emoscale.corpus.votes import SHARES
from emoscale.evaluation.comparisons import comparison_table
from emoscale.protocol.orders import make_fold, subset, training_labels

CLASSES = ["anger", "happiness", "neutral", "sadness"]
SIZES = ["40", "all"]
DIMENSIONS = {"few": 4, "more": 12, "many": 32, "most": 60}
PROTOCOL = ProtocolSettings(
    fold_unit="session", folds=5, repeats=2, development="none", shuffle_labels=True
)
_SHARES = (0.3, 0.15, 0.3, 0.25)


def shuffled_comparisons(seed: int) -> pl.DataFrame:
    """The comparisons of four experiments on ten speakers and 600 utterances.

    The features tell the classes well: what keeps the scores at chance is that training is told
    permuted labels. An experiment reads the first of an utterance's numbers, its own few or many.
    """
    generator = np.random.default_rng([seed, 1])
    utterances, features = _corpus(generator)
    place = {key: number for number, key in enumerate(utterances["utterance"])}
    predictions: list[pl.DataFrame] = []
    for number in range(PROTOCOL.folds):
        fold = make_fold(utterances, PROTOCOL, number, seed)
        test = fold.filter(pl.col("role") == "test")
        tested = features[[place[key] for key in test["utterance"]]]
        for repeat in range(PROTOCOL.repeats):
            told = dict(zip(fold["utterance"], training_labels(fold, repeat), strict=True))
            for size in SIZES:
                keys = subset(fold, repeat, size)
                learned = features[[place[key] for key in keys]]
                for name, dimension in DIMENSIONS.items():
                    model = LogisticRegression(C=0.1, max_iter=200)
                    with threadpool_limits(1):  # threads take ten times as long for so little
                        model.fit(learned[:, :dimension], [told[key] for key in keys])
                    predictions.append(
                        test.select(
                            "utterance",
                            "label",
                            predicted=pl.Series(model.predict(tested[:, :dimension])),
                            repeat=pl.lit(repeat),
                            order=pl.lit(repeat),
                            fold=pl.lit(f"fold{number}"),
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
    return comparison_table(scores, pl.concat(predictions), utterances, CLASSES, seed)


def _corpus(generator: np.random.Generator) -> tuple[pl.DataFrame, np.ndarray]:
    width = max(DIMENSIONS.values())
    of_class = generator.normal(0, 1.0, (len(CLASSES), width))
    rows, features = [], []
    for speaker in range(10):
        voice = generator.normal(0, 1.0, width)
        for number in range(60):
            label = generator.choice(len(CLASSES), p=_SHARES)
            rows.append(
                {
                    "utterance": f"{speaker}-{number:02d}",
                    "speaker": f"speaker{speaker}",
                    "session": f"session{speaker // 2}",
                    "label": CLASSES[label],
                    "vote_shares": None,
                }
            )
            features.append(of_class[label] + voice + generator.normal(0, 1.5, width))
    return pl.DataFrame(rows, schema_overrides={"vote_shares": SHARES}), np.array(features)
