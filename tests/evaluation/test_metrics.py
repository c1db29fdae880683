"""The metrics are scikit-learn's, and UA and WA are not swapped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, recall_score
from sklearn.metrics import confusion_matrix as reference

from emoscale.evaluation.metrics import confusion_matrix, metrics_of

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
