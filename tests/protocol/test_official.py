"""Folds of the official split of a published corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from emoscale.config.corpus import ReleaseCorpus
from emoscale.config.protocol import ProtocolSettings
from emoscale.corpus.readers import read_corpus
from emoscale.protocol.checks import check_folds, protocol_warnings
from emoscale.protocol.orders import make_fold
from emoscale.runtime.errors import ProtocolError
from tests.corpus.releases.trees import write_esd
from tests.corpus.releases.trees_with_tables import write_msp_podcast
from tests.protocol.small_corpora import folds_of, of_role, several_corpora

CORPUS = several_corpora().filter(pl.col("corpus") == "a").sort("utterance")
PEOPLE = sorted(CORPUS["speaker"].unique())


def with_splits(*splits: str | None) -> pl.DataFrame:
    """One split per speaker, of eight."""
    return CORPUS.with_columns(
        split=pl.col("speaker").replace_strict(dict(zip(PEOPLE, splits, strict=True)))
    )


def protocol(folds: int, development: str = "official", **settings: Any) -> ProtocolSettings:
    base = {"fold_unit": "official", "folds": folds, "development": development, "repeats": 1}
    return ProtocolSettings.model_validate({**base, **settings})


PODCAST = with_splits("train", "train", "train", "dev", "dev", "test1", "test1", "test2")
"""As MSP-Podcast, without its third test split."""


def test_each_test_split_is_a_fold() -> None:
    settings = protocol(2)
    folds = folds_of(PODCAST, settings)
    for fold, tested in zip(folds.values(), (PEOPLE[5:7], PEOPLE[7:]), strict=True):
        assert of_role(fold, "train", "speaker") == {*PEOPLE[:3]}
        assert of_role(fold, "dev", "speaker") == {*PEOPLE[3:5]}
        assert of_role(fold, "test", "speaker") == {*tested}
    warnings = protocol_warnings(check_folds(PODCAST, folds, ["all"], settings))
    assert warnings[0] == "official split: fold1 tests test1, fold2 tests test2"
    assert not [warning for warning in warnings if "speakers" in warning]


def test_a_single_test_split_can_be_selected() -> None:
    settings = protocol(1, test_units=["test2"])
    folds = folds_of(PODCAST, settings)
    assert of_role(folds["fold1"], "test", "speaker") == {PEOPLE[7]}
    warnings = protocol_warnings(check_folds(PODCAST, folds, ["all"], settings))
    assert warnings[0] == "official split: fold1 tests test2"


def test_a_split_without_labels_is_not_tested() -> None:
    """Its labels are withheld, so none is of a class; the prediction program reads its files."""
    hidden = with_splits("train", "train", "train", "dev", "dev", "test1", "test2", "test3")
    label = pl.when(pl.col("split") != "test3").then("label")
    table = hidden.with_columns(label=label)
    folds = folds_of(table, protocol(2))
    check_folds(table, folds, ["all"], protocol(2))
    assert PEOPLE[7] not in {*folds["fold1"]["speaker"], *folds["fold2"]["speaker"]}
    with pytest.raises(ProtocolError, match=r"test3, which is not a test split: .*test1, test2;"):
        make_fold(table, protocol(1, test_units=["test3"]), 0, 1)


def test_shared_speakers_are_reported_with_every_score() -> None:
    """The official split of ESD tests the speakers that it trains on."""
    splits = pl.Series(["train", "dev", "test"] * len(CORPUS)).head(len(CORPUS))
    table = CORPUS.with_columns(split=splits)
    report = check_folds(table, folds_of(table, protocol(1)), ["all"], protocol(1))
    warnings = protocol_warnings(report)
    assert "the development set shares its speakers with training" in warnings
    assert (
        "8 of 8 test speakers (summed over folds) are also in training or development, as the "
        "official split assigns them: the scores are not speaker-independent"
    ) in warnings


def read_release(reader: str, root: Path, *classes: str) -> pl.DataFrame:
    """Return the utterances of a published corpus; every sentence is another recording."""
    manifest = read_corpus(ReleaseCorpus(reader=reader, root=str(root)))
    rows = [
        {
            **{name: getattr(each, name) for name in ("utterance", "speaker", "sex", "split")},
            **{"audio": each.audio, "audio_sha256": each.audio, "corpus": reader},
            "label": each.emotion if each.emotion in classes else None,
        }
        for each in manifest.utterances
    ]
    other_columns = [name for name in CORPUS.columns if name not in rows[0]]
    table = pl.DataFrame(rows, infer_schema_length=None)
    return table.with_columns(
        pl.lit(None, CORPUS.schema[name]).alias(name) for name in other_columns
    ).with_columns(emotion=pl.col("label").fill_null("other"), seconds=pl.lit(1.0))


def test_msp_podcast_has_two_test_splits_with_labels(tmp_path: Path) -> None:
    write_msp_podcast(tmp_path)
    table = read_release("msp_podcast", tmp_path, "anger", "neutral")
    assert set(table["split"]) == {"train", "dev", "test1", "test2", "test3"}
    folds = folds_of(table, protocol(2))
    warnings = protocol_warnings(check_folds(table, folds, ["all"], protocol(2)))
    assert warnings == ["official split: fold1 tests test1, fold2 tests test2"]


def test_esd_tests_the_speakers_that_it_trains_on(tmp_path: Path) -> None:
    write_esd(tmp_path, every=13)
    table = read_release("esd", tmp_path, "anger", "neutral")
    folds = folds_of(table, protocol(1))
    report = check_folds(table, folds, ["all"], protocol(1))
    shared = report["folds"]["fold1"]["tested_speakers_known"]
    assert shared == report["folds"]["fold1"]["speakers"]["test"]
    assert any("the official split assigns them" in each for each in protocol_warnings(report))


@pytest.mark.parametrize("name", ["unknown 0023", "a:Unknown"])
def test_unknown_speakers_are_reported_with_every_score(name: str) -> None:
    speaker = pl.when(pl.col("speaker") == PEOPLE[0]).then(pl.lit(name)).otherwise("speaker")
    table = PODCAST.with_columns(speaker=speaker)
    report = check_folds(table, folds_of(table, protocol(2)), ["all"], protocol(2))
    assert (
        "up to 12 training and development utterances of a fold have an unknown speaker, who may "
        "also be tested"
    ) in protocol_warnings(report)


@pytest.mark.parametrize("development", ["speakers", "random", "none"])
def test_without_a_dev_split_another_development_set(development: str) -> None:
    table = with_splits(*["train"] * 6, "test", "test")
    settings = protocol(1, development)
    fold = folds_of(table, settings)
    check_folds(table, fold, ["all"], settings)
    assert bool(of_role(fold["fold1"], "dev")) is (development != "none")


@pytest.mark.parametrize(
    ("table", "settings", "message"),
    [
        (CORPUS, {"folds": 1}, r"96 of 96 utterances of the study have no official split \(the"),
        (
            with_splits(None, *["train"] * 5, "dev", "test"),
            {"folds": 1},
            r"12 of 96 utterances .* \(the first: a:s1F1_00\); use another protocol.fold_unit, or",
        ),
        (
            with_splits(*["train"] * 7, "dev"),
            {"folds": 1},
            r"no official test split has utterances",
        ),
        (PODCAST, {"folds": 1}, r"folds is 1, .* test splits: .* test1, test2; set it to 2, or"),
        (PODCAST, {"folds": 2, "development": "speakers"}, r"has a dev split; set it to official"),
        (
            with_splits(*["train"] * 6, "test", "test"),
            {"folds": 1},
            r"development is official and the official split has no dev split; use speakers, ran",
        ),
    ],
)
def test_a_split_that_does_not_match_the_settings(
    table: pl.DataFrame, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ProtocolError, match=message):
        make_fold(table, protocol(**settings), 0, 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"development": "unit"}, r"would be another test split; use official"),
        ({"fold_unit": "speakers", "folds": 2}, r"official needs fold_unit: official"),
        ({"allow_shared_speakers": True}, r"has an effect only with fold_unit: file"),
    ],
)
def test_settings_that_contradict_each_other(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        protocol(**{"folds": 1, **settings})
