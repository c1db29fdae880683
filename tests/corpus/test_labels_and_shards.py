from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoscale.config.corpus import LabelSettings
from emoscale.corpus.labels import add_labels
from emoscale.corpus.shards import shard_index
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
    labels = add_labels(TABLE, LabelSettings(classes=CLASSES))["label"].to_list()
    assert labels == ["happiness", "happiness", "anger", None, "anger"]


def test_utterances_of_other_styles_have_no_label() -> None:
    settings = LabelSettings(classes=CLASSES, styles=["improvised"])
    assert add_labels(TABLE, settings)["label"].to_list() == [
        "happiness",
        None,
        "anger",
        None,
        None,
    ]


def test_a_class_without_utterances_is_an_error() -> None:
    settings = LabelSettings(classes=CLASSES, styles=["improvised"])
    table = TABLE.with_columns(style=pl.lit("scripted"))
    with pytest.raises(CorpusError, match=r"class \w+ .* the corpus has the labels ang, exc, hap"):
        add_labels(table, settings)


@pytest.mark.parametrize("labels", [["fea"], ["hap", "fea"]], ids=["alone", "beside another"])
def test_a_label_that_no_utterance_has_is_an_error(labels: list[str]) -> None:
    """A misspelt label beside a right one would lose utterances silently."""
    settings = LabelSettings(classes={"anger": ["ang"], "fear": labels})
    message = r"class fear: no utterance has the label fea \(available: ang, exc, hap"
    with pytest.raises(CorpusError, match=message):
        add_labels(TABLE, settings)


def test_excluded_utterances_have_no_label() -> None:
    table = TABLE.with_columns(utterance=pl.Series(["a", "b", "c", "d", "e"]))
    settings = LabelSettings(classes=CLASSES, exclude=["a", "e"])
    labels = add_labels(table, settings)["label"].to_list()
    assert labels == [None, "happiness", "anger", None, None]


def test_an_excluded_utterance_that_is_not_in_the_corpus_is_an_error() -> None:
    table = TABLE.with_columns(utterance=pl.Series(["a", "b", "c", "d", "e"]))
    settings = LabelSettings(classes=CLASSES, exclude=["a", "f", "g"])
    with pytest.raises(
        CorpusError,
        match=r"labels.exclude: f \(and 1 more\) is not a usable utterance of the corpus",
    ):
        add_labels(table, settings)
    with pytest.raises(ValueError, match=r"exclude lists a twice"):
        LabelSettings(classes=CLASSES, exclude=["a", "a"])


@given(st.text(min_size=1, max_size=30), st.integers(1, 1000))
def test_the_shard_depends_on_the_key_only(key: str, shards: int) -> None:
    assert 0 <= shard_index(key, shards) < shards
    assert shard_index(key, shards) == shard_index(key, shards)


def test_shards_have_similar_sizes_and_do_not_change() -> None:
    keys = [f"Ses{session:02d}_{number}" for session in range(5) for number in range(2000)]
    sizes = [0] * 64
    for key in keys:
        sizes[shard_index(key, 64)] += 1
    assert min(sizes) > 100
    assert max(sizes) < 220
    # by hand, with Python's hashlib: int(sha256(b"Ses01F_impro01_F000").hexdigest()[:16], 16) % 64
    assert shard_index("Ses01F_impro01_F000", 64) == 51
