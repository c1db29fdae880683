"""The metrics are scikit-learn's, and UA and WA are not swapped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, recall_score
from sklearn.metrics import confusion_matrix as reference

from emoscale.training.metrics import (
    accuracies,
    brier_score,
    confusion_matrix,
    expected_calibration_error,
    macro_f1s,
    metrics_of,
    unweighted_accuracies,
)

pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@given(pairs)
def test_against_scikit_learn(given_pairs: list[tuple[int, int]]) -> None:
    truth, said = [pair[0] for pair in given_pairs], [pair[1] for pair in given_pairs]
    confusion = confusion_matrix(truth, said, 4)
    assert np.array_equal(confusion, reference(truth, said, labels=range(4)))
    metrics = metrics_of(confusion)
    present = sorted(set(truth))
    assert metrics.accuracy == pytest.approx(accuracy_score(truth, said))
    recalls = recall_score(truth, said, labels=present, average=None, zero_division=0)
    assert metrics.unweighted_accuracy == pytest.approx(recalls.mean())
    assert [metrics.recalls[label] for label in present] == pytest.approx(recalls)
    f1 = f1_score(truth, said, labels=range(4), average="macro", zero_division=0)
    assert metrics.macro_f1 == pytest.approx(f1)


def test_ua_counts_classes_and_wa_counts_utterances() -> None:
    metrics = metrics_of(confusion_matrix([0] * 9 + [1], [0] * 10, 2))
    assert metrics.unweighted_accuracy == 0.5
    assert metrics.accuracy == 0.9


def test_many_matrices_at_once_have_the_same_scores() -> None:
    confusions = np.random.default_rng(1).integers(1, 20, (5, 4, 4))
    confusions[1, 2] = 0  # a class that does not occur
    confusions[2, 2] = confusions[2, :, 2] = 0  # nor is predicted
    for index, confusion in enumerate(confusions):
        one = metrics_of(confusion)
        floats = confusions.astype(float)
        assert unweighted_accuracies(floats)[index] == pytest.approx(one.unweighted_accuracy)
        assert accuracies(floats)[index] == pytest.approx(one.accuracy)
        assert macro_f1s(floats)[index] == pytest.approx(one.macro_f1)


def test_a_class_that_is_not_there_has_no_recall_and_an_f1_of_nought() -> None:
    confusion = np.array([[3.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    assert unweighted_accuracies(confusion) == pytest.approx((0.75 + 1.0) / 2)
    assert macro_f1s(confusion) == pytest.approx((6 / 7 + 0.0 + 1.0) / 3)


def test_calibration_error_by_hand() -> None:
    # Of 15 bins: 0.34 and 0.39 are in the sixth, (1/3, 2/5]; 0.9 alone; 1.0 in the last.
    top = np.array([0.34, 0.39, 0.9, 1.0])
    right = np.array([True, False, True, False])
    expected = (2 * abs(0.365 - 0.5) + abs(0.9 - 1.0) + abs(1.0 - 0.0)) / 4
    assert expected_calibration_error(top, right) == pytest.approx(expected)


def test_the_brier_score_of_several_classes() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2], [0.0, 1.0, 0.0]])
    expected = ((0.25 + 0.09 + 0.04) + (1.0 + 1.0)) / 2
    assert brier_score(probabilities, np.array([0, 2])) == pytest.approx(expected)
