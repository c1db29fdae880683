"""Tested recordings and speakers in the speech of a pre-training are counted; others are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile

from emoscale.audit.measurement import measure_shard
from emoscale.config.corpus import AudioChecks, CsvCorpus
from emoscale.config.pretraining import FolderSpeech, SpeechSettings
from emoscale.pretraining.overlap import (
    StudyRecordings,
    UnlabelledSpeech,
    all_tested_utterances,
    find_overlap,
    overlap_note,
)
from emoscale.pretraining.speech import check_speech
from tests.audit.speech import COPIES, recordings_of, speech, write_corpus

SPEAKERS = ["anna", "bert", "cleo", "dora"]


@pytest.fixture(scope="module")
def study_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four speakers with three recordings each."""
    root = tmp_path_factory.mktemp("study")
    write_corpus(
        root,
        [
            {
                "file": f"{speaker}{number}.wav",
                "wave": speech(10 * position + number),
                "speaker": speaker,
                "emotion": "x",
            }
            for position, speaker in enumerate(SPEAKERS)
            for number in range(3)
        ],
    )
    return root


@pytest.fixture(scope="module")
def study(study_root: Path) -> StudyRecordings:
    recordings = recordings_of(CsvCorpus(reader="csv", root=str(study_root)))
    return StudyRecordings(recordings, measure_shard(recordings, study_root), study_root)


TESTED = {f"{speaker}{number}" for speaker in SPEAKERS[:3] for number in range(2)}


def unlabelled(settings: SpeechSettings) -> UnlabelledSpeech:
    recordings, _ = check_speech(settings, AudioChecks(), 0.05, seed=1)
    return UnlabelledSpeech(recordings, Path(settings.root))


def folder(root: Path, waves: dict[str, Any]) -> UnlabelledSpeech:
    root.mkdir()
    for name, wave in waves.items():
        soundfile.write(root / f"{name}.wav", wave, 16_000)
    return unlabelled(FolderSpeech(reader="folder", root=str(root)))


def others(first: int = 100) -> dict[str, Any]:
    return {f"other{number}": speech(number) for number in range(first, first + 4)}


def test_other_speech_has_no_overlap(tmp_path: Path, study: StudyRecordings) -> None:
    overlap = find_overlap([folder(tmp_path / "a", others())], study, TESTED)
    assert overlap == {
        "tested": 6,
        "recordings": 0,
        "speakers": 0,
        "tested_speakers": 3,
        "utterances": [],
    }
    assert overlap_note(overlap) == ""
    assert find_overlap([], study, TESTED) == overlap


def test_identical_recordings(tmp_path: Path, study: StudyRecordings, study_root: Path) -> None:
    tested, _ = soundfile.read(study_root / "bert1.wav", dtype="float32")
    overlap = find_overlap([folder(tmp_path / "a", others() | {"it": tested})], study, TESTED)
    assert (overlap["recordings"], overlap["speakers"]) == (1, 1)
    assert overlap["utterances"] == ["bert1"]


@pytest.mark.parametrize(
    "copy", ["12 dB quieter", "a second before and half a second after it", "all at once"]
)
def test_modified_copies(tmp_path: Path, study: StudyRecordings, copy: str) -> None:
    waves = others() | {"it": COPIES[copy](speech(11)), "again": COPIES[copy](speech(20))}
    overlap = find_overlap([folder(tmp_path / "a", waves)], study, TESTED, threads=2)
    assert overlap["utterances"] == ["bert1", "cleo0"]
    assert overlap["speakers"] == 2
    assert overlap_note(overlap) == (
        "the weights were pre-trained on speech of 2 of 3 tested speakers, with 2 of 6 tested "
        "recordings"
    )


def test_copies_of_a_recording_with_two_keys_are_all_counted(tmp_path: Path) -> None:
    rows = [
        {"file": f"{name}.wav", "wave": speech(seed), "speaker": name[0], "emotion": "x"}
        for name, seed in (("a1", 1), ("a2", 1), ("b1", 2))
    ]
    recordings = recordings_of(write_corpus(tmp_path / "study", rows))
    study = StudyRecordings(
        recordings, measure_shard(recordings, tmp_path / "study"), tmp_path / "study"
    )
    quieter = folder(tmp_path / "a", others() | {"it": 0.3 * speech(1)})
    overlap = find_overlap([quieter], study, {"a1", "a2", "b1"})
    assert overlap["utterances"] == ["a1", "a2"]


def test_a_training_recording_is_no_tested_one_but_shows_the_speaker(
    tmp_path: Path, study: StudyRecordings
) -> None:
    """anna2 is not tested, but anna is; no recording of dora is tested."""
    waves = others() | {"anna": 0.3 * speech(2), "dora": 0.3 * speech(30)}
    overlap = find_overlap([folder(tmp_path / "a", waves)], study, TESTED)
    assert (overlap["recordings"], overlap["speakers"]) == (0, 1)
    assert overlap_note(overlap).endswith("of 1 of 3 tested speakers, without tested recordings")


