"""No utterance, speaker, recording or (if required) text is in two roles, in any protocol."""

from __future__ import annotations

import tempfile
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoscale.config.protocol import ProtocolSettings
from emoscale.protocol.checks import check_fold, check_folds, protocol_warnings
from emoscale.protocol.orders import make_fold
from emoscale.runtime.errors import ProtocolError
from tests.protocol.small_corpora import folds_of, of_role, several_corpora, write_fold_file

UNITS: dict[str, dict[str, Any]] = {
    "session": {"fold_unit": "session", "folds": 6},
    "one session": {"fold_unit": "session", "folds": 1, "test_units": ["b:s2"]},
    "speakers": {"fold_unit": "speakers", "folds": 8},
    "stratified": {"fold_unit": "stratified", "folds": 8},
    "corpus": {"fold_unit": "corpus", "folds": 3},
    "one corpus": {"fold_unit": "corpus", "folds": 1, "test_units": ["b"]},
    "corpus pairs": {"fold_unit": "corpus_pairs", "folds": 12},
    "numbers of a file": {"fold_unit": "file", "folds": 6},
    "roles of a file": {"fold_unit": "file", "folds": 2},
}
DEVELOPMENTS = ["unit", "session", "speakers", "random", "none"]
COMBINATIONS = [
    (unit, development)
    for unit in UNITS
    for development in [*DEVELOPMENTS, "file"]
    if (development == "file") == (unit == "roles of a file")
]


def protocol_of(unit: str, development: str, table: pl.DataFrame, folder: Path) -> dict[str, Any]:
    """Settings of a protocol; for fold files, with a file of whole sessions in `folder`."""
    protocol = {**UNITS[unit], "development": development, "repeats": 1}
    sessions = sorted(table["session"].unique())
    index_of = {session: number for number, session in enumerate(sessions)}
    keys = list(table.select("utterance", "session").iter_rows())
    if unit == "numbers of a file":
        rows: list[tuple[object, ...]] = [(key, index_of[session] + 1) for key, session in keys]
        protocol["fold_file"] = write_fold_file(folder / "f.csv", rows, "utterance", "fold")
    elif unit == "roles of a file":
        role = ["test", "dev", "train", "train", "train", "train"]
        rows = [
            (fold, key, role[(index_of[session] + fold) % 6])
            for key, session in keys
            for fold in (0, 1)
        ]
        protocol["fold_file"] = write_fold_file(folder / "f.csv", rows, "fold", "utterance", "role")
    return protocol


@pytest.mark.parametrize("text_disjoint", [True, False], ids=["text-disjoint", "texts shared"])
@pytest.mark.parametrize(("unit", "development"), COMBINATIONS)
@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_roles_are_disjoint(unit: str, development: str, text_disjoint: bool, seed: int) -> None:
    table = several_corpora(seed)
    labelled = table.drop_nulls("label")
    with tempfile.TemporaryDirectory() as folder:
        chosen = protocol_of(unit, development, table, Path(folder))
        protocol = ProtocolSettings.model_validate({**chosen, "text_disjoint": text_disjoint})
        folds = folds_of(table, protocol, seed)
        check_folds(table, folds, ["all"], protocol)
    roles = ["train", "test"] if development == "none" else ["train", "dev", "test"]
    tested: list[tuple[str, str]] = []
    for fold in folds.values():
        joined = fold.drop("speaker", "label").join(table, on="utterance")
        assert len(joined) == len(fold) == fold["utterance"].n_unique()
        assert set(fold["role"]) == set(roles)
        for one, other in combinations(roles, 2):
            random_pair = development == "random" and {one, other} == {"train", "dev"}
            for column in ("utterance", "audio_sha256", "speaker", "text_key"):
                if column == "text_key" and not text_disjoint:
                    continue
                shared = of_role(joined, one, column) & of_role(joined, other, column) - {""}
                assert not shared or (random_pair and column in ("speaker", "text_key"))
        pool = labelled
        if unit == "corpus pairs":
            (trained,) = of_role(joined, "train", "corpus")
            assert of_role(joined, "test", "corpus") == set("abc")
            pool = labelled.filter(pl.col("corpus") == trained)
        absent = set(pool["utterance"]) - set(joined["utterance"])
        if not text_disjoint:
            assert not absent
        other_texts = of_role(joined, "test", "text_key") | of_role(joined, "dev", "text_key")
        absent_texts = labelled.filter(pl.col("utterance").is_in(absent))["text_key"]
        assert "" not in absent_texts
        assert set(absent_texts) <= other_texts
        training = trained if unit == "corpus pairs" else ""
        tested += [(key, training) for key in of_role(fold, "test")]
    assert max(Counter(tested).values()) == 1
    if unit == "corpus pairs":
        assert set(tested) == {(key, corpus) for key in labelled["utterance"] for corpus in "abc"}
    elif unit in ("session", "speakers", "stratified", "corpus", "numbers of a file"):
        assert {key for key, _ in tested} == set(labelled["utterance"])
    else:
        assert 0 < len(tested) < len(labelled)


