from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.isotonic import isotonic_regression

from emoscale.evaluation.curves import isotonic, labels_needed, measured_curves
from emoscale.evaluation.speakers import confusion_by_speaker, counts_by_cell


def test_isotonic_regression_matches_scikit_learn() -> None:
    curves = np.random.default_rng(0).random((50, 6))
    expected = [isotonic_regression(curve) for curve in curves]
    assert isotonic(curves) == pytest.approx(np.array(expected), abs=1e-11)


def test_labels_are_interpolated_linearly_in_their_logarithm() -> None:
    fitted = np.tile([0.4, 0.6, 0.6, 0.7], (6, 1))
    target = np.array([0.4, 0.5, 0.6, 0.65, 0.39, 0.71])
    least, most = labels_needed([100, 400, 800, 1600], fitted, target)
    between = 800 * 2**0.5
    assert least == pytest.approx([100, 200, 400, between, 0, 1600])
    assert most == pytest.approx([100, 200, 400, between, 100, np.inf])


def test_measured_curves_are_sorted_by_labels_and_share_bootstrap_samples() -> None:
    classes = ["anger", "calm"]
    predictions = pl.DataFrame(
        [
            {
                "utterance": f"{speaker}{label}{number}",
                "repeat": 0,
                "label": label,
                "predicted": label if number < correct else classes[label == "anger"],
                "experiment": experiment,
                "fold": "fold1",
                "size": size,
            }
            for experiment, size, correct in (
                ("one", "all", 3), ("one", "8", 2), ("other", "8", 2), ("other", "all", 4)
            )
            for speaker in "abc"
            for label in classes
            for number in range(4)
        ]
    )  # fmt: skip
    scores = pl.DataFrame(
        {
            "experiment": ["one", "one", "other", "other"],
            "size": ["all", "8", "8", "all"],
            "training_utterances_mean": [16.0, 8.0, 8.0, 16.0],
        }
    )
    speakers = predictions.select("utterance", speaker=pl.col("utterance").str.head(1)).unique()
    confusions = pl.concat(
        confusion_by_speaker(table, speakers).with_columns(
            experiment=pl.lit(experiment), size=pl.lit(size)
        )
        for (experiment, size), table in predictions.group_by("experiment", "size")
    )
    counts = counts_by_cell(confusions, classes)
    one, other = measured_curves(scores, counts, seed=1, samples=50)
    assert (one.experiment, one.sizes, one.speakers) == ("one", ("8", "all"), 3)
    assert one.labels.tolist() == [8.0, 16.0]
    assert one.ua == pytest.approx([0.5, 0.75])
    assert other.ua == pytest.approx([0.5, 1.0])
    assert one.bootstrap_ua is not None
    assert other.bootstrap_ua is not None
    assert one.bootstrap_ua.shape == (50, 2)
    assert one.bootstrap_ua[:, 0] == pytest.approx(other.bootstrap_ua[:, 0])
