"""Each planted defect is detected before training."""

from __future__ import annotations

import polars as pl
import pytest

from emoscale.config.protocol import ProtocolSettings
from emoscale.protocol.checks import check_folds, protocol_warnings
from emoscale.protocol.orders import make_fold
from emoscale.runtime.errors import ProtocolError
from tests.protocol.test_orders import corpus

PROTOCOL = ProtocolSettings(fold_unit="session", folds=5, repeats=1)


def utterances() -> pl.DataFrame:
    table = corpus()
    return table.with_columns(
        audio_sha256=pl.col("utterance"),
        text_key=pl.lit("text ") + pl.col("utterance"),
        style=pl.when(pl.col("sex") == "F")
        .then(pl.lit("improvised"))
        .otherwise(pl.lit("scripted")),
    )


def folds(table: pl.DataFrame, protocol: ProtocolSettings = PROTOCOL) -> dict[str, pl.DataFrame]:
    return {f"fold{n + 1}": make_fold(table, protocol, n, 1) for n in range(protocol.folds)}


def set_role(fold: pl.DataFrame, selected: pl.Expr, role: str) -> pl.DataFrame:
    return fold.with_columns(role=pl.when(selected).then(pl.lit(role)).otherwise(pl.col("role")))


def test_a_sound_protocol_passes_without_warnings() -> None:
    report = check_folds(utterances(), folds(utterances()), ["10", "2-per-class", "all"], PROTOCOL)
    assert protocol_warnings(report) == []
    assert report["folds"]["fold1"]["speakers"]["test"] == ["s0F", "s0M"]
    assert report["identical_audio"] == []


def test_a_speaker_in_two_roles() -> None:
    tampered = folds(utterances())
    tampered["fold1"] = set_role(tampered["fold1"], pl.col("utterance") == "s0F001", "train")
    with pytest.raises(ProtocolError, match=r"fold1: speaker s0F is in the roles train and test"):
        check_folds(utterances(), tampered, ["all"], PROTOCOL)


def test_an_utterance_in_two_roles() -> None:
    tampered = folds(utterances())
    tested = tampered["fold1"].filter(pl.col("role") == "test")
    again = tested.head(1).with_columns(role=pl.lit("dev"))
    tampered["fold1"] = pl.concat([tampered["fold1"], again])
    with pytest.raises(
        ProtocolError, match=r"fold1: utterance s0F001 is in the roles dev and test"
    ):
        check_folds(utterances(), tampered, ["all"], PROTOCOL)


def test_identical_audio_in_two_roles() -> None:
    table = utterances()
    twin = pl.when(pl.col("utterance").is_in(["s0F000", "s3M001"])).then(pl.lit("same"))
    table = table.with_columns(
        audio_sha256=twin.otherwise(pl.col("audio_sha256")),
        label=pl.col("label").fill_null("anger"),
    )
    with pytest.raises(ProtocolError, match=r"identical audio of .* in the roles train and test"):
        check_folds(table, folds(table), ["all"], PROTOCOL)


def test_identical_audio_in_one_role_is_a_warning() -> None:
    table = utterances().with_columns(label=pl.col("label").fill_null("anger"))
    twin = pl.when(pl.col("utterance").is_in(["s0F000", "s0M001"])).then(pl.lit("same"))
    table = table.with_columns(audio_sha256=twin.otherwise(pl.col("audio_sha256")))
    report = check_folds(table, folds(table), ["all"], PROTOCOL)
    assert report["identical_audio"] == [["s0F000", "s0M001"]]
    assert "s0F000, s0M001" in protocol_warnings(report)[0]


def test_a_class_that_is_missing_from_a_fold() -> None:
    table = utterances().with_columns(
        label=pl.when((pl.col("session") == "s2") & (pl.col("label") == "sadness"))
        .then(pl.lit("anger"))
        .otherwise(pl.col("label"))
    )
    with pytest.raises(ProtocolError, match=r"fold2: the role dev has no utterance of class sad"):
        check_folds(table, folds(table), ["all"], PROTOCOL)


def test_a_size_that_is_too_large() -> None:
    with pytest.raises(ProtocolError, match=r"fold\d: training size 5000: this fold has only"):
        check_folds(utterances(), folds(utterances()), ["10", "5000"], PROTOCOL)


def test_an_utterance_tested_twice() -> None:
    tampered = folds(utterances())
    tampered["fold2"] = tampered["fold1"]
    with pytest.raises(ProtocolError, match=r"is tested in more than one fold"):
        check_folds(utterances(), tampered, ["all"], PROTOCOL)


