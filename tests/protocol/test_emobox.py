"""Folds of EmoBox: its lists, matched with a corpus, and what the program says about them."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from emoscale.config.protocol import ProtocolSettings
from emoscale.protocol.checks import check_folds, protocol_warnings
from emoscale.protocol.emobox import describe_folds, import_folds
from emoscale.runtime.errors import ProtocolError
from emoscale.tables.parquet import write_table
from emoscale.tables.schemas import RECORDINGS
from tests.protocol.small_corpora import folds_of, several_corpora
from tests.scripts.test_programs import invoke

TABLE = several_corpora().filter(pl.col("corpus") == "a").sort("utterance")
LABELLED = TABLE.drop_nulls("label")
PEOPLE = sorted(TABLE["speaker"].unique())


def write_list(folder: Path, name: str, wavs: list[str], emotion: str = "neutral") -> None:
    """Write one list; as in EmoBox, a line also has a key, a length and more."""
    path = folder / f"fold_{name[-1]}" / f"a_{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [{"key": f"a-{Path(wav).stem}", "wav": wav, "emo": emotion} for wav in wavs]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def wavs(*speakers: str) -> list[str]:
    """Return the recordings of speakers, with the folders of EmoBox."""
    of_speakers = LABELLED.filter(pl.col("speaker").is_in(speakers))
    return [f"downloads/a/{name}" for name in of_speakers["audio"]]


def corpus_of(*files: str) -> pl.DataFrame:
    """Return recordings with the columns that are matched, each with a speaker of its own."""
    keys = [file.rpartition(".")[0].replace("/", "_") for file in files]
    return pl.DataFrame(
        {"utterance": keys, "audio": files, "speaker": keys, "emotion": "neutral"},
    ).with_columns(split=pl.lit(None, pl.String))


def test_folds_with_all_lists(tmp_path: Path) -> None:
    """Speakers apart: the table is a fold file that passes all checks."""
    for fold in (1, 2):
        write_list(tmp_path, f"test_fold_{fold}", wavs(*PEOPLE[2 * fold - 2 : 2 * fold]))
        write_list(tmp_path, f"valid_fold_{fold}", wavs(*PEOPLE[6:]))
        write_list(tmp_path, f"train_fold_{fold}", wavs(PEOPLE[4], PEOPLE[5]))
    (tmp_path / "fold_1" / "a_test_fold1.jsonl").write_text("an older list, which is not read")
    folds = import_folds(tmp_path, TABLE)
    assert folds.unmatched == []
    assert sorted(folds.table["fold"].unique()) == ["1", "2"]
    of_first = folds.table.filter(fold="1", role="test").join(TABLE, on="utterance")
    assert sorted(of_first["speaker"].unique()) == PEOPLE[:2]
    first, *_, settings = describe_folds(folds, TABLE)
    assert first == (
        "fold 1: 24 dev, 24 test, 24 train; 0 of 2 test speakers are also in training or "
        "development; 40 recordings are not listed"
    )
    assert settings == (
        "protocol: {fold_unit: file, fold_file: …, folds: 2, development: file, "
        "ignore_unmatched: true}"
    )


def test_training_data_are_all_others_where_they_are_not_listed(tmp_path: Path) -> None:
    write_list(tmp_path, "test_fold_1", wavs(PEOPLE[0]))
    folds = import_folds(tmp_path, TABLE)
    roles = dict(folds.table["role"].value_counts().iter_rows())
    assert roles == {"test": 12, "train": len(TABLE) - 12}
    assert describe_folds(folds, TABLE)[0].startswith(
        "fold 1: 12 test, 100 train (all others: EmoBox lists none); 1 of 1 test speakers"
    )


def test_training_data_are_not_of_other_official_splits(tmp_path: Path) -> None:
    """EmoBox lists MSP-Podcast's development and first test split only; the corpus has more."""
    splits = {"1": "train", "2": "dev", "3": "test1", "4": "test2"}
    corpus = corpus_of(*(f"{name}.wav" for name in splits)).with_columns(
        split=pl.Series([*splits.values()])
    )
    write_list(tmp_path, "valid_fold_1", ["2.wav"])
    write_list(tmp_path, "test_fold_1", ["3.wav"])
    table = import_folds(tmp_path, corpus).table
    assert {*table.select("utterance", "role").iter_rows()} == {
        ("1", "train"),
        ("2", "dev"),
        ("3", "test"),
    }


