from __future__ import annotations

import polars as pl

from emoscale.evaluation.groups import group_test_utterances
from emoscale.tables.parquet import dataframe_of
from tests.corpus.checked import UTTERANCES_WITH_TEXTS

CLASS_OF = {"c": {"ang": "anger", "hap": "happiness", "exc": "happiness"}}


def utterance(key: str, **values: object) -> dict[str, object]:
    return {
        "utterance": key,
        "corpus": "c",
        "audio": f"{key}.wav",
        "seconds": 1.0,
        "sample_rate": 16_000,
        "channels": 1,
        "speaker": "s",
        "emotion": "ang",
        "audio_sha256": "0",
        "label": "anger",
        **values,
    }


def votes(*labels: str) -> list[dict[str, str]]:
    return [{"rater": str(number), "label": label} for number, label in enumerate(labels)]


UTTERANCE_TABLE = dataframe_of(
    [
        utterance("a", sex="F", seconds=1.0, text_key="hello", votes=votes("ang", "ang", "ang")),
        utterance("b", sex="M", seconds=2.0, text_key="bye", votes=votes("ang", "fru", "fru")),
        utterance("c", seconds=3.0, text_key="", votes=votes("ang", "ang", "fru")),
        utterance("d", sex="F", seconds=9.0, text_key="hello"),
    ],
    UTTERANCES_WITH_TEXTS,
)


def fold(**roles: str) -> pl.DataFrame:
    return pl.DataFrame({"utterance": list(roles), "role": list(roles.values())})


FOLDS = {
    "fold1": fold(a="test", b="test", c="dev", d="train"),
    "fold2": fold(a="train", b="dev", c="test", d="test"),
}


def groups(name: str, snr_db: pl.DataFrame | None = None) -> dict[tuple[str, str], str]:
    table = group_test_utterances(FOLDS, UTTERANCE_TABLE, CLASS_OF, snr_db).filter(slice=name)
    rows = table.select("fold", "utterance", "group").iter_rows()
    return {(fold, key): group for fold, key, group in rows}


def test_official_test_splits_are_groups() -> None:
    """They are a slice where only test splits are tested: other folds ignore the official split."""
    splits = {"fold1": ["test1", "test1"], "fold2": ["test2", "test2"]}
    table = UTTERANCE_TABLE.with_columns(split=pl.Series(["test1", "test1", "test2", "test2"]))
    for tested, expected in ((table, splits), (UTTERANCE_TABLE, {})):
        slices = group_test_utterances(FOLDS, tested, CLASS_OF).filter(slice="split")
        assert {
            fold: group["group"].to_list()
            for (fold,), group in slices.group_by("fold", maintain_order=True)
        } == expected
    mixed = table.with_columns(split=pl.Series(["test1", "train", "test2", "test2"]))
    assert group_test_utterances(FOLDS, mixed, CLASS_OF).filter(slice="split").is_empty()


def test_missing_values_are_unknown() -> None:
    assert groups("sex") == {
        ("fold1", "a"): "F",
        ("fold1", "b"): "M",
        ("fold2", "c"): "unknown",
        ("fold2", "d"): "F",
    }


def test_slices_of_a_single_group_are_left_out() -> None:
    table = group_test_utterances(FOLDS, UTTERANCE_TABLE, CLASS_OF)
    assert set(table["slice"]) == {"sex", "text", "duration", "agreement"}


def test_text_is_repeated_if_the_training_pool_of_the_fold_has_it() -> None:
    assert groups("text") == {
        ("fold1", "a"): "repeated",
        ("fold1", "b"): "new",
        ("fold2", "c"): "unknown",  # no transcript
        ("fold2", "d"): "repeated",
    }
    development = {"fold1": fold(a="test", b="test", d="dev")}
    table = group_test_utterances(development, UTTERANCE_TABLE, CLASS_OF)
    assert "text" not in set(table["slice"])  # both are new: development texts do not count


def test_durations_are_tertiles_named_by_their_limits() -> None:
    assert list(groups("duration").values()) == [
        "up to 2.0 s",
        "up to 2.0 s",
        "2.0 s to 3.0 s",
        "over 3.0 s",
    ]


def test_votes_for_labels_outside_the_study_are_disagreement() -> None:
    by_utterance = groups("agreement")
    assert by_utterance["fold1", "a"] == "all votes"
    assert by_utterance["fold1", "b"] == "less than 2/3 of the votes"
    assert by_utterance["fold2", "c"] == "2/3 of the votes or more"
    assert by_utterance["fold2", "d"] == "unknown"


def test_noise_is_a_slice_if_it_was_estimated() -> None:
    snr_db = pl.DataFrame({"utterance": ["a", "b", "c"], "snr_db": [10.0, 20.0, 40.0]})
    assert groups("noise", snr_db) == {
        ("fold1", "a"): "up to 17 dB",
        ("fold1", "b"): "17 dB to 27 dB",
        ("fold2", "c"): "over 27 dB",
        ("fold2", "d"): "unknown",
    }


def test_groups_are_sorted() -> None:
    table = group_test_utterances(FOLDS, UTTERANCE_TABLE, CLASS_OF)
    for name, expected in (
        ("sex", ["F", "M", "unknown"]),
        ("duration", ["up to 2.0 s", "2.0 s to 3.0 s", "over 3.0 s"]),
        (
            "agreement",
            ["all votes", "2/3 of the votes or more", "less than 2/3 of the votes", "unknown"],
        ),
    ):
        ordered = table.filter(slice=name).unique("group").sort("position")
        assert ordered["group"].to_list() == expected
