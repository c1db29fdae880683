from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from emoscale.evaluation.speakers import (
    Answers,
    count_answers,
    draw_speakers,
    drawn_unweighted_accuracy,
    interval,
    unweighted_accuracy,
)

CLASSES = ["anger", "neutral"]


def answers_of(right: list[list[tuple[int, int]]], there: tuple[int, int] = (10, 30)) -> Answers:
    """Of [repeats][speakers] right answers a class."""
    confusions = np.zeros((len(right), len(right[0]), 2, 2), np.int64)
    for repeat, speakers in enumerate(right):
        for speaker, counts in enumerate(speakers):
            for place, count in enumerate(counts):
                confusions[repeat, speaker, place, place] = count
                confusions[repeat, speaker, place, 1 - place] = there[place] - count
    return Answers(tuple(f"s{number}" for number in range(len(right[0]))), confusions)


def test_answers_are_counted_by_speaker_repeat_truth_and_prediction() -> None:
    predictions = pl.DataFrame(
        {
            "utterance": ["u1", "u2", "u3", "u1", "u2", "u3"],
            "repeat": [0, 0, 0, 1, 1, 1],
            "label": ["anger", "neutral", "neutral"] * 2,
            "predicted": ["anger", "anger", "neutral", "neutral", "neutral", "neutral"],
        }
    )
    speakers = pl.DataFrame({"utterance": ["u3", "u1", "u2"], "speaker": ["b", "a", "a"]})
    answers = count_answers(predictions, speakers, CLASSES)
    assert answers.speakers == ("a", "b")
    assert answers.confusions.tolist() == [
        [[[1, 0], [1, 0]], [[0, 0], [0, 1]]],
        [[[0, 1], [0, 1]], [[0, 0], [0, 1]]],
    ]
    # Recalls of anger 1 and 0, of neutral 1/2 and 1.
    assert unweighted_accuracy(answers) == pytest.approx((1 + 0.5 + 0 + 1) / 4)


def test_folds_and_orders_are_kept_where_predictions_have_them() -> None:
    predictions = pl.DataFrame(
        [
            {"utterance": f"u{speaker}", "repeat": repeat, "label": "anger", "predicted": "anger",
             "fold": f"fold{1 + (speaker > 1)}", "order": repeat // 2}
            for speaker in range(3)
            for repeat in range(4)
        ]
    )  # fmt: skip
    speakers = pl.DataFrame({"utterance": ["u0", "u1", "u2"], "speaker": ["a", "b", "c"]})
    answers = count_answers(predictions, speakers, CLASSES)
    assert answers.in_fold.tolist() == [[1, 1, 0], [0, 0, 1]]
    assert answers.order_means.tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]
    one = count_answers(predictions.with_columns(order=pl.lit(0)), speakers, CLASSES)
    assert (one.order_means == np.eye(4)).all()  # of other orders nothing is known


def test_draws_scatter_around_the_score_itself() -> None:
    answers = answers_of([[(10, 3), (4, 30), (7, 9)], [(9, 6), (4, 20), (7, 8)]])
    draws = draw_speakers(answers.speakers, seed=1)
    values = drawn_unweighted_accuracy(answers, draws)
    assert values.mean() == pytest.approx(unweighted_accuracy(answers), abs=0.005)
    everyone = (draws.speaker_weights == 1).all(axis=1)
    weights = draws.training_weights(2, folds=1)[:, 0]
    by_repeat = np.array([(21 / 30 + 42 / 90) / 2, (20 / 30 + 34 / 90) / 2])
    assert values[everyone] == pytest.approx((weights @ by_repeat)[everyone])


def test_draws_do_not_depend_on_the_experiment() -> None:
    one, other = (draw_speakers(["a", "b", "c"], seed=3) for _ in range(2))
    assert (one.speaker_weights == other.speaker_weights).all()
    assert (one.training_weights(5, 2) == other.training_weights(5, 2)).all()


@pytest.mark.parametrize("repeats", [2, 3, 5])
def test_the_variance_of_the_mean_over_repeats_is_not_understated(repeats: int) -> None:
    right = [[(2 + number, 15)] * 4 for number in range(repeats)]  # all speakers alike
    answers = answers_of(right)
    by_repeat = np.array([(2 + number) / 10 / 2 + 0.25 for number in range(repeats)])
    values = drawn_unweighted_accuracy(answers, draw_speakers(answers.speakers, seed=5))
    assert values.std() == pytest.approx(by_repeat.std(ddof=1) / np.sqrt(repeats), rel=0.05)


def test_each_folds_trainings_are_drawn_for_themselves() -> None:
    """What 4 of 8 speakers hear twice in one training, the others hear in another."""
    draws = draw_speakers([str(number) for number in range(8)], seed=2)
    first, second = draws.training_weights(2, folds=2)[:, :, 0].T
    assert first.mean() == pytest.approx(0.5, abs=0.01)
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0.0, abs=0.05)
    # Half is the standard deviation of a fair coin, over √2 for two; 2 = 2 / (2 - 1); of the
    # variance, 6 of 7 parts are not seen between the speakers already.
    assert first.std() == pytest.approx(0.5 / np.sqrt(2) * np.sqrt(2 * 6 / 7), rel=0.03)
    assert (draws.training_weights(2, folds=8) == 0.5).all()  # a speaker a fold: all is seen


def test_a_class_whose_speakers_are_not_drawn_is_left_out_of_the_mean() -> None:
    confusions = np.zeros((1, 2, 2, 2), np.int64)
    confusions[0, 0, 0] = [3, 1]  # the first speaker has anger only
    confusions[0, 1, 1] = [0, 5]  # the second neutral only
    answers = Answers(("a", "b"), confusions)
    values = drawn_unweighted_accuracy(answers, draw_speakers(("a", "b"), seed=1))
    assert sorted(set(values.round(6))) == [0.75, 0.875, 1.0]


def test_an_interval_over_few_speakers_is_wider_than_the_percentiles() -> None:
    values = np.random.default_rng(0).normal(size=4000)
    low, high = interval(values, speakers=10)
    # Student's t with 9 degrees of freedom, times the root of 10/9, in place of 1.96.
    assert (low, high) == pytest.approx((-2.384, 2.384), abs=0.15)
    assert interval(values, speakers=1000) == pytest.approx((-1.96, 1.96), abs=0.1)


def test_infinite_values_are_ends_of_an_interval() -> None:
    values = np.concatenate([np.full(400, np.inf), np.linspace(1, 2, 3600)])
    low, high = interval(values, speakers=10)
    assert low == pytest.approx(1.0, abs=0.02)
    assert high == np.inf


def test_one_speaker_has_no_interval() -> None:
    assert np.isnan(interval(np.ones(10), speakers=1)).all()


def test_a_speaker_who_is_tested_in_two_folds_leaves_the_folds_out() -> None:
    rows = [("u1", "a", "fold1"), ("u2", "a", "fold2"), ("u3", "b", "fold2")]
    speakers = pl.DataFrame([(u, s) for u, s, _ in rows], ["utterance", "speaker"], orient="row")
    predictions = pl.DataFrame(
        [(u, 0, "anger", "anger", f) for u, _, f in rows],
        ["utterance", "repeat", "label", "predicted", "fold"],
        orient="row",
    )
    assert count_answers(predictions, speakers, CLASSES).folds == ()
    apart = predictions.filter(pl.col("utterance") != "u1")
    assert count_answers(apart, speakers, CLASSES).folds == ("fold2", "fold2")
