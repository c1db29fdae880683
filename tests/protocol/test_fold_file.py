"""Folds from a table: accepted formats, errors, and warnings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from emoscale.config.protocol import ProtocolSettings
from emoscale.protocol.checks import check_fold, check_folds, protocol_warnings
from emoscale.protocol.fold_file import read_fold_file
from emoscale.protocol.orders import make_fold
from emoscale.runtime.errors import CorpusError, ProtocolError, UserError
from tests.protocol.small_corpora import folds_of, of_role, several_corpora, write_fold_file

TABLE = several_corpora().filter(pl.col("corpus") == "a").sort("utterance")
PEOPLE = sorted(TABLE["speaker"].unique())  # a:s1F1, a:s1F2, a:s1M1, … a:s2M2
Rows = list[tuple[object, ...]]


def protocol(path: str, folds: int = 4, **settings: Any) -> ProtocolSettings:
    base = {"fold_unit": "file", "fold_file": path, "folds": folds, "repeats": 1}
    return ProtocolSettings.model_validate({**base, **settings})


def numbered(names: list[str]) -> Rows:
    """Two speakers per fold."""
    return [
        (key, names[PEOPLE.index(speaker) // 2])
        for key, speaker in TABLE.select("utterance", "speaker").iter_rows()
    ]


def with_roles(roles: list[str]) -> Rows:
    """One role per speaker."""
    return [
        (key, roles[PEOPLE.index(speaker)])
        for key, speaker in TABLE.select("utterance", "speaker").iter_rows()
    ]


@pytest.mark.parametrize(
    "names", [["0", "1", "2", "3"], ["8", "9", "10", "11"], ["a", "b", "c", "d"]]
)
@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_one_fold_number_per_utterance(tmp_path: Path, names: list[str], ending: str) -> None:
    """A fold tests the utterances with its number or name; the next is the development unit."""
    path = write_fold_file(tmp_path / f"folds.{ending}", numbered(names), "utterance", "fold")
    if ending == "tsv":
        Path(path).write_text(Path(path).read_text().replace(",", "\t"))
    settings = protocol(path)
    folds = folds_of(TABLE, settings)
    for number, fold in enumerate(folds.values()):
        assert of_role(fold, "test", "speaker") == {*PEOPLE[2 * number : 2 * number + 2]}
        following = 2 * ((number + 1) % 4)
        assert of_role(fold, "dev", "speaker") == {*PEOPLE[following : following + 2]}
    report = check_folds(TABLE, folds, ["all"], settings)
    assert not [w for w in protocol_warnings(report) if "fold file" in w]


@pytest.mark.parametrize("word", ["dev", "Development", "validation", "val"])
def test_a_single_split_by_role(tmp_path: Path, word: str) -> None:
    roles = ["Train", "train", word, "train", "train", "Test", word, "test"]
    path = write_fold_file(tmp_path / "f.csv", with_roles(roles), "utterance", "role")
    fold = make_fold(TABLE, protocol(path, 1, development="file"), 0, 1)
    assert of_role(fold, "dev", "speaker") == {PEOPLE[2], PEOPLE[6]}
    assert of_role(fold, "test", "speaker") == {PEOPLE[5], PEOPLE[7]}


@pytest.mark.parametrize("development", ["speakers", "session", "random", "none"])
def test_roles_without_dev_allow_any_other_development(tmp_path: Path, development: str) -> None:
    roles = ["test", "train", "train", "train", "train", "train", "train", "train"]
    path = write_fold_file(tmp_path / "f.csv", with_roles(roles), "utterance", "role")
    settings = protocol(path, 1, development=development)
    fold = make_fold(TABLE, settings, 0, 1)
    check_fold("fold1", fold, TABLE, settings)
    assert of_role(fold, "test", "speaker") == {PEOPLE[0]}
    assert bool(of_role(fold, "dev")) is (development != "none")


def test_utterances_that_only_the_file_or_the_corpus_has(tmp_path: Path) -> None:
    """Utterances outside the study's classes may be in the file or not."""
    rows = [row for row in numbered(["1", "2", "3", "4"]) if row[0] != "a:s1F1_06"]
    path = write_fold_file(tmp_path / "f.csv", rows, "utterance", "fold")
    make_fold(TABLE, protocol(path), 0, 1)
    fewer = rows[2:]
    path = write_fold_file(tmp_path / "f.csv", [*fewer, ("x", "1")], "utterance", "fold")
    with pytest.raises(
        ProtocolError, match=r"1 of its 110 utterances are not in the corpus \(the f"
    ):
        make_fold(TABLE, protocol(path), 0, 1)
    path = write_fold_file(tmp_path / "f.csv", fewer, "utterance", "fold")
    message = (
        r"does not list 2 of 96 utterances of the study \(the first: a:s1F1_00\); correct it, or"
    )
    with pytest.raises(ProtocolError, match=message):
        make_fold(TABLE, protocol(path), 0, 1)
    path = write_fold_file(tmp_path / "f.csv", [*fewer, ("x", "1")], "utterance", "fold")
    settings = protocol(path, ignore_unmatched=True)
    folds = folds_of(TABLE, settings)
    assert all(len(fold) == 94 for fold in folds.values())
    warnings = protocol_warnings(check_folds(TABLE, folds, ["all"], settings))
    assert warnings[:2] == [
        "2 of the study's utterances have no role in a fold, because the fold file does not list "
        "them",
        "the fold file lists 1 utterances that are not in the corpus",
    ]


