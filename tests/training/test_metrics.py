"""Metrics against scikit-learn and against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, recall_score
from sklearn.metrics import confusion_matrix as sklearn_confusion_matrix

from emoscale.training.metrics import (
    accuracies,
    brier_score,
    confusion_matrix,
    expected_calibration_error,
    macro_f1s,
    metrics_of,
    unweighted_accuracies,
)

label_pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@given(label_pairs)
def test_against_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    confusion = confusion_matrix(truth, predicted, 4)
    assert np.array_equal(confusion, sklearn_confusion_matrix(truth, predicted, labels=range(4)))
    metrics = metrics_of(confusion)
    present = sorted(set(truth))
    assert metrics.accuracy == pytest.approx(accuracy_score(truth, predicted))
    recalls = recall_score(truth, predicted, labels=present, average=None, zero_division=0)
    assert metrics.unweighted_accuracy == pytest.approx(recalls.mean())
    assert [metrics.recalls[label] for label in present] == pytest.approx(recalls)
    f1 = f1_score(truth, predicted, labels=range(4), average="macro", zero_division=0)
    assert metrics.macro_f1 == pytest.approx(f1)


def test_ua_averages_over_classes_and_accuracy_over_utterances() -> None:
    metrics = metrics_of(confusion_matrix([0] * 9 + [1], [0] * 10, 2))
    assert metrics.unweighted_accuracy == 0.5
    assert metrics.accuracy == 0.9


def test_metrics_of_several_matrices_are_those_of_each() -> None:
    confusions = np.random.default_rng(1).integers(1, 20, (5, 4, 4))
    confusions[1, 2] = 0  # a class that does not occur
    confusions[2, 2] = confusions[2, :, 2] = 0  # a class that neither occurs nor is predicted
    for index, confusion in enumerate(confusions):
        metrics = metrics_of(confusion)
        floats = confusions.astype(float)
        assert unweighted_accuracies(floats)[index] == pytest.approx(metrics.unweighted_accuracy)
        assert accuracies(floats)[index] == pytest.approx(metrics.accuracy)
        assert macro_f1s(floats)[index] == pytest.approx(metrics.macro_f1)


def test_an_absent_class_has_no_recall_and_an_f1_of_zero() -> None:
    confusion = np.array([[3.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    assert unweighted_accuracies(confusion) == pytest.approx((0.75 + 1.0) / 2)
    assert macro_f1s(confusion) == pytest.approx((6 / 7 + 0.0 + 1.0) / 3)


def test_expected_calibration_error_by_hand() -> None:
    # 0.34 and 0.39 share the sixth of 15 bins, (1/3, 2/5]; 0.9 and 1.0 are in separate bins.
    confidence = np.array([0.34, 0.39, 0.9, 1.0])
    correct = np.array([True, False, True, False])
    expected = (2 * abs(0.365 - 0.5) + abs(0.9 - 1.0) + abs(1.0 - 0.0)) / 4
    assert expected_calibration_error(confidence, correct) == pytest.approx(expected)


def test_brier_score_of_several_classes_by_hand() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2], [0.0, 1.0, 0.0]])
    expected = ((0.25 + 0.09 + 0.04) + (1.0 + 1.0)) / 2
    assert brier_score(probabilities, np.array([0, 2])) == pytest.approx(expected)