SESSION = ProtocolSettings(fold_unit="session", folds=6, repeats=1)


def set_role(fold: pl.DataFrame, selected: pl.Expr, role: str) -> pl.DataFrame:
    return fold.with_columns(role=pl.when(selected).then(pl.lit(role)).otherwise(pl.col("role")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"utterance": "again"}, r"fold1: utterance a:s1F1_00 is in the roles dev and test"),
        ({"speaker": "moved"}, r"fold1: speaker a:s1F1 is in the roles train and test"),
        (
            {"audio_sha256": "same"},
            r"fold1: identical audio of b:s1F1_00 is in the roles train and",
        ),
        (
            {"text_key": "same words"},
            r"fold1: the text of b:s1F1_00 is in the roles train and test",
        ),
        ({"role": "lost"}, r"fold1: b:s1F1_00 has no role for no known reason"),
    ],
)
def test_each_planted_violation_is_detected_when_the_fold_is_made(
    change: dict[str, str], message: str
) -> None:
    """`check_fold` runs when a fold is made, so no training uses it."""
    table = several_corpora(shared_text=0.0)
    protocol = SESSION.model_copy(update={"text_disjoint": True})
    fold = make_fold(table, protocol, 0, 1)
    (column, value), *_ = change.items()
    if column == "utterance":
        tested = fold.filter(pl.col("utterance") == "a:s1F1_00")
        fold = pl.concat([fold, tested.with_columns(role=pl.lit("dev"))])
    elif column == "speaker":
        fold = set_role(fold, pl.col("utterance") == "a:s1F1_00", "train")
    elif column == "role":
        fold = fold.filter(pl.col("utterance") != "b:s1F1_00")
    else:
        twins = pl.col("utterance").is_in(["a:s1F1_00", "b:s1F1_00"])
        table = table.with_columns(
            pl.when(twins).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)
        )
    with pytest.raises(ProtocolError, match=message):
        check_fold("fold1", fold, table, protocol)


def test_an_utterance_that_no_fold_tests_is_an_error() -> None:
    table = several_corpora()
    without = SESSION.model_copy(update={"development": "none"})
    folds = folds_of(table, without)
    folds["fold1"] = set_role(folds["fold1"], pl.col("speaker") == "a:s1F1", "train")
    with pytest.raises(ProtocolError, match=r"a:s1F1_\d\d is tested in no fold"):
        check_folds(table, folds, ["all"], without)