def test_speakers_with_several_roles_in_the_file(tmp_path: Path) -> None:
    """An error, or a warning if allowed; identical recordings are an error in any case."""
    rows: Rows = [(key, number % 3) for number, key in enumerate(TABLE["utterance"])]
    path = write_fold_file(tmp_path / "f.csv", rows, "utterance", "fold")
    fold = make_fold(TABLE, protocol(path, 3), 0, 1)
    with pytest.raises(ProtocolError, match=r"fold1: speaker a:s1F1 .*allow_shared_speakers: true"):
        check_fold("fold1", fold, TABLE, protocol(path, 3))
    shared = protocol(path, 3, allow_shared_speakers=True)
    report = check_folds(TABLE, folds_of(TABLE, shared), ["all"], shared)
    assert report["folds"]["fold1"]["tested_speakers_known"] == PEOPLE
    warnings = protocol_warnings(report)
    assert warnings[0] == "the development set shares its speakers with training"
    assert warnings[1] == (
        "24 of 24 test speakers (summed over folds) are also in training or development, as the "
        "fold file assigns them: the scores are not speaker-independent"
    )
    twins = pl.col("utterance").is_in([rows[0][0], rows[1][0]])
    table = TABLE.with_columns(
        audio_sha256=pl.when(twins).then(pl.lit("same")).otherwise(pl.col("audio_sha256"))
    )
    with pytest.raises(ProtocolError, match=r"identical audio of a:s1F1_01 is in the roles"):
        check_fold("fold1", fold, table, shared)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"f\.csv: its first line must name the columns utterance, and fold or role or both"),
        ("utterance,part\na,1\n", r"\(actual columns: utterance, part\)"),
        ("utterance,fold\na,1\nb,1\na,2\n", r"line 4: a is already listed in line 2; remove one"),
        ("utterance,fold\na,\n", r"line 2: the row has no fold; fill it in"),
        ("utterance,fold\na\n", r"line 2: the row has no fold; fill it in"),
        (
            "fold,utterance,role\n1,a,eval\n",
            r"line 2: unknown role eval; use train, dev",
        ),
        ("fold,utterance,role\n1,a,dev\n\n1,a,test\n", r"line 4: a is already listed in line 2"),
        ('utterance,fold\n"a,1\n', r"f\.csv, line 2: .*look for a quote that is not closed"),
        (b"utterance,fold\n\xe4,1\n", r"byte 15 is not UTF-8; save it as UTF-8"),
    ],
)
def test_an_invalid_file_is_an_error(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message):
        read_fold_file(path)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"nowhere.csv does not exist; set protocol.fold_file"):
        read_fold_file(tmp_path / "nowhere.csv")
    with pytest.raises(CorpusError, match=r"cannot be read: .*; set protocol.fold_file"):
        read_fold_file(tmp_path)


@pytest.mark.parametrize(
    ("roles", "settings", "message"),
    [
        (None, {"folds": 3}, r"has 4 folds \(1, 2, 3, 4\) and protocol.folds is 3; set it to 4"),
        (
            None,
            {"development": "file"},
            r"has no role dev and protocol.development is file; use spe",
        ),
        (["test", "dev"], {"folds": 1}, r"has the role dev and protocol.development is unit; set"),
        (["test", "train"], {"folds": 1}, r"has roles, so there is no next fold for .* unit; use"),
    ],
)
def test_a_file_that_does_not_match_the_settings(
    tmp_path: Path, roles: list[str] | None, settings: dict[str, Any], message: str
) -> None:
    rows = numbered(["1", "2", "3", "4"]) if roles is None else with_roles(roles * 4)
    header = "fold" if roles is None else "role"
    path = write_fold_file(tmp_path / "f.csv", rows, "utterance", header)
    with pytest.raises(ProtocolError, match=message):
        make_fold(TABLE, protocol(path, **settings), 0, 1)
