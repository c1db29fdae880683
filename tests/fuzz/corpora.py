"""Corpora as strangers deliver them: label files, tables, transcripts, names of files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import polars as pl
import soundfile

from emoscale.config import parse_settings
from emoscale.config.corpus import AudioChecks, CorpusSettings
from emoscale.config.protocol import ProtocolSettings
from emoscale.corpus.reading import read_corpus
from emoscale.corpus.recordings import check_shard, gather_recordings, texts_of
from emoscale.corpus.survey import deal, keep_survey, kept_survey, survey_corpus
from emoscale.prediction.recordings import find_recordings, parts_of, read_list
from emoscale.prediction.transcripts import Transcripts
from emoscale.protocol.fold_file import given_roles
from emoscale.tables.schemas import RECORDINGS, REJECTED, TEXTS, read_table, write_csv, write_table
from tests.fuzz.damage import HOSTILE_TEXTS, change_text
from tests.fuzz.kind import Kind

RATE = 8_000
TABLE = """utterance,file,speaker,emotion,sex,style,session,start,end,transcript
u1,one.wav,anna,happy,F,scripted,s1,,,"Well, ""no""."
u2,deep/two.wav,ben,sad,M,improvised,s1,0.1,0.4,not now
u3,deep/two.wav,ben,happy,male,,s2,0.4,0.5,
,one.wav,anna,sad,w,,s2,0.0,0.3,"two
lines"
"""
LABELS = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral;\t()
C-E3:\tNeutral;\t()
C-F1:\tNeutral;\t(curious)
A-E3:\tval 3; act 2; dom  2;\t()

[10.0100 - 11.3925]\tSes01F_impro01_M000\tang\t[2.5000, 2.5000, 2.5000]
C-E2:\tAnger; Frustration;\t()
C-E4:\tOther;\t(puzzled)
"""
TRANSCRIPTS = """Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.
Ses01F_impro01_M000 [010.0100-011.3925]: Do you have your forms?
M: No.
"""
ALIGNMENT = """\t SFrm  EFrm    SegAScr Word
     0    11    -108384 <s>
    12    40    -500000 EXCUSE
    41    48    -100000 ME(2)
    49    49    -100000 ++LAUGHTER++
Total score:   -1608384
"""
FOLDS = "utterance,fold,role\nu1,1,train\nu2,1,dev\nu3,1,test\nu1,2,test\nu2,2,train\nu3,2,dev\n"
SAID = 'file,transcript\none.wav,"Well, ""no""."\ndeep/two.wav,not now\n'


def _tone(path: Path, seconds: float = 0.5) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)
    soundfile.write(path, samples, RATE)


def use(settings: dict[str, Any], results: Path) -> None:
    """Read a corpus as the rules do, and write its tables to `results`."""
    corpus = parse_settings(CorpusSettings, settings, "corpus")
    root = Path(corpus.root)
    keep_survey(survey_corpus(corpus, 2), results / "survey.json")
    reading = read_corpus(corpus)
    for utterance in reading.utterances:
        place = os.path.normpath(root / utterance.audio)
        assert place.startswith(f"{os.path.normpath(root)}/"), place
    shards = [check_shard(shard, root, AudioChecks()) for shard in deal(reading.utterances, 2)]
    usable, rejected = (pl.concat(parts) for parts in zip(*shards, strict=True))
    write_table(texts_of(reading.utterances, usable), results / "texts.parquet", TEXTS)
    recordings, left_out = gather_recordings(reading, root, usable, rejected)
    write_table(recordings, results / "recordings.parquet", RECORDINGS)
    write_table(left_out, results / "rejected.parquet", REJECTED)
    write_csv(left_out, results / "rejected.csv")
    assert len(read_table(results / "recordings.parquet", RECORDINGS)) == len(recordings)


def _make_csv(folder: Path) -> None:
    _tone(folder / "one.wav")
    _tone(folder / "deep" / "two.wav")
    (folder / "utterances.csv").write_text(TABLE)


def _read_csv(folder: Path) -> None:
    use({"reader": "csv", "root": str(folder)}, folder.parent / "results")


