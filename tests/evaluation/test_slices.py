from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from emoscale.evaluation.slices import MINIMUM_SPEAKERS, SLICE_GAPS, SLICES, slice_tables

CLASSES = ["anger", "neutral", "sadness"]
SPEAKERS = [f"s{number:02d}" for number in range(12)]
Group = Callable[[str, int, str], str]


def tables(
    group_of: Group,
    probability_correct: Callable[[str, int, str], float],
    repeats: int = 2,
    utterances: int = 30,
    absent: Callable[[str, str], bool] = lambda speaker, label: False,
    name: str = "slice",
    seed: int = 0,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the tables of a simulated study.

    A prediction is correct with a probability by speaker, utterance number and label.
    """
    generator = np.random.default_rng(seed)
    rows, groups = [], []
    for speaker in SPEAKERS:
        for number in range(utterances):
            label = CLASSES[number % 3]
            if absent(speaker, label):
                continue
            key = f"{speaker}_{number}"
            groups.append({"utterance": key, "group": group_of(speaker, number, label)})
            for repeat in range(repeats):
                correct = generator.random() < probability_correct(speaker, number, label)
                rows.append(
                    {
                        "utterance": key,
                        "repeat": repeat,
                        "label": label,
                        "predicted": label if correct else CLASSES[(number + 1) % 3],
                    }
                )
    cell_columns = {"experiment": pl.lit("mfcc"), "size": pl.lit("all"), "fold": pl.lit("fold1")}
    table = pl.DataFrame(groups).with_columns(slice=pl.lit(name), fold=pl.lit("fold1"))
    positions = {group: position for position, group in enumerate(sorted(set(table["group"])))}
    speaker_of = table.select("utterance", speaker=pl.col("utterance").str.head(3))
    return slice_tables(
        pl.DataFrame(rows).with_columns(**cell_columns),
        table.with_columns(position=pl.col("group").replace_strict(positions)),
        speaker_of,
        CLASSES,
        seed=1,
    )


def parity(speaker: str, number: int, label: str) -> str:
    return "even" if number % 2 else "odd"


def test_scores_of_groups() -> None:
    scores, gaps = tables(parity, lambda speaker, number, label: float(number % 2))
    assert scores.columns == SLICES.names
    assert gaps.columns == SLICE_GAPS.names
    assert scores.select("group", "utterances", "speakers", "classes", "ua", "wa").rows() == [
        ("even", 180, 12, 3, 1.0, 1.0),
        ("odd", 180, 12, 3, 0.0, 0.0),
    ]
    assert gaps.select("group", "other", "gap", "excluded_draws").rows() == [
        ("even", "odd", 1.0, 0.0)
    ]


def test_gaps_between_groups_of_the_same_speakers_are_paired() -> None:
    """Speakers differ much but have the same gap, so its interval is narrower than the scores'."""
    scores, gaps = tables(
        parity,
        lambda speaker, number, label: int(speaker[1:]) / 14 + (0.15 if number % 2 else 0.0),
        utterances=300,
    )
    width = gaps["gap_high"][0] - gaps["gap_low"][0]
    for low, high in scores.select("ua_low", "ua_high").iter_rows():
        assert width < 0.5 * (high - low)
    assert gaps["gap_low"][0] < 0.15 < gaps["gap_high"][0]


def test_gaps_are_over_the_common_classes() -> None:
    """Group a has no utterances of sadness, the only class that is always correct."""
    scores, gaps = tables(
        lambda speaker, number, label: "a" if speaker < "s06" else "b",
        lambda speaker, number, label: 1.0 if label == "sadness" else 0.0,
        absent=lambda speaker, label: speaker < "s06" and label == "sadness",
    )
    assert scores.select("group", "classes", "ua").rows() == [
        ("a", 2, 0.0),
        ("b", 3, pytest.approx(1 / 3)),
    ]
    assert gaps.select("classes", "gap").rows() == [(2, 0.0)]


def test_groups_without_a_common_class_are_not_compared() -> None:
    _, gaps = tables(lambda speaker, number, label: label, lambda *_: 0.5)
    assert gaps.is_empty()


def test_groups_of_few_speakers_have_no_interval() -> None:
    few = SPEAKERS[MINIMUM_SPEAKERS - 1]
    scores, gaps = tables(
        lambda speaker, number, label: "few" if speaker < few else "many", lambda *_: 0.6
    )
    by_group = {row["group"]: row for row in scores.iter_rows(named=True)}
    assert by_group["few"]["ua_low"] is None
    assert by_group["many"]["ua_low"] < by_group["many"]["ua"] < by_group["many"]["ua_high"]
    assert gaps["gap_low"][0] is None
    # 4 of 12 speakers: the probability that none of them is in a bootstrap sample is (8/12)^12.
    assert gaps["excluded_draws"][0] == pytest.approx((8 / 12) ** 12, abs=0.005)


def test_single_speakers_are_not_compared() -> None:
    scores, gaps = tables(lambda speaker, *_: speaker, lambda *_: 0.6, name="speaker")
    assert scores["group"].to_list() == SPEAKERS
    assert scores["ua_high"].null_count() == len(SPEAKERS)
    assert gaps.is_empty()


def test_intervals_of_gaps_cover() -> None:
    """Groups of six speakers with the same distribution of recalls: the true gap is 0."""
    covered = 0
    for seed in range(40):
        recall = dict(zip(SPEAKERS, np.random.default_rng(seed).uniform(0.4, 0.9, 12), strict=True))
        _, gaps = tables(
            lambda speaker, *_: "a" if speaker < "s06" else "b",
            lambda speaker, number, label, recall=recall: recall[speaker],  # type: ignore[misc]
            seed=seed,
        )
        covered += gaps["gap_low"][0] <= 0 <= gaps["gap_high"][0]
    assert covered >= 35


@pytest.mark.parametrize(("speakers", "compared"), [(4, False), (6, True)])
def test_sessions_are_compared_only_if_they_have_several_speakers(
    speakers: int, compared: bool
) -> None:
    """A corpus may have hundreds of sessions of one or two speakers."""

    def session(speaker: str, number: int, label: str) -> str:
        return f"session{SPEAKERS.index(speaker) // speakers}"

    _, gaps = tables(session, lambda speaker, number, label: 0.5, name="session")
    assert bool(len(gaps)) == compared


def test_groups_that_lack_a_fold_are_paired_by_training() -> None:
    """Without one of five folds, a group has the same trainings in the other four folds."""
    generator = np.random.default_rng(4)
    rows, groups = [], []
    for speaker in range(10):
        for number in range(24):
            fold, group = f"fold{speaker // 2}", "few" if number % 2 else "all"
            if group == "few" and speaker < 2:
                continue
            key = f"s{speaker}_{number}"
            groups.append({"utterance": key, "fold": fold, "group": group})
            label = CLASSES[number // 2 % 3]
            for repeat in range(3):
                # A training is good or bad for all utterances of its fold.
                good = (speaker // 2 * 7 + repeat * 5) % 3 < 2
                correct = generator.random() < (0.95 if good else 0.2)
                predicted = label if correct else CLASSES[(number // 2 + 1) % 3]
                rows.append((key, fold, repeat, label, predicted))
    names = ["utterance", "fold", "repeat", "label", "predicted"]
    predictions = pl.DataFrame(rows, names, orient="row").with_columns(
        experiment=pl.lit("mfcc"), size=pl.lit("all"), order=pl.col("repeat")
    )
    table = pl.DataFrame(groups).with_columns(slice=pl.lit("slice"))
    table = table.with_columns(position=pl.col("group").replace_strict({"all": 0, "few": 1}))
    speaker_of = table.select("utterance", speaker=pl.col("utterance").str.head(2))
    scores, gaps = slice_tables(predictions, table, speaker_of, CLASSES, seed=1)
    gap_width = gaps["gap_high"][0] - gaps["gap_low"][0]
    score_widths = (scores["ua_high"] - scores["ua_low"]).to_numpy()
    assert gap_width < 0.6 * np.linalg.norm(score_widths)


def test_groups_of_speakers_whom_several_folds_test() -> None:
    """Each speaker is tested in two folds, of which a group may have one only."""
    rows, groups = [], []
    for speaker, fold in ((f"s{number}", f"fold{number % 2}") for number in range(10)):
        for name, group in ((fold, "new"), (f"other_{fold}", "repeated")):
            for number in range(6):
                key = f"{speaker}_{number}"
                groups.append({"utterance": key, "fold": name, "group": group})
                label = CLASSES[number % 3]
                wrong = CLASSES[(number + 1) % 3]
                for repeat in range(2):
                    predicted = label if group == "repeated" or number + repeat < 4 else wrong
                    rows.append((key, name, repeat, label, predicted))
    names = ["utterance", "fold", "repeat", "label", "predicted"]
    predictions = pl.DataFrame(rows, names, orient="row").with_columns(
        experiment=pl.lit("mfcc"), size=pl.lit("all"), order=pl.col("repeat")
    )
    table = pl.DataFrame(groups).with_columns(slice=pl.lit("text"))
    table = table.with_columns(position=pl.col("group").replace_strict({"new": 0, "repeated": 1}))
    speaker_of = table.select("utterance", speaker=pl.col("utterance").str.head(2)).unique()
    scores, gaps = slice_tables(predictions, table, speaker_of, CLASSES, seed=1)
    assert scores.select("group", "utterances", "speakers").rows() == [
        ("new", 60, 10),
        ("repeated", 60, 10),
    ]
    (gap,) = gaps.iter_rows(named=True)
    assert gap["gap"] == pytest.approx((4 / 6 + 3 / 6) / 2 - 1)
    assert gap["gap_low"] < gap["gap"] < gap["gap_high"] < 0