def test_repeated_text_is_reported_by_style() -> None:
    table = utterances().with_columns(
        text_key=pl.when(pl.col("style") == "scripted")
        .then(pl.lit("the same line"))
        .otherwise(pl.lit(""))
    )
    report = check_folds(table, folds(table), ["all"], PROTOCOL)
    assert report["folds"]["fold1"]["repeated_text"] == {"scripted": 1.0}
    assert protocol_warnings(report) == [
        "scripted: 100% of a fold's test utterances with a transcript have the same text "
        "in training"
    ]


def test_repeated_text_without_styles() -> None:
    table = utterances().with_columns(style=pl.lit(None, dtype=pl.String), text_key=pl.lit("one"))
    report = check_folds(table, folds(table), ["all"], PROTOCOL)
    assert protocol_warnings(report)[0].startswith("100% of a fold's test utterances")


def test_labels_that_follow_speakers_are_reported() -> None:
    table = utterances().with_columns(
        label=pl.when(pl.col("sex") == "F").then(pl.lit("a")).otherwise(pl.lit("b"))
    )
    report = check_folds(table, folds(table), ["all"], PROTOCOL)
    assert report["speaker_predicts_label"] == {"unweighted_accuracy": 1.0, "chance": 0.5}


def test_a_random_development_set_and_shuffled_labels_are_warnings() -> None:
    protocol = PROTOCOL.model_copy(update={"development": "random", "shuffle_labels": True})
    report = check_folds(utterances(), folds(utterances(), protocol), ["all"], protocol)
    warnings = protocol_warnings(report)
    assert any("negative control" in warning for warning in warnings)
    assert any("shares its speakers" in warning for warning in warnings)


WITHOUT = PROTOCOL.model_copy(update={"development": "none"})


def test_a_protocol_without_a_development_set_passes_with_a_warning() -> None:
    report = check_folds(utterances(), folds(utterances(), WITHOUT), ["10", "all"], WITHOUT)
    assert protocol_warnings(report) == [
        "no development set: nothing was selected on development data, and every training had the "
        "fixed length set in the configuration"
    ]
    first = report["folds"]["fold1"]
    assert list(first["utterances"]) == list(first["speakers"]) == ["train", "test"]
    assert sum(first["utterances"].values()) == utterances()["label"].count()


def test_leakage_is_detected_without_a_development_set() -> None:
    table = utterances()
    tampered = folds(table, WITHOUT)
    tampered["fold1"] = set_role(tampered["fold1"], pl.col("utterance") == "s0F001", "train")
    with pytest.raises(ProtocolError, match=r"fold1: speaker s0F is in the roles train and test"):
        check_folds(table, tampered, ["all"], WITHOUT)
    labelled = table.with_columns(label=pl.col("label").fill_null("anger"))
    twin = pl.when(pl.col("utterance").is_in(["s0F000", "s3M001"])).then(pl.lit("same"))
    labelled = labelled.with_columns(audio_sha256=twin.otherwise(pl.col("audio_sha256")))
    with pytest.raises(ProtocolError, match=r"identical audio of .* in the roles train and test"):
        check_folds(labelled, folds(labelled, WITHOUT), ["all"], WITHOUT)
    twice = folds(table, WITHOUT)
    twice["fold2"] = twice["fold1"]
    with pytest.raises(ProtocolError, match=r"is tested in more than one fold"):
        check_folds(table, twice, ["all"], WITHOUT)


def test_a_class_that_is_missing_from_training() -> None:
    table = utterances()
    tampered = folds(table, WITHOUT)
    tampered["fold3"] = tampered["fold3"].filter(
        (pl.col("role") == "test") | (pl.col("label") != "sadness")
    )
    with pytest.raises(ProtocolError, match=r"fold3: the role train has no utterance of class sad"):
        check_folds(table, tampered, ["all"], WITHOUT)


@pytest.mark.parametrize(("protocol", "role"), [(WITHOUT, "dev"), (PROTOCOL, "validation")])
def test_a_role_that_does_not_exist_in_the_protocol(protocol: ProtocolSettings, role: str) -> None:
    """No check between roles would cover it."""
    tampered = folds(utterances(), protocol)
    tampered["fold1"] = set_role(tampered["fold1"], pl.col("utterance") == "s0F001", role)
    message = rf"fold1: s0F001 has the role {role}, which does not exist with protocol.development"
    with pytest.raises(ProtocolError, match=message):
        check_folds(utterances(), tampered, ["all"], protocol)