def _make_iemocap(folder: Path) -> None:
    session = folder / "Session1"
    for name in ("Ses01F_impro01_F000", "Ses01F_impro01_M000"):
        _tone(session / "sentences" / "wav" / "Ses01F_impro01" / f"{name}.wav")
        words = session / "sentences" / "ForcedAlignment" / "Ses01F_impro01" / f"{name}.wdseg"
        words.parent.mkdir(parents=True, exist_ok=True)
        words.write_text(ALIGNMENT)
    for part, text in (("EmoEvaluation", LABELS), ("transcriptions", TRANSCRIPTS)):
        (session / "dialog" / part).mkdir(parents=True)
        (session / "dialog" / part / "Ses01F_impro01.txt").write_text(text)


def _change_iemocap(folder: Path, random: Random) -> None:
    change_text(random.choice(("**/*.txt", "**/EmoEvaluation/*.txt", "**/*.wdseg")))(folder, random)


def _read_iemocap(folder: Path) -> None:
    use({"reader": "iemocap", "root": str(folder)}, folder.parent / "results")


def _make_emodb(folder: Path) -> None:
    for name in ("03a01Fa.wav", "08b02Wb.wav", "10a07Ld.wav"):
        _tone(folder / name)


def _change_names(folder: Path, random: Random) -> None:
    """Files, links, folders and pipes under names that a shell or a table may trip over."""
    for _ in range(3):
        name = random.choice(HOSTILE_TEXTS).replace("/", "∕").replace("\0", "")[:60] or "x"
        stem = random.choice(("", "03a01F", "08b02Wb", "14a05"))
        raw = os.fsencode((stem + name).encode("utf-8", "surrogatepass").decode("latin-1"))
        path = (
            os.fsencode(folder) + b"/" + raw + random.choice((b".wav", b".flac", b"", b"\xff.wav"))
        )
        if os.path.lexists(path):
            continue
        match random.randrange(6):
            case 0:
                os.symlink("/etc/passwd", path)
            case 1:
                os.symlink(os.path.basename(path), path)  # to itself
            case 2:
                os.mkdir(path)
            case 3:
                os.mkfifo(path)
            case _:
                shutil.copy(os.fsencode(folder / "03a01Fa.wav"), path)


def _read_emodb(folder: Path) -> None:
    found = find_recordings([folder])
    for file in found:
        parts_of(file, AudioChecks(), 0.2)
    use({"reader": "emodb", "root": str(folder)}, folder.parent / "results")


def _make_folds(folder: Path) -> None:
    (folder / "folds.csv").write_text(FOLDS)


def _read_folds(folder: Path) -> None:
    keys = pl.Series("utterance", ["u1", "u2", "u3"])
    labelled = pl.DataFrame({"utterance": keys, "speaker": ["a", "b", "c"]})
    settings = parse_settings(
        ProtocolSettings,
        {
            "fold_unit": "file",
            "fold_file": str(folder / "folds.csv"),
            "folds": 2,
            "development": "file",
        },
        "protocol",
    )
    given_roles(labelled, keys, settings)


def _make_said(folder: Path) -> None:
    (folder / "said.csv").write_text(SAID)
    (folder / "list.txt").write_text("one.wav\ndeep/two.wav\n")
    _tone(folder / "one.wav")
    (folder / "one.txt").write_text("Well.\n")


def _read_said(folder: Path) -> None:
    for file in find_recordings(read_list(folder / "list.txt")):
        parts_of(folder / file, AudioChecks(), 30.0)
    Transcripts(folder / "said.csv").of(folder / "one.wav")
    Transcripts().of(folder / "one.wav")


def _make_survey(folder: Path) -> None:
    _make_csv(folder)
    corpus = parse_settings(CorpusSettings, {"reader": "csv", "root": str(folder)}, "corpus")
    keep_survey(survey_corpus(corpus, 2), folder / "survey.json")


def _read_survey(folder: Path) -> None:
    kept_survey(folder / "survey.json", 2)


CORPORA = [
    Kind("label table", _make_csv, change_text("*.csv"), _read_csv),
    Kind("IEMOCAP files", _make_iemocap, _change_iemocap, _read_iemocap),
    Kind("names of files", _make_emodb, _change_names, _read_emodb),
    Kind("table of folds", _make_folds, change_text("*.csv"), _read_folds),
    Kind("transcripts", _make_said, change_text("*.[ct][sx][vt]"), _read_said),
    Kind("survey", _make_survey, change_text("*.json"), _read_survey),
]
