"""Corpora with tables: complete copies are read to the counts of the release."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from emoscale.config.corpus import ReleaseCorpus
from emoscale.corpus.readers import CorpusManifest, Utterance, read_corpus
from tests.corpus.releases.trees_with_tables import TREES_WITH_TABLES


def read_tree(reader: str, folder: Path, label: str | None = None) -> CorpusManifest:
    TREES_WITH_TABLES[reader](folder)
    manifest = read_corpus(ReleaseCorpus(reader=reader, root=str(folder), label=label))
    assert all((folder / each.audio).is_file() for each in manifest.utterances)
    return manifest


def by_key(manifest: CorpusManifest) -> dict[str, Utterance]:
    return {each.utterance: each for each in manifest.utterances}


def split_counts(manifest: CorpusManifest) -> dict[str | None, int]:
    return dict(Counter(each.split for each in manifest.utterances))


def reasons(manifest: CorpusManifest) -> list[tuple[str, str]]:
    return [(row.file, row.reason) for row in manifest.rejected]


def test_emozionalmente(tmp_path: Path) -> None:
    manifest = read_tree("emozionalmente", tmp_path, "perceived")
    assert len(manifest.utterances) == 6_902
    assert manifest.rejected == []
    assert len({each.speaker for each in manifest.utterances}) == 431
    assert sum(split_counts(manifest).values()) == 6_902
    assert None not in split_counts(manifest)
    assert manifest.utterances[3] == Utterance(
        utterance="1613655062439",
        audio="audio/1613655062439.wav",
        speaker="actor3",
        emotion="happiness",
        acted="happiness",
        sex="M",
        age=21,
        split="train",
        style="scripted",
        language="it",
        transcript="frase 0",
        votes=[
            *({"rater": f"rater{n}", "label": "happiness"} for n in (3, 4, 5)),
            *({"rater": f"rater{n}", "label": "neutral"} for n in (6, 7)),
        ],
    )


def test_meld(tmp_path: Path) -> None:
    manifest = read_tree("meld", tmp_path)
    assert manifest.rejected == []
    assert split_counts(manifest) == {"train": 9_989, "dev": 1_109, "test": 2_610}
    utterance = by_key(manifest)["dev_dia2_utt7"]
    assert (utterance.dialog, utterance.speaker) == ("dev_dia2", "Phoebe")
    assert utterance.audio == "dev/dev_splits_complete/dia2_utt7.mp4"
    assert utterance.transcript == "I’m line 27."
    assert utterance.maximum_seconds == pytest.approx(3 * 1.75 + 5)


def test_msp_improv(tmp_path: Path) -> None:
    manifest = read_tree("msp_improv", tmp_path)
    assert len(manifest.utterances) == 8_438
    assert [row.reason for row in manifest.rejected] == ["missing"]  # the transcripts
    utterance = by_key(manifest)["MSP-IMPROV-S01A-F03-R-FM00"]
    assert (utterance.speaker, utterance.sex, utterance.session) == ("F03", "F", "session3")
    assert (utterance.emotion, utterance.acted, utterance.style) == ("anger", "anger", "scripted")
    assert (utterance.activation, utterance.valence, utterance.dominance) == (3.0, 3.5, 2.0)
    assert Counter(each.acted is None for each in manifest.utterances) == {
        True: 4_381 + 2_785,
        False: 652 + 620,
    }
    assert {each.session for each in manifest.utterances} == {f"session{n}" for n in range(1, 7)}


def test_msp_podcast(tmp_path: Path) -> None:
    manifest = read_tree("msp_podcast", tmp_path)
    assert manifest.rejected == []
    counts = {"train": 200, "dev": 80, "test1": 80, "test2": 40, "test3": 10}
    assert split_counts(manifest) == counts
    assert manifest.utterances[3] == Utterance(
        utterance="MSP-PODCAST_0000_0003",
        audio="Audios/MSP-PODCAST_0000_0003.wav",
        speaker="0",
        sex="M",
        dialog="0000",
        emotion="sadness",
        split="train",
        language="en",
        activation=4.2,
        valence=3.0,
        dominance=5.0,
        transcript="words of MSP-PODCAST_0000_0003",
        votes=[{"rater": f"WORKER{n:08d}", "label": "sadness"} for n in range(5)],
    )
    hidden = [each for each in manifest.utterances if each.split == "test3"]
    assert {each.emotion for each in hidden} == {"hidden"}
    assert len({each.speaker for each in hidden}) == 10