def test_the_speech_of_several_pretrainings_is_joined(
    tmp_path: Path, study: StudyRecordings
) -> None:
    first = folder(tmp_path / "a", others() | {"it": 0.3 * speech(0)})
    second = folder(tmp_path / "b", others(200) | {"it": 0.3 * speech(21)})
    overlap = find_overlap([first, second], study, TESTED)
    assert overlap["utterances"] == ["anna0", "cleo1"]


def test_the_corpus_of_the_study_as_speech(study: StudyRecordings, study_root: Path) -> None:
    everything = unlabelled(CsvCorpus(reader="csv", root=str(study_root)))
    overlap = find_overlap([everything], study, TESTED)
    assert overlap["utterances"] == sorted(TESTED)
    assert (overlap["recordings"], overlap["tested"]) == (6, 6)
    assert (overlap["speakers"], overlap["tested_speakers"]) == (3, 3)


def test_only_some_keys_are_listed(study: StudyRecordings, study_root: Path) -> None:
    rows = [study.recordings.with_columns(pl.col("utterance") + f"/{n}") for n in range(3)]
    measured = [study.measurements.with_columns(pl.col("utterance") + f"/{n}") for n in range(3)]
    tripled = StudyRecordings(pl.concat(rows), pl.concat(measured), study_root)
    everything = unlabelled(CsvCorpus(reader="csv", root=str(study_root)))
    overlap = find_overlap([everything], tripled, {*tripled.recordings["utterance"]})
    assert (overlap["recordings"], len(overlap["utterances"])) == (36, 20)


def renamed(
    each: UnlabelledSpeech | StudyRecordings, corpus: str, prefix: str = ""
) -> pl.DataFrame:
    return each.recordings.with_columns(
        corpus=pl.lit(corpus), speaker=pl.lit(prefix) + pl.col("speaker")
    )


@pytest.mark.parametrize(
    ("corpus", "speech_corpus", "prefix", "speakers"),
    [
        ("iemocap", "iemocap", "", 2),
        ("iemocap", "iemocap", "iemocap:", 2),  # one of several corpora
        ("iemocap", "emodb", "", 0),
        ("csv", "csv", "", 0),  # of another folder: names such as 01 are no evidence
    ],
)
def test_speakers_of_the_same_name(
    tmp_path: Path,
    study: StudyRecordings,
    corpus: str,
    speech_corpus: str,
    prefix: str,
    speakers: int,
) -> None:
    rows = [
        {"file": f"{name}.wav", "wave": speech(seed), "speaker": name, "emotion": "x"}
        for name, seed in (("anna", 101), ("bert", 102), ("dora", 103), ("emil", 104))
    ]
    other = unlabelled(write_corpus(tmp_path, rows))
    overlap = find_overlap(
        [UnlabelledSpeech(renamed(other, speech_corpus), other.root)],
        StudyRecordings(renamed(study, corpus, prefix), study.measurements, study.root),
        TESTED,
    )
    assert (overlap["recordings"], overlap["speakers"]) == (0, speakers)


def test_speakers_of_a_table_in_the_same_folder(study: StudyRecordings, study_root: Path) -> None:
    """Another table of the same folder: other recordings, the same speakers."""
    for number, name in enumerate(("anna", "emil")):
        soundfile.write(study_root / f"{name}9.wav", speech(300 + number), 16_000)
    rows = ["file,speaker,emotion", "anna9.wav,anna,x", "emil9.wav,emil,x"]
    (study_root / "more.csv").write_text("\n".join(rows))
    more = unlabelled(CsvCorpus(reader="csv", root=str(study_root), table="more.csv"))
    overlap = find_overlap([more], study, TESTED)
    assert (overlap["recordings"], overlap["speakers"]) == (0, 1)


def test_tested_in_any_fold() -> None:
    folds = [
        pl.DataFrame({"utterance": ["a", "b", "c"], "role": roles})
        for roles in (["test", "train", "dev"], ["train", "test", "train"])
    ]
    assert all_tested_utterances(folds) == {"a", "b"}


def test_emodb_holds_itself(emodb_root: Path, tmp_path: Path) -> None:
    """Copies 6 dB quieter; sentences that other speakers say, too, do not match."""
    speakers = ("03", "08", "16")
    paths = sorted(path for path in emodb_root.rglob("*a0[12]*") if path.stem[:2] in speakers)
    rows = []
    for path in paths:
        wave, rate = soundfile.read(path, dtype="float32")
        assert rate == 16_000
        rows.append({"file": path.stem + ".wav", "wave": wave, "speaker": path.stem[:2]})
    recordings = recordings_of(write_corpus(tmp_path / "a", [{**r, "emotion": "x"} for r in rows]))
    study = StudyRecordings(recordings, measure_shard(recordings, tmp_path / "a"), tmp_path / "a")
    quieter = {row["file"][:-4]: np.float32(0.5) * row["wave"] for row in rows[::3]}
    overlap = find_overlap([folder(tmp_path / "b", quieter)], study, {*recordings["utterance"]})
    assert len(rows) > 20
    assert overlap["utterances"] == sorted(quieter)[:20]
    assert overlap["recordings"] == len(quieter)