def test_shuffled_labels_without_a_development_set() -> None:
    control = WITHOUT.model_copy(update={"shuffle_labels": True})
    fold = make_fold(utterances(), control, 0, 1)
    training = fold.filter(pl.col("role") == "train")
    assert sorted(training["training_label_0"]) == sorted(training["label"])
    assert not training["training_label_0"].equals(training["label"])


def groups(*names: str) -> pl.DataFrame:
    return pl.DataFrame({"utterance": names, "group": names[0], "match": "near"})


def test_the_same_recording_in_two_roles() -> None:
    table = utterances().with_columns(label=pl.col("label").fill_null("anger"))
    duplicates = groups("s0F000", "s3M001")
    message = r"s0F000 and s3M001 are the same recording and are in the roles test and train; .*"
    with pytest.raises(ProtocolError, match=message + r"labels\.exclude"):
        check_folds(table, folds(table), ["all"], PROTOCOL, duplicates)
    excluded = table.with_columns(
        label=pl.when(pl.col("utterance") != "s3M001").then(pl.col("label"))
    )
    report = check_folds(excluded, folds(excluded), ["all"], PROTOCOL, duplicates)
    assert report["identical_audio"] == []


def test_the_same_recording_in_one_role_is_a_warning() -> None:
    table = utterances().with_columns(label=pl.col("label").fill_null("anger"))
    report = check_folds(table, folds(table), ["all"], PROTOCOL, groups("s0F000", "s0M001"))
    assert report["identical_audio"] == [["s0F000", "s0M001"]]
    assert "s0F000, s0M001" in protocol_warnings(report)[0]


def one_file(start: float) -> pl.DataFrame:
    """Two utterances are parts of one file: one ends at 4 s, the other begins at `start`."""
    both = pl.col("utterance").is_in(["s0F000", "s3M001"])
    late = pl.col("utterance") == "s3M001"
    return utterances().with_columns(
        label=pl.col("label").fill_null("anger"),
        audio=pl.when(both).then(pl.lit("dialogue.wav")).otherwise("audio"),
        start=pl.when(late).then(start).otherwise("start"),
        end=pl.when(both).then(pl.when(late).then(9.0).otherwise(4.0)).otherwise("end"),
    )


def test_overlapping_utterances_in_two_roles() -> None:
    """Found from the table, at any share of common audio."""
    table = one_file(start=3.5)
    message = (
        r"fold1: s0F000 and s3M001 overlap by 0\.50 s in dialogue\.wav and are in the roles "
        r"test and train; .*correct their start and end"
    )
    with pytest.raises(ProtocolError, match=message):
        check_folds(table, folds(table), ["all"], PROTOCOL)
    tolerated = one_file(start=3.95)
    check_folds(tolerated, folds(tolerated), ["all"], PROTOCOL)


def test_overlapping_utterances_in_one_role_pass() -> None:
    table = one_file(start=3.5)
    together = table.with_columns(
        session=pl.when(pl.col("audio") == "dialogue.wav").then(pl.lit("s0")).otherwise("session"),
        speaker=pl.when(pl.col("utterance") == "s3M001").then(pl.lit("s0M")).otherwise("speaker"),
    )
    check_folds(together, folds(together), ["all"], PROTOCOL)


def test_sliding_windows_and_a_random_development_set() -> None:
    """A window shares audio with the next one, which may be in the other set."""
    protocol = PROTOCOL.model_copy(update={"development": "random"})
    number = pl.col("utterance").str.slice(-3).cast(pl.Float64)
    table = utterances().with_columns(
        audio=pl.col("speaker"), start=number * 2.0, end=number * 2.0 + 3.0
    )
    with pytest.raises(ProtocolError, match=r"overlap by 1\.00 s in s\dF and are in the roles"):
        check_folds(table, folds(table, protocol), ["all"], protocol)


def test_a_speaker_of_two_sexes() -> None:
    table = utterances().with_columns(label=pl.col("label").fill_null("anger"))
    conflicting = (
        pl.when(pl.col("utterance") == "s2F003").then(pl.lit("M")).otherwise(pl.col("sex"))
    )
    table = table.with_columns(sex=conflicting)
    with pytest.raises(ProtocolError, match=r"fold1: speaker s2F is labelled with two sexes"):
        check_folds(table, folds(table), ["all"], PROTOCOL)