def test_excluded_texts_are_counted_and_reported() -> None:
    protocol = SESSION.model_copy(update={"text_disjoint": True})
    table = several_corpora(shared_text=0.0)
    # In fold1 the first two are tested, the next is for development, the others for training.
    same = ["a:s1F1_00", "a:s1F2_00", "a:s2F1_00", "b:s1F1_00", "c:s2M2_00"]
    words = pl.when(pl.col("utterance").is_in(same)).then(pl.lit("okay")).otherwise("text_key")
    silent = pl.when(pl.col("utterance") == "b:s1F1_01").then(None).otherwise(pl.col("utterance"))
    table = table.with_columns(text_key=silent).with_columns(text_key=words)
    report = check_folds(table, folds_of(table, protocol), ["all"], protocol)
    assert report["folds"]["fold1"]["left_out"] == {
        "same_text": 3,
        "not_listed": 0,
        "without_words": 1,
    }
    counts = report["folds"]["fold1"]["utterances"]
    assert counts == {"train": 192 - 2, "dev": 48 - 1, "test": 48}
    # The text is in neither the test nor the development set of fold4; in the latter of fold5.
    assert report["folds"]["fold4"]["left_out"]["same_text"] == 0
    assert report["folds"]["fold5"]["left_out"]["same_text"] == 4
    assert report["folds"]["fold5"]["utterances"] == {"train": 192 - 4, "dev": 48, "test": 48}
    assert report["folds"]["fold3"]["left_out"]["without_words"] == 0
    (warning,) = protocol_warnings(report)
    assert warning == (
        "text-disjoint: 0 to 4 of a fold's utterances are excluded, because their text is in "
        "another role; 0 to 1 without text are included"
    )


def test_a_random_development_set_keeps_its_fraction_after_texts_are_excluded() -> None:
    chosen = {"fold_unit": "session", "folds": 6, "development": "random", "text_disjoint": True}
    protocol = ProtocolSettings.model_validate({**chosen, "development_fraction": 0.5})
    for fold in folds_of(several_corpora(3), protocol).values():
        counts = Counter(fold["role"])
        assert abs(counts["dev"] - counts["train"]) <= 2


def test_equal_or_missing_texts_cannot_be_disjoint() -> None:
    protocol = SESSION.model_copy(update={"text_disjoint": True})
    table = several_corpora().with_columns(text_key=pl.lit("the same"))
    with pytest.raises(ProtocolError, match=r"leaves no utterance in the role train: each has the"):
        make_fold(table, protocol, 0, 1)
    silent = table.with_columns(text_key=pl.lit(None, dtype=pl.String))
    with pytest.raises(
        ProtocolError, match=r"text_disjoint is true and no utterance has a transcr"
    ):
        make_fold(silent, protocol, 0, 1)


def test_a_size_that_text_disjointness_makes_impossible() -> None:
    shared, disjoint = SESSION, SESSION.model_copy(update={"text_disjoint": True})
    table = several_corpora(shared_text=0.9)
    sizes = [str(len(of_role(make_fold(table, shared, 0, 1), "train")))]
    check_folds(table, folds_of(table, shared), sizes, shared)
    with pytest.raises(ProtocolError, match=r"fold1: training size 192: this fold has only"):
        check_folds(table, folds_of(table, disjoint), sizes, disjoint)