def test_shared_speakers_are_said_when_imported_and_beside_the_scores(tmp_path: Path) -> None:
    """The program writes the table and prints the settings; a study with them warns."""
    listed = wavs(*PEOPLE)
    write_list(tmp_path / "emobox", "test_fold_1", listed[::4])
    write_list(
        tmp_path / "emobox", "train_fold_1", [wav for wav in listed if wav not in listed[::4]]
    )
    recordings, output = tmp_path / "recordings.parquet", tmp_path / "folds.csv"
    columns = [
        pl.lit(None, dtype=pl.Null).alias(name)
        for name in RECORDINGS.names
        if name not in TABLE.columns
    ]
    full = TABLE.with_columns(columns).with_columns(sample_rate=pl.lit(16_000), channels=pl.lit(1))
    write_table(full.select(RECORDINGS.names), recordings, RECORDINGS)
    ran = invoke(
        "import_folds.py",
        *(str(tmp_path / "emobox"), "--recordings", str(recordings), "--output", str(output)),
    )
    assert ran.exit_code == 0, ran.output
    assert "8 of 8 test speakers are also in training or development" in ran.output
    assert "allow_shared_speakers: true, ignore_unmatched: true}" in ran.output
    settings = ProtocolSettings(
        fold_unit="file",
        fold_file=str(output),
        folds=1,
        development="random",
        allow_shared_speakers=True,
        ignore_unmatched=True,
        repeats=1,
    )
    warnings = protocol_warnings(check_folds(TABLE, folds_of(TABLE, settings), ["all"], settings))
    assert any("8 of 8 test speakers" in warning for warning in warnings)


def test_recordings_that_only_emobox_has(tmp_path: Path) -> None:
    write_list(tmp_path / "lists", "test_fold_1", ["downloads/a/x.wav", *wavs(PEOPLE[0])])
    assert import_folds(tmp_path / "lists", TABLE).unmatched == ["downloads/a/x.wav"]


def test_other_labels_are_counted(tmp_path: Path) -> None:
    """The names of the labels may differ: what counts is that one name has several meanings."""
    corpus = corpus_of("1.wav", "2.wav", "3.wav").with_columns(
        emotion=pl.Series(["anger", "anger", "sadness"])
    )
    write_list(tmp_path, "test_fold_1", ["1.wav", "2.wav", "3.wav"], emotion="angry")
    lines = describe_folds(import_folds(tmp_path, corpus), corpus)
    assert "EmoBox has another label for 1 of 3 recordings; the study uses the corpus's" in lines


@pytest.mark.parametrize(
    ("audio", "wav"),
    [
        ("AudioWAV/1001_IEO_ANG_HI.wav", "downloads/cremad/AudioWAV/1001_IEO_ANG_HI.wav"),
        ("wav/03a01Fa.flac", "downloads/emodb/wav/03a01Fa.wav"),
        ("JE/n23.wav", "downloads/savee/JE_n23.wav"),  # by the key
        ("Cole\u0300re/01-C-1-1.wav", "downloads/cafe/Col\u00e8re/01-C-1-1.wav"),
        ("train_splits/dia0_utt0.wav", "downloads/meld/train_splits/dia0_utt0.mp4"),
        ("dev_splits_complete/dia0_utt0.wav", "downloads/meld/dev_splits_complete/dia0_utt0.mp4"),
    ],
)
def test_recordings_are_matched_by_name_and_folders(tmp_path: Path, audio: str, wav: str) -> None:
    others = {"train_splits/dia0_utt0.wav", "dev_splits_complete/dia0_utt0.wav"} - {audio}
    corpus = corpus_of(audio, *sorted(others))
    write_list(tmp_path, "test_fold_1", [wav])
    table = import_folds(tmp_path, corpus).table
    assert table.filter(role="test")["utterance"].to_list() == [corpus["utterance"][0]]


@pytest.mark.parametrize(
    ("files", "listed", "message"),
    [
        (
            ["x/1.wav", "y/1.wav"],
            ["z/1.wav"],
            r"z/1.wav may be each of 2 utterances .*\(x_1, y_1\)",
        ),
        (["dev/1.wav"], ["dev/1.mp4", "train/1.mp4"], r"fold 1: dev/1.mp4 and train/1.mp4 in the"),
        (["1.wav"], ["2.wav", ""], r"a_test_fold_1.jsonl, line 2: is not a JSON object with wav"),
    ],
)
def test_what_cannot_be_matched_is_an_error(
    tmp_path: Path, files: list[str], listed: list[str], message: str
) -> None:
    write_list(tmp_path, "test_fold_1", listed)
    with pytest.raises(ProtocolError, match=message):
        import_folds(tmp_path, corpus_of(*files))


def test_a_folder_without_test_lists_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match=r"has no list fold_1/…_test_fold_…\.jsonl; name the"):
        import_folds(tmp_path, TABLE)
    write_list(tmp_path, "train_fold_2", wavs(PEOPLE[0]))
    with pytest.raises(ProtocolError, match=r"has no list fold_2/…_test_fold_…\.jsonl"):
        import_folds(tmp_path, TABLE)
