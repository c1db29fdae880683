from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from emoscale.evaluation.speakers import (
    PredictionCounts,
    bootstrap_speakers,
    bootstrap_unweighted_accuracy,
    confidence_interval,
    count_predictions,
    unweighted_accuracy,
)

CLASSES = ["anger", "neutral"]


def counts_of(
    correct: list[list[tuple[int, int]]], support: tuple[int, int] = (10, 30)
) -> PredictionCounts:
    """Return counts from numbers of correct predictions per class, [repeats][speakers]."""
    confusions = np.zeros((len(correct), len(correct[0]), 2, 2), np.int64)
    for repeat, speakers in enumerate(correct):
        for speaker, class_counts in enumerate(speakers):
            for label, count in enumerate(class_counts):
                confusions[repeat, speaker, label, label] = count
                confusions[repeat, speaker, label, 1 - label] = support[label] - count
    return PredictionCounts(tuple(f"s{number}" for number in range(len(correct[0]))), confusions)


def test_predictions_are_counted_by_repeat_speaker_truth_and_prediction() -> None:
    predictions = pl.DataFrame(
        {
            "utterance": ["u1", "u2", "u3", "u1", "u2", "u3"],
            "repeat": [0, 0, 0, 1, 1, 1],
            "label": ["anger", "neutral", "neutral"] * 2,
            "predicted": ["anger", "anger", "neutral", "neutral", "neutral", "neutral"],
        }
    )
    speakers = pl.DataFrame({"utterance": ["u3", "u1", "u2"], "speaker": ["b", "a", "a"]})
    counts = count_predictions(predictions, speakers, CLASSES)
    assert counts.speakers == ("a", "b")
    assert counts.confusions.tolist() == [
        [[[1, 0], [1, 0]], [[0, 0], [0, 1]]],
        [[[0, 1], [0, 1]], [[0, 0], [0, 1]]],
    ]
    # Recalls of anger 1 and 0, of neutral 1/2 and 1.
    assert unweighted_accuracy(counts) == pytest.approx((1 + 0.5 + 0 + 1) / 4)


def test_folds_and_orders_of_predictions() -> None:
    predictions = pl.DataFrame(
        [
            {"utterance": f"u{speaker}", "repeat": repeat, "label": "anger", "predicted": "anger",
             "fold": f"fold{1 + (speaker > 1)}", "order": repeat // 2}
            for speaker in range(3)
            for repeat in range(4)
        ]
    )  # fmt: skip
    speakers = pl.DataFrame({"utterance": ["u0", "u1", "u2"], "speaker": ["a", "b", "c"]})
    counts = count_predictions(predictions, speakers, CLASSES)
    assert counts.in_fold.tolist() == [[1, 1, 0], [0, 0, 1]]
    assert counts.order_averaging.tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]
    single_order = count_predictions(predictions.with_columns(order=pl.lit(0)), speakers, CLASSES)
    assert (single_order.order_averaging == np.eye(4)).all()  # variance between orders not observed


def test_bootstrap_scores_scatter_around_the_score() -> None:
    counts = counts_of([[(10, 3), (4, 30), (7, 9)], [(9, 6), (4, 20), (7, 8)]])
    bootstrap = bootstrap_speakers(counts.speakers, seed=1)
    values = bootstrap_unweighted_accuracy(counts, bootstrap)
    assert values.mean() == pytest.approx(unweighted_accuracy(counts), abs=0.005)
    original_speakers = (bootstrap.speaker_weights == 1).all(axis=1)
    weights = bootstrap.training_weights(2, counts)[:, 0]
    by_repeat = np.array([(21 / 30 + 42 / 90) / 2, (20 / 30 + 34 / 90) / 2])
    assert values[original_speakers] == pytest.approx((weights @ by_repeat)[original_speakers])


def test_bootstrap_samples_do_not_depend_on_the_experiment() -> None:
    first, second = (bootstrap_speakers(["a", "b", "c"], seed=3) for _ in range(2))
    assert (first.speaker_weights == second.speaker_weights).all()
    counts = PredictionCounts(("a", "b", "c"), np.zeros((5, 3, 2, 2), np.int64))
    assert (first.training_weights(5, counts) == second.training_weights(5, counts)).all()


@pytest.mark.parametrize("repeats", [2, 3, 5])
def test_the_variance_of_the_mean_over_repeats_is_not_understated(repeats: int) -> None:
    correct = [[(2 + number, 15)] * 4 for number in range(repeats)]  # all speakers alike
    counts = counts_of(correct)
    by_repeat = np.array([(2 + number) / 10 / 2 + 0.25 for number in range(repeats)])
    values = bootstrap_unweighted_accuracy(counts, bootstrap_speakers(counts.speakers, seed=5))
    assert values.std() == pytest.approx(by_repeat.std(ddof=1) / np.sqrt(repeats), rel=0.05)