def test_a_class_that_one_corpus_lacks() -> None:
    table = several_corpora()
    removed = (pl.col("corpus") == "b") & (pl.col("label") == "neutral")
    table = table.with_columns(label=pl.when(removed).then(None).otherwise(pl.col("label")))
    both = ProtocolSettings(fold_unit="corpus", folds=3, development="none", repeats=1)
    fold = make_fold(table, both, 1, 1)
    with pytest.raises(
        ProtocolError, match=r"the role test \(corpus b\) has no utterance of class n"
    ):
        check_fold("fold2", fold, table, both)
    only = ProtocolSettings(
        fold_unit="corpus", folds=1, test_units=["a"], development="none", repeats=1
    )
    warnings = protocol_warnings(check_folds(table, folds_of(table, only), ["all"], only))
    assert warnings[1:3] == [
        "only a is tested; all other units are only used for training and development",
        "the corpus b has no utterance of neutral, so class and corpus are confounded",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fold_unit": "corpus", "folds": 2}, r"has 3 corpora \(a, b, c\) and protocol.folds is 2"),
        (
            {"fold_unit": "corpus", "folds": 1, "test_units": ["d"]},
            r"test_units lists d, which is not among the corpora with .* \(a, b, c\)",
        ),
        (
            {"fold_unit": "session", "folds": 1, "test_units": ["s9"]},
            r"test_units lists s9, which is not among the sessions",
        ),
    ],
)
def test_impossible_test_units(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        make_fold(several_corpora(), ProtocolSettings.model_validate(change), 0, 1)


PAIRS = ProtocolSettings(fold_unit="corpus_pairs", folds=12, repeats=1)


def test_a_fold_tests_the_same_speakers_of_each_corpus_whatever_it_trains_on() -> None:
    folds = folds_of(several_corpora(), PAIRS)
    for number in range(4):
        tested = [of_role(folds[f"fold{number + 1 + 4 * corpus}"], "test") for corpus in range(3)]
        assert tested[0] == tested[1] == tested[2]
    speakers = {role: of_role(folds["fold5"], role, "speaker") for role in ("train", "dev", "test")}
    assert speakers == {
        "train": {"b:s2F1", "b:s2F2", "b:s2M1", "b:s2M2"},
        "dev": {"b:s1F2", "b:s1M2"},
        "test": {f"{corpus}:s1{sex}1" for corpus in "abc" for sex in "FM"},
    }


def test_pairs_of_corpora_are_said_to_be_pooled() -> None:
    table = several_corpora()
    folds = folds_of(table, PAIRS)
    warnings = protocol_warnings(check_folds(table, folds, ["all"], PAIRS))
    assert "scores pool all pairs of a training and a test corpus" in warnings[0]
    folds["fold1"] = folds["fold1"].filter(pl.col("speaker") != "c:s1F1")
    with pytest.raises(ProtocolError, match=r"c:s1F1_\d\d is tested in no fold by models of one"):
        check_folds(table, folds, ["all"], PAIRS)
    folds["fold1"] = folds["fold2"]
    with pytest.raises(ProtocolError, match=r"in more than one fold by models of one corpus"):
        check_folds(table, folds, ["all"], PAIRS)


def test_pairs_need_every_class_in_every_corpus() -> None:
    removed = (pl.col("corpus") == "b") & (pl.col("label") == "neutral")
    table = several_corpora().with_columns(
        label=pl.when(removed).then(None).otherwise(pl.col("label"))
    )
    fold = make_fold(table, PAIRS, 4, 1)
    with pytest.raises(
        ProtocolError, match=r"role train \(corpus b\) has no utterance of class neutral; add the"
    ):
        check_fold("fold5", fold, table, PAIRS)


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        (10, r"folds is 10; set it to the number of corpora \(3\) times two or more .* as 15"),
        (3, r"folds is 3; set it to the number of corpora \(3\) times two or more"),
        (
            27,
            r"the corpus a has 8 speakers of the study's classes .* 9 groups in each of 3 corpora",
        ),
        (6, r"is unit and there are 2 groups of speakers in each corpus: nothing is left"),
    ],
)
def test_impossible_numbers_of_folds_of_pairs(folds: int, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        make_fold(several_corpora(), PAIRS.model_copy(update={"folds": folds}), 0, 1)


def test_two_corpora_leave_none_for_development() -> None:
    table = several_corpora().filter(pl.col("corpus") != "c")
    two = ProtocolSettings(fold_unit="corpus", folds=2)
    with pytest.raises(ProtocolError, match=r"is unit and there are 2 corpora: nothing is left"):
        make_fold(table, two, 0, 1)
    one = table.filter(pl.col("corpus") == "a")
    single = ProtocolSettings(fold_unit="corpus", folds=1, test_units=["a"])
    with pytest.raises(ProtocolError, match=r"there is only one corpus \(a\)"):
        make_fold(one, single, 0, 1)
