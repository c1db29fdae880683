from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
import pytest
from polars.testing import assert_frame_equal
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import f1_score, log_loss

from emoscale.corpus.release import anonymous_votes
from emoscale.evaluation.ceiling import (
    CEILING,
    ceiling_table,
    human_ceiling,
)
from emoscale.evaluation.rater_votes import agreement_of_raters, rater_votes

CLASSES = ["anger", "joy", "sadness"]
CLASS_OF = {"made": {"ang": "anger", "hap": "joy", "exc": "joy", "sad": "sadness"}}
VOTE = ("rater", "label")
PROJECT = Path(__file__).resolve().parents[2]
CREMA_D = Path(os.environ.get("EMOSCALE_CREMA_D", PROJECT.parent / "shared" / "data" / "crema-d"))


def counted(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    return [(vote["rater"], vote["label"]) for vote in anonymous_votes(counts) or ()]


def corpus(votes: Sequence[Sequence[tuple[str, str]] | None], **columns: list[Any]) -> pl.DataFrame:
    """Return an utterance table; two speakers take turns; a vote is a rater and a label."""
    rows = [
        {
            "utterance": f"u{number:04d}",
            "corpus": "made",
            "speaker": f"s{number % 2}",
            "acted": None,
            "votes": None
            if chosen is None
            else [dict(zip(VOTE, vote, strict=True)) for vote in chosen],
        }
        for number, chosen in enumerate(votes)
    ]
    vote = pl.List(pl.Struct(dict.fromkeys(VOTE, pl.String)))
    table = pl.DataFrame(rows, schema_overrides={"votes": vote, "acted": pl.String})
    return table.with_columns(**{name: pl.Series(values) for name, values in columns.items()})


def predicted(
    utterances: pl.DataFrame,
    labels: list[str],
    predictions: list[list[str]],
    probabilities: np.ndarray | None = None,
    classes: list[str] = CLASSES,
) -> pl.DataFrame:
    """Return the predictions of an experiment; `predictions` has a list per repeat."""
    if probabilities is None:
        probabilities = np.full((len(labels), len(classes)), 1 / len(classes))
    return pl.concat(
        utterances.select("utterance").with_columns(
            label=pl.Series(labels),
            predicted=pl.Series(of_repeat),
            repeat=repeat,
            order=repeat,
            fold=pl.lit("fold1"),
            experiment=pl.lit("net"),
            size=pl.lit("all"),
            **{f"p_{name}": probabilities[:, index] for index, name in enumerate(classes)},
        )
        for repeat, of_repeat in enumerate(predictions)
    )


def by_target(table: pl.DataFrame, experiment: str) -> dict[str, dict[str, Any]]:
    rows = table.filter(experiment=experiment).iter_rows(named=True)
    return {row["target"]: row for row in rows}


def test_crema_d() -> None:
    """Voice only, six classes: the values that the corpus's table of votes leads to."""
    if not CREMA_D.is_dir():
        pytest.skip("CREMA-D is missing: set EMOSCALE_CREMA_D to the folder of tabulatedVotes.csv")
    letters = list("ADFHNS")
    table = pl.read_csv(CREMA_D / "tabulatedVotes.csv", infer_schema_length=None)
    voice = table.filter(pl.col(table.columns[0]).cast(pl.String).str.starts_with("1"))
    acted = [name.split("_")[2][0] for name in voice["fileName"]]
    votes = [counted(counts) for counts in voice.select(letters).iter_rows(named=True)]
    speakers = [name[:4] for name in voice["fileName"]]
    utterances = corpus(votes, acted=acted, speaker=speakers)
    cell = predicted(utterances, acted, [acted], classes=letters)
    class_of = {"made": {letter: letter for letter in letters}}
    rows = by_target(ceiling_table([cell], utterances, class_of, letters, 1), "one more rater")
    others, label = rows["other raters"], rows["label"]
    assert others["votes"] + others["tied_votes"] == label["votes"] == 68_568
    assert (round(others["wa"], 3), round(others["ua"], 3)) == (0.592, 0.530)
    assert round(others["fleiss_kappa"], 3) == 0.278
    assert round(label["wa"], 3) == 0.400
    assert others["speakers"] == 91
    assert [round(others[name], 3) for name in ("ua_low", "ua_high")] == [0.516, 0.542]
    assert round(others["krippendorff_alpha"], 3) == 0.281
    assert label["is_ceiling"]  # the labels are the acted emotions
    assert not others["is_ceiling"]


def test_every_vote_is_compared_with_the_plurality_of_the_others() -> None:
    utterances = corpus(
        [
            [("1", "ang"), ("2", "ang"), ("3", "hap")],  # each ang: a tie; hap: anger
            [("1", "hap"), ("2", "exc"), ("3", "hap"), ("4", "sad")],  # joy x 4
            [("1", "sad"), ("2", "fru")],  # no other vote for a class
            None,
        ]
    )
    labels = ["anger", "joy", "sadness", "sadness"]
    cell = predicted(utterances, labels, [["anger", "sadness", "joy", "joy"]])
    table = ceiling_table([cell], utterances, CLASS_OF, CLASSES, 1)
    assert table.columns == CEILING.names
    rater, net = (by_target(table, name)["other raters"] for name in ("one more rater", "net"))
    for row in (rater, net):
        names = ("votes", "tied_votes", "single_votes", "votes_outside_classes", "utterances")
        assert [row[name] for name in names] == [5, 2, 1, 1, 2]
        assert row["is_ceiling"]
    assert rater["wa"] == pytest.approx(3 / 5)
    assert rater["ua"] == pytest.approx((0 + 3 / 4) / 2)  # no truth is sadness
    truth, of_rater = ["anger"] + 4 * ["joy"], ["joy", "joy", "joy", "joy", "sadness"]
    f1 = f1_score(truth, of_rater, labels=CLASSES, average="macro", zero_division=0)
    assert rater["macro_f1"] == pytest.approx(f1)
    assert rater["difference"] is None
    assert net["wa"] == pytest.approx(1 / 5)
    assert net["ua"] == pytest.approx((1 + 0) / 2)
    assert net["difference"] == pytest.approx(net["ua"] - rater["ua"])
    label = by_target(table, "one more rater")["label"]
    assert [label[name] for name in ("votes", "tied_votes", "utterances")] == [8, 0, 3]
    assert label["wa"] == pytest.approx((2 + 3 + 1) / 8)
    assert label["ua"] == pytest.approx((2 / 3 + 3 / 4 + 1) / 3)


def iemocap_like(number: int, generator: np.random.Generator) -> list[list[tuple[str, str]]]:
    """Return the votes of three to five raters, some for several labels or outside the classes."""
    labels = ["ang", "hap", "exc", "sad", "fru"]
    votes = []
    for _ in range(number):
        emotion = generator.integers(5)
        of_utterance = []
        for rater in range(generator.integers(3, 6)):
            chosen = emotion if generator.random() < 0.6 else generator.integers(5)
            of_utterance.append((f"E{rater}", labels[chosen]))
            if generator.random() < 0.2:
                of_utterance.append((f"E{rater}", labels[(chosen + 1) % 5]))
        votes.append(of_utterance)
    return votes


def test_divided_votes_against_a_plain_loop() -> None:
    votes = iemocap_like(80, np.random.default_rng(3))
    utterances = corpus(votes)
    confusion = np.zeros((3, 3))
    for of_utterance in votes:
        shares: dict[str, np.ndarray] = {}
        for rater, label in of_utterance:
            share = shares.setdefault(rater, np.zeros(3))
            if label in CLASS_OF["made"]:
                number = sum(name == rater for name, _ in of_utterance)
                share[CLASSES.index(CLASS_OF["made"][label])] += 1 / number
        for rater, share in shares.items():
            rest = sum((s for name, s in shares.items() if name != rater), np.zeros(3)).round(6)
            if (rest == rest.max()).sum() == 1:
                confusion[rest.argmax()] += share
    cell = predicted(utterances, ["joy"] * 80, [["joy"] * 80])
    table = ceiling_table([cell], utterances, CLASS_OF, CLASSES, 1)
    row = by_target(table, "one more rater")["other raters"]
    assert row["wa"] == pytest.approx(np.trace(confusion) / confusion.sum())
    assert row["ua"] == pytest.approx(np.mean(np.diag(confusion) / confusion.sum(axis=1)))
    net = by_target(table, "net")["other raters"]
    assert net["wa"] == pytest.approx(confusion[1].sum() / confusion.sum())
    assert net["ua"] == pytest.approx(1 / 3)


def test_kappa_of_a_published_example() -> None:
    """https://en.wikipedia.org/wiki/Fleiss%27_kappa: ten subjects, fourteen raters."""
    counts = [
        *([0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1]),
        *([7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]),
    ]
    kappa, _ = agreement_of_raters(votes_of_counts(counts))
    assert kappa == pytest.approx(0.210, abs=5e-4)


def test_alpha_of_a_published_example() -> None:
    """Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section C: nominal 0.743."""
    observers = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
    counts = [
        [unit.count(str(value)) for value in range(1, 6)] for unit in zip(*observers, strict=True)
    ]
    _, alpha = agreement_of_raters(votes_of_counts(counts))
    assert alpha == pytest.approx(0.743, abs=5e-4)


def votes_of_counts(counts: list[list[int]]) -> Any:
    labels = [f"class{number}" for number in range(5)]
    utterances = corpus([counted(dict(zip(labels, row, strict=True))) for row in counts])
    return rater_votes(utterances, {"made": {name: name for name in labels}}, labels)


def test_raters_without_disagreement_or_without_others() -> None:
    same = [[("1", "ang"), ("2", "ang")], [("1", "sad"), ("2", "sad")]]
    assert agreement_of_raters(rater_votes(corpus(same), CLASS_OF, CLASSES)) == (1.0, 1.0)
    for votes in (same[:1], [[("1", "ang")], [("1", "sad")]]):  # one class; single votes
        assert agreement_of_raters(rater_votes(corpus(votes), CLASS_OF, CLASSES)) == (None, None)


def test_scores_against_the_distribution_of_the_votes() -> None:
    generator = np.random.default_rng(5)
    labels = np.array(["ang", "hap", "sad"])
    votes = [[(f"E{n}", str(generator.choice(labels))) for n in range(4)] for _ in range(30)]
    probabilities = generator.dirichlet([1.0, 1.0, 1.0], size=30)
    utterances = corpus(votes)
    cell = predicted(utterances, ["joy"] * 30, [["joy"] * 30] * 2, probabilities)
    net = by_target(ceiling_table([cell], utterances, CLASS_OF, CLASSES, 1), "net")["other raters"]
    # The mean over the distributions of three others is the mean over all votes.
    chosen = [label for of_utterance in votes for _, label in of_utterance]
    expected = log_loss(chosen, probabilities.repeat(4, axis=0), labels=labels.tolist())
    assert net["cross_entropy"] == pytest.approx(expected)
    divergences = []
    for of_utterance, probability in zip(votes, probabilities, strict=True):
        for rater, _ in of_utterance:
            others = [label for name, label in of_utterance if name != rater]
            distribution = [others.count(str(label)) / 3 for label in labels]
            divergences.append(jensenshannon(probability, distribution, base=2) ** 2)
    assert net["jensen_shannon"] == pytest.approx(np.mean(divergences))


def test_the_distribution_of_a_rater_is_what_the_vote_says_about_another() -> None:
    # Of another vote, "ang" says: 2/3 anger, 1/3 joy; "hap" says: anger.
    utterances = corpus([[("1", "ang"), ("2", "ang")], [("1", "ang"), ("2", "hap")]])
    cell = predicted(utterances, ["anger"] * 2, [["anger"] * 2])
    table = ceiling_table([cell], utterances, CLASS_OF, CLASSES, 1)
    rater = by_target(table, "one more rater")["other raters"]
    expected = -(2 * np.log(2 / 3) + np.log(1 / 3) + np.log(1)) / 4
    assert rater["cross_entropy"] == pytest.approx(expected)


def test_a_corpus_without_two_raters_has_no_rows() -> None:
    for votes in ([None, None], [[("1", "ang")], None], [[("1", "ang"), ("2", "fru")], []]):
        utterances = corpus(votes)
        cell = predicted(utterances, ["anger"] * 2, [["anger"] * 2])
        table = ceiling_table([cell], utterances, CLASS_OF, CLASSES, 1)
        assert table.is_empty()
        assert table.columns == CEILING.names
        assert human_ceiling(table) is None


def test_only_test_utterances_count() -> None:
    votes = iemocap_like(60, np.random.default_rng(4))
    utterances, tested = corpus(votes), corpus(votes[:40])
    cell = predicted(tested, ["joy"] * 40, [["joy"] * 40])
    assert ceiling_table([cell], utterances, CLASS_OF, CLASSES, 1).equals(
        ceiling_table([cell], tested, CLASS_OF, CLASSES, 1)
    )


def test_the_difference_is_paired_by_speaker() -> None:
    """A model that is as good as a rater for every speaker has a narrow interval."""
    votes = [[(str(n), "ang" if n < 3 or u % 2 else "sad") for n in range(4)] for u in range(40)]
    utterances = corpus(votes, speaker=[f"s{number // 4}" for number in range(40)])
    cell = predicted(utterances, ["anger"] * 40, [["anger"] * 40])
    net = by_target(ceiling_table([cell], utterances, CLASS_OF, CLASSES, 1), "net")["other raters"]
    assert net["difference"] == pytest.approx(1 / 8)
    assert net["difference_high"] - net["difference_low"] < 1e-9


def test_an_utterance_may_be_tested_in_several_folds() -> None:
    """As in a study of corpus pairs; every fold weights the rater and the model alike."""
    votes = iemocap_like(60, np.random.default_rng(6))
    utterances = corpus(votes)
    cell = predicted(utterances, ["joy"] * 60, [["joy"] * 60])
    again = pl.concat([cell, cell.with_columns(fold=pl.lit("fold2"))])
    once, twice = (
        ceiling_table([each], utterances, CLASS_OF, CLASSES, 1).drop(cs.ends_with("_low", "_high"))
        for each in (cell, again)
    )
    assert_frame_equal(once, twice)