def test_trainings_of_each_fold_are_resampled_independently() -> None:
    """Two folds of four speakers each."""
    counts = counts_in_folds("f" * 4 + "g" * 4)
    bootstrap = bootstrap_speakers(counts.speakers, seed=2, folds=counts.fold_names)
    first, second = bootstrap.training_weights(2, counts)[:, :, 0].T
    assert first.mean() == pytest.approx(0.5, abs=0.01)
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0.0, abs=0.05)
    # 0.5 is the standard deviation of a fair coin, and 1 / √2 that of the mean of two; the factors
    # of the variance are 2 / (2 - 1), and 6 / 7 not contained in the variance between speakers.
    assert first.std() == pytest.approx(0.5 / np.sqrt(2) * np.sqrt(2 * 6 / 7), rel=0.03)
    one_per_fold = counts_in_folds("fghijklm")
    assert (bootstrap.training_weights(2, one_per_fold) == 0.5).all()


def counts_in_folds(folds: str) -> PredictionCounts:
    """Return counts of two repeats, with one speaker for each letter, its fold."""
    confusions = np.ones((2, len(folds), 2, 2), np.int64)
    return PredictionCounts(tuple(f"s{n}" for n in range(len(folds))), confusions, tuple(folds))


def test_a_fold_has_the_same_trainings_in_groups_that_lack_other_folds() -> None:
    everyone = counts_in_folds("ffgghh")
    bootstrap = bootstrap_speakers(everyone.speakers, seed=2, folds=everyone.fold_names)
    whole = bootstrap.training_weights(2, everyone)
    part = bootstrap.training_weights(2, counts_in_folds("gghh"))
    # The scale depends on the number of speakers and folds, the samples do not.
    for fold in (0, 1):
        assert np.corrcoef(whole[:, fold + 1, 0], part[:, fold, 0])[0, 1] == pytest.approx(1.0)


def test_scores_are_never_beyond_zero_and_one() -> None:
    correct = [[(10, 30)] * 4, [(10, 30)] * 3 + [(6, 30)]]
    counts = counts_of(correct)
    values = bootstrap_unweighted_accuracy(counts, bootstrap_speakers(counts.speakers, seed=1))
    assert values.max() == 1.0
    wrong = counts_of([[(0, 0)] * 4, [(0, 0)] * 3 + [(4, 0)]])
    assert bootstrap_unweighted_accuracy(wrong, bootstrap_speakers(wrong.speakers, 1)).min() == 0.0


def test_classes_absent_from_a_bootstrap_sample_are_left_out_of_the_mean() -> None:
    confusions = np.zeros((1, 2, 2, 2), np.int64)
    confusions[0, 0, 0] = [3, 1]  # the first speaker has only anger
    confusions[0, 1, 1] = [0, 5]  # the second has only neutral
    counts = PredictionCounts(("a", "b"), confusions)
    values = bootstrap_unweighted_accuracy(counts, bootstrap_speakers(("a", "b"), seed=1))
    assert sorted(set(values.round(6))) == [0.75, 0.875, 1.0]


def test_intervals_over_few_speakers_are_wider_than_percentiles() -> None:
    values = np.random.default_rng(0).normal(size=4000)
    low, high = confidence_interval(values, speakers=10)
    # Student's t with 9 degrees of freedom, times the root of 10/9, instead of 1.96.
    assert (low, high) == pytest.approx((-2.384, 2.384), abs=0.15)
    assert confidence_interval(values, speakers=1000) == pytest.approx((-1.96, 1.96), abs=0.1)


def test_interval_ends_may_be_infinite() -> None:
    values = np.concatenate([np.full(400, np.inf), np.linspace(1, 2, 3600)])
    low, high = confidence_interval(values, speakers=10)
    assert low == pytest.approx(1.0, abs=0.02)
    assert high == np.inf


def test_single_speaker_has_no_interval() -> None:
    assert np.isnan(confidence_interval(np.ones(10), speakers=1)).all()


def folds_of(rows: list[tuple[str, str, str]]) -> tuple[str, ...]:
    """Return the fold of each speaker; rows of utterance, speaker and fold."""
    speakers = pl.DataFrame([(u, s) for u, s, _ in rows], ["utterance", "speaker"], orient="row")
    predictions = pl.DataFrame(
        [(u, 0, "anger", "anger", f) for u, _, f in rows],
        ["utterance", "repeat", "label", "predicted", "fold"],
        orient="row",
    )
    return count_predictions(predictions, speakers.unique(), CLASSES).folds


def test_folds_that_share_some_of_their_speakers_count_as_one() -> None:
    rows = [("u1", "a", "fold1"), ("u2", "a", "fold2"), ("u3", "b", "fold2")]
    assert folds_of(rows) == ("all", "all")
    assert folds_of(rows[1:]) == ("fold2", "fold2")


def test_folds_that_test_the_same_speakers_are_one_unit() -> None:
    rows = [("u1", "a", "fold1"), ("u2", "b", "fold2"), ("u3", "c", "fold2")]
    others = [("u1", "a", "fold3"), ("u2", "b", "fold4"), ("u3", "c", "fold4")]
    assert folds_of(rows + others) == ("fold1+fold3", "fold2+fold4", "fold2+fold4")
