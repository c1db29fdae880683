"""Properties that every fold and every training order must have."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import polars.selectors as cs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from emoscale.config.protocol import ProtocolSettings
from emoscale.corpus.votes import VOTE_SHARES_DTYPE
from emoscale.protocol.folds import fold_groups
from emoscale.protocol.orders import balanced_order, make_fold, subset, training_labels
from emoscale.runtime.errors import ProtocolError
from emoscale.tables.parquet import read_fold, write_table
from emoscale.tables.schemas import fold_schema

CLASSES = ["anger", "happiness", "neutral", "sadness"]


def corpus(sessions: int = 5, per_speaker: int = 24, seed: int = 0) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    rows = [
        {
            "utterance": f"s{session}{sex}{number:03d}",
            "corpus": "one",
            "audio": f"s{session}{sex}{number:03d}.wav",
            "start": None,
            "end": None,
            "seconds": 3.0,
            "session": f"s{session}",
            "speaker": f"s{session}{sex}",
            "sex": sex,
            "label": [*CLASSES, CLASSES[0], None][generator.integers(6)],
            "vote_shares": [{"label": CLASSES[number % 4], "share": 1.0}] if number % 3 else None,
        }
        for session in range(sessions)
        for sex in "FM"
        for number in range(per_speaker)
    ]
    schema: dict[str, Any] = {"vote_shares": VOTE_SHARES_DTYPE, "start": pl.Float64}
    return pl.DataFrame(rows, schema_overrides={**schema, "end": pl.Float64})


corpora = st.builds(corpus, st.integers(3, 6), st.integers(20, 40), st.integers(0, 1000))
protocols = st.builds(
    ProtocolSettings,
    fold_unit=st.sampled_from(["session", "speakers"]),
    folds=st.just(5),
    development=st.sampled_from(["unit", "random", "none"]),
    repeats=st.integers(1, 3),
)


@settings(max_examples=15)
@given(utterances=corpora, protocol=protocols, seed=st.integers(0, 10))
def test_no_speaker_in_two_roles_and_everyone_tested_once(
    utterances: pl.DataFrame, protocol: ProtocolSettings, seed: int
) -> None:
    sessions = utterances["session"].n_unique()
    protocol = protocol.model_copy(update={"folds": sessions})
    tested: list[str] = []
    for number in range(sessions):
        fold = make_fold(utterances, protocol, number, seed)
        assert set(fold["utterance"]) == set(utterances.drop_nulls("label")["utterance"])
        assert fold["utterance"].n_unique() == len(fold)
        speakers = {
            role: set(fold.filter(pl.col("role") == role)["speaker"])
            for role in ("train", "dev", "test")
        }
        assert not speakers["test"] & (speakers["train"] | speakers["dev"])
        if protocol.development == "unit":
            assert not speakers["dev"] & speakers["train"]
        assert bool(speakers["dev"]) is (protocol.development != "none")
        assert speakers["test"] | speakers["dev"] | speakers["train"] == set(fold["speaker"])
        tested += fold.filter(pl.col("role") == "test")["utterance"].to_list()
    assert Counter(tested) == Counter(utterances.drop_nulls("label")["utterance"].to_list())


@settings(max_examples=15)
@given(utterances=corpora, protocol=protocols, seed=st.integers(0, 10))
def test_subsets_are_nested_and_balanced_until_a_class_is_exhausted(
    utterances: pl.DataFrame, protocol: ProtocolSettings, seed: int
) -> None:
    protocol = protocol.model_copy(update={"folds": utterances["session"].n_unique()})
    fold = make_fold(utterances, protocol, 0, seed)
    label_of = dict(fold.select("utterance", "label").iter_rows())
    pool = fold.filter(pl.col("role") == "train")
    rarest = min(Counter(pool["label"]).values())
    for repeat in range(protocol.repeats):
        whole = subset(fold, repeat, "all")
        assert sorted(whole) == sorted(pool["utterance"])
        for size in {*range(1, len(whole), 7), rarest * len(CLASSES), len(whole)}:
            selected = subset(fold, repeat, str(size))
            assert selected == whole[:size]
            counts = [Counter(label_of[key] for key in selected)[name] for name in CLASSES]
            if size <= rarest * len(CLASSES):
                assert max(counts) - min(counts) <= 1
        for size in (1, rarest):
            selected = subset(fold, repeat, f"{size}-per-class")
            assert selected == whole[: size * len(CLASSES)]


def test_speakers_alternate_within_a_class() -> None:
    keys = [f"{speaker}{number}" for speaker in "abc" for number in range(10)]
    order = balanced_order(keys, ["x"] * 30, [key[0] for key in keys], np.random.default_rng(0))
    for size in range(1, 31):
        counts = Counter(key[0] for key in order[:size])
        assert max(counts.values()) - min(counts[name] for name in "abc") <= 1


def test_orders_differ_between_repeats_and_folds_and_follow_the_seed() -> None:
    protocol = ProtocolSettings(fold_unit="session", folds=5, repeats=2)
    fold = make_fold(corpus(), protocol, 0, seed=1)
    assert fold.equals(make_fold(corpus(), protocol, 0, seed=1))
    shuffled = corpus().sample(fraction=1.0, shuffle=True, seed=3)
    assert fold.equals(make_fold(shuffled, protocol, 0, seed=1))  # joined by key, not by position
    assert subset(fold, 0, "all") != subset(fold, 1, "all")
    assert subset(fold, 0, "all") != subset(make_fold(corpus(), protocol, 0, seed=2), 0, "all")


def test_one_more_repeat_does_not_change_the_others() -> None:
    two = ProtocolSettings(fold_unit="session", folds=5, repeats=2)
    three = two.model_copy(update={"repeats": 3})
    fewer, more = make_fold(corpus(), two, 0, 1), make_fold(corpus(), three, 0, 1)
    assert more.drop("rank_2").equals(fewer)


def test_repeats_of_one_order_share_subsets_and_training_labels() -> None:
    each = ProtocolSettings(fold_unit="session", folds=5, repeats=2, shuffle_labels=True)
    shared = each.model_copy(update={"repeats": 4, "seeds_per_order": 2})
    orders, fold = make_fold(corpus(), each, 0, 1), make_fold(corpus(), shared, 0, 1)
    for repeat in range(4):
        order = repeat // 2
        assert fold[f"rank_{repeat}"].to_list() == orders[f"rank_{order}"].to_list()
        assert (
            fold[f"training_label_{repeat}"].to_list()
            == orders[f"training_label_{order}"].to_list()
        )
        assert subset(fold, repeat, "12") == subset(orders, order, "12")


def test_speaker_groups_are_even_in_size_and_sex() -> None:
    protocol = ProtocolSettings(fold_unit="speakers", folds=5)
    groups = fold_groups(corpus(), protocol)
    assert [sorted(name[-1] for name in group) for group in groups] == [["F", "M"]] * 5


def test_shuffled_labels_are_a_permutation_of_training_and_development_only() -> None:
    plain = ProtocolSettings(fold_unit="session", folds=5)
    control = plain.model_copy(update={"shuffle_labels": True})
    fold, shuffled = make_fold(corpus(), plain, 0, 1), make_fold(corpus(), control, 0, 1)
    assert (
        shuffled.select(fold.columns)
        .drop("votes", cs.starts_with("rank_"))
        .equals(fold.drop("votes", cs.starts_with("rank_")))
    )
    for repeat in range(control.repeats):
        table = shuffled.with_columns(training_label=training_labels(shuffled, repeat))
        for role in ("train", "dev", "test"):
            of_role = table.filter(pl.col("role") == role)
            assert Counter(of_role["label"]) == Counter(of_role["training_label"])
            unchanged = (of_role["label"] == of_role["training_label"]).all()
            assert unchanged == (role == "test")
        few = table.filter(pl.col("utterance").is_in(subset(shuffled, repeat, "3-per-class")))
        assert set(Counter(few["training_label"]).values()) == {3}
    assert not (shuffled["training_label_0"] == shuffled["training_label_1"]).all()
    assert training_labels(fold, 0).equals(fold["label"])


@pytest.mark.parametrize("voted", [True, False], ids=["votes", "no votes"])
@pytest.mark.parametrize("shuffle", [True, False], ids=["shuffled", "unchanged"])
@pytest.mark.parametrize("development", ["unit", "random", "none"])
def test_a_fold_is_read_back(
    tmp_path: Path, development: Literal["unit", "random", "none"], shuffle: bool, voted: bool
) -> None:
    protocol = ProtocolSettings(
        fold_unit="session", folds=5, repeats=2, development=development, shuffle_labels=shuffle
    )
    table = corpus()
    if not voted:
        table = table.with_columns(vote_shares=pl.lit(None, dtype=VOTE_SHARES_DTYPE))
    fold = make_fold(table, protocol, 0, 1)
    path = tmp_path / "fold1.parquet"
    write_table(fold, path, fold_schema(2, shuffle))
    assert read_fold(path).equals(fold)


def test_votes_belong_to_their_utterances_and_are_null_with_shuffled_labels() -> None:
    plain = ProtocolSettings(fold_unit="session", folds=5, repeats=1)
    table = corpus()
    fold = make_fold(table, plain, 0, 1)
    assert fold["votes"].null_count() > 0
    expected = dict(table.select("utterance", "vote_shares").iter_rows())
    assert dict(fold.select("utterance", "votes").iter_rows()) == {
        key: expected[key] for key in fold["utterance"]
    }
    control = plain.model_copy(update={"shuffle_labels": True})
    assert make_fold(table, control, 0, 1)["votes"].is_null().all()


def test_without_a_development_set_all_other_utterances_are_for_training() -> None:
    unit = ProtocolSettings(fold_unit="session", folds=5, repeats=1)
    none = unit.model_copy(update={"development": "none"})
    for number in range(5):
        with_set, without = (
            make_fold(corpus(), each, number, 1).sort("utterance") for each in (unit, none)
        )
        assert set(without["role"]) == {"train", "test"}
        tested = pl.col("role") == "test"
        assert with_set.filter(tested)["utterance"].equals(without.filter(tested)["utterance"])
        assert len(subset(without, 0, "all")) == (with_set["role"] != "test").sum()


def test_two_folds_are_enough_without_a_development_set() -> None:
    protocol = ProtocolSettings(fold_unit="speakers", folds=2, development="none")
    roles = Counter(make_fold(corpus(), protocol, 0, 1)["role"])
    assert set(roles) == {"train", "test"}


def test_the_message_for_a_too_large_size_names_the_remedies() -> None:
    protocol = ProtocolSettings(fold_unit="session", folds=5, repeats=1)
    with pytest.raises(ProtocolError, match=r"make the development set smaller"):
        subset(make_fold(corpus(), protocol, 0, 1), 0, "5000")
    none = protocol.model_copy(update={"development": "none"})
    with pytest.raises(ProtocolError, match=r"utterances; lower the size or use all$"):
        subset(make_fold(corpus(), none, 0, 1), 0, "5000")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folds": 4}, r"5 sessions \(s0, s1, s2, s3, s4\) and protocol.folds is 4; set it to 5"),
        ({"fold_unit": "speakers", "folds": 11}, "10 speakers and protocol.folds is 11"),
        ({"fold_unit": "speakers", "folds": 2}, "nothing is left to train on"),
    ],
)
def test_impossible_folds(change: dict[str, object], message: str) -> None:
    protocol = ProtocolSettings.model_validate({"fold_unit": "session", "folds": 5, **change})
    with pytest.raises(ProtocolError, match=message):
        make_fold(corpus(), protocol, 0, 1)


def test_a_corpus_without_sessions() -> None:
    table = corpus().with_columns(session=pl.lit(None, dtype=pl.String))
    with pytest.raises(ProtocolError, match=r"has no session; use protocol.fold_unit: speakers"):
        make_fold(table, ProtocolSettings(fold_unit="session", folds=5), 0, 1)


@settings(max_examples=20)
@given(st.integers(1, 10_000))
def test_a_size_larger_than_the_training_set(size: int) -> None:
    fold = make_fold(corpus(), ProtocolSettings(fold_unit="session", folds=5), 0, 1)
    pool = Counter(fold.filter(pl.col("role") == "train")["label"])
    assume(size > sum(pool.values()))
    with pytest.raises(ProtocolError, match=rf"has only {sum(pool.values())} training utterances"):
        subset(fold, 0, str(size))
    with pytest.raises(ProtocolError, match=rf"has only {min(pool.values())} training"):
        subset(fold, 0, f"{size}-per-class")
