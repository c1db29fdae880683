from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoscale.config.corpus import LabelSettings
from emoscale.corpus.labels import give_labels
from emoscale.corpus.survey import shard_of
from emoscale.runtime.errors import CorpusError

TABLE = pl.DataFrame(
    {
        "corpus": ["one"] * 5,
        "emotion": ["hap", "exc", "ang", "xxx", "ang"],
        "style": ["improvised", "scripted", "improvised", "improvised", None],
    }
)
CLASSES = {"happiness": ["hap", "exc"], "anger": ["ang"]}


def test_labels_are_merged_and_others_are_null() -> None:
    labels = give_labels(TABLE, LabelSettings(classes=CLASSES))["label"].to_list()
    assert labels == ["happiness", "happiness", "anger", None, "anger"]


def test_styles_leave_the_others_out() -> None:
    settings = LabelSettings(classes=CLASSES, styles=["improvised"])
    assert give_labels(TABLE, settings)["label"].to_list() == [
        "happiness",
        None,
        "anger",
        None,
        None,
    ]


def test_a_class_without_utterances_is_an_error() -> None:
    settings = LabelSettings(classes={**CLASSES, "fear": ["fea"]})
    with pytest.raises(CorpusError, match=r"class fear .* the corpus has the labels ang, exc, hap"):
        give_labels(TABLE, settings)


def test_excluded_utterances_have_no_label() -> None:
    table = TABLE.with_columns(utterance=pl.Series(["a", "b", "c", "d", "e"]))
    settings = LabelSettings(classes=CLASSES, exclude=["a", "e"])
    labels = give_labels(table, settings)["label"].to_list()
    assert labels == [None, "happiness", "anger", None, None]


def test_an_excluded_utterance_that_the_corpus_does_not_have() -> None:
    table = TABLE.with_columns(utterance=pl.Series(["a", "b", "c", "d", "e"]))
    settings = LabelSettings(classes=CLASSES, exclude=["a", "f", "g"])
    with pytest.raises(
        CorpusError, match=r"labels.exclude: f \(and 1 more\) is none of the corpus"
    ):
        give_labels(table, settings)
    with pytest.raises(ValueError, match=r"a stands twice under exclude"):
        LabelSettings(classes=CLASSES, exclude=["a", "a"])


@given(st.text(min_size=1, max_size=30), st.integers(1, 1000))
def test_a_shard_follows_from_the_key_alone(key: str, shards: int) -> None:
    assert 0 <= shard_of(key, shards) < shards
    assert shard_of(key, shards) == shard_of(key, shards)


def test_shards_are_even_and_stay_what_they_are() -> None:
    keys = [f"Ses{session:02d}_{number}" for session in range(5) for number in range(2000)]
    sizes = [0] * 64
    for key in keys:
        sizes[shard_of(key, 64)] += 1
    assert min(sizes) > 100
    assert max(sizes) < 220
    # from Python's hashlib by hand: int(sha256(b"Ses01F_impro01_F000").hexdigest()[:16], 16) % 64
    assert shard_of("Ses01F_impro01_F000", 64) == 51
