"""Classes, protocol and sizes of a new study."""

from __future__ import annotations

from dataclasses import replace

import pytest

from emoscale.corpus.folder_metadata import emotion_class
from emoscale.corpus.readers import Utterance
from emoscale.protocol.proposal import propose
from emoscale.runtime.errors import ProtocolError


def utterances(
    speakers: int, each: int = 10, sessions: int = 0, labels: tuple[str, ...] = ("angry", "sad")
) -> list[Utterance]:
    return [
        Utterance(
            utterance=f"{speaker}-{label}-{number}",
            audio="x.wav",
            speaker=f"s{speaker}",
            emotion=label,
            session=f"session{speaker % sessions}" if sessions else None,
        )
        for speaker in range(speakers)
        for label in labels
        for number in range(each)
    ]


def test_speakers_are_tested_one_by_one_where_there_are_few() -> None:
    proposal = propose(utterances(4), emotion_class)
    assert (proposal.protocol.fold_unit, proposal.protocol.folds) == ("speakers", 4)
    assert proposal.classes == {"anger": ["angry"], "sadness": ["sad"]}
    assert (proposal.smallest_training_set, proposal.sizes) == (40, [10, 20])


def test_groups_of_speakers_and_sizes_of_a_large_corpus() -> None:
    proposal = propose(utterances(50, each=100), emotion_class)
    assert (proposal.protocol.folds, proposal.protocol.development) == (5, "unit")
    assert proposal.smallest_training_set == 6000
    assert proposal.sizes == [10, 40, 160, 640, 2560]


def test_sessions_are_folds_where_a_corpus_has_some() -> None:
    proposal = propose(utterances(10, sessions=5), emotion_class)
    assert (proposal.protocol.fold_unit, proposal.protocol.folds) == ("session", 5)


def test_sessions_that_share_speakers_are_no_folds() -> None:
    corpus = [replace(each, session=f"day{n % 3}") for n, each in enumerate(utterances(6))]
    assert propose(corpus, emotion_class).protocol.fold_unit == "speakers"


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (["train", "train", "dev", "test1", "test2"], ("official", 2, "official")),
        (["train", "train", "train", "test", "test"], ("official", 1, "random")),
        (["train", "train", "train", "train", "train"], ("speakers", 5, "unit")),
        (["test", "test", "test", "test", "test"], ("speakers", 5, "unit")),
        (["dev", "dev", "dev", "test", "test"], ("speakers", 5, "unit")),
    ],
)
def test_official_splits_are_folds_where_they_keep_speakers_apart(
    splits: list[str], expected: tuple[str, int, str]
) -> None:
    corpus = [
        replace(each, split=splits[int(each.speaker.removeprefix("s"))]) for each in utterances(5)
    ]
    protocol = propose(corpus, emotion_class).protocol
    assert (protocol.fold_unit, protocol.folds, protocol.development) == expected
    shared = [replace(each, split="test" if n % 3 else "train") for n, each in enumerate(corpus)]
    assert propose(shared, emotion_class).protocol.fold_unit == "speakers"


def test_two_speakers_have_a_random_development_set() -> None:
    proposal = propose(utterances(2), emotion_class)
    assert (proposal.protocol.folds, proposal.protocol.development) == (2, "random")


def test_labels_that_are_rare_or_no_emotion_are_not_used() -> None:
    rare = utterances(1, each=9, labels=("fear",))
    proposal = propose([*utterances(4, labels=("angry", "sad", "xxx")), *rare], emotion_class)
    assert list(proposal.classes) == ["anger", "sadness"]
    assert proposal.unused["fear"] == "only 9 utterances; speakers: 1"
    assert proposal.unused["xxx"].startswith("40 utterances; not an emotion")


def test_a_class_that_a_fold_lacks_is_not_used() -> None:
    calm = [each for each in utterances(4, labels=("calm",)) if each.speaker != "s3"]
    proposal = propose([*utterances(4, labels=("angry", "sad")), *calm], emotion_class)
    assert list(proposal.classes) == ["anger", "sadness"]
    assert proposal.unused == {"calm": "the dev set of fold 3 has none"}


def test_the_reason_of_a_class_that_a_fold_lacks_is_in_the_error() -> None:
    calm = [each for each in utterances(4, labels=("calm",)) if each.speaker != "s3"]
    with pytest.raises(ProtocolError, match=r"less than two .*calm: the dev set of fold 3 has non"):
        propose([*utterances(4, labels=("angry",)), *calm], emotion_class)


def test_the_labels_of_a_class_are_counted_together() -> None:
    corpus = [*utterances(4), *utterances(4, each=2, labels=("happy", "Happy"))]
    assert propose(corpus, emotion_class).classes["happiness"] == ["Happy", "happy"]
    rare = utterances(2, each=2, labels=("happy", "Happy"))
    unused = propose([*utterances(4), *rare], emotion_class).unused
    assert unused == dict.fromkeys(("Happy", "happy"), "only 8 utterances; speakers: 2")


def test_a_corpus_that_allows_no_test_is_an_error() -> None:
    with pytest.raises(ProtocolError, match="all utterances are of the speaker s0"):
        propose(utterances(1), emotion_class)
    with pytest.raises(ProtocolError, match="less than two classes"):
        propose(utterances(4, labels=("angry",)), emotion_class)
