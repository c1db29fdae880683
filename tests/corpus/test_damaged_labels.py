"""Damaged label files, tables and file names: a corpus or an error message, never a traceback."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emoscale.config import parse_settings
from emoscale.config.corpus import AudioChecks, CorpusSettings
from emoscale.corpus.readers import read_corpus
from emoscale.corpus.recordings import check_shard, merge_shards, texts_table
from emoscale.tables.parquet import write_csv, write_table
from emoscale.tables.schemas import RECORDINGS, TEXTS
from tests.damage import HOSTILE_STRINGS, check_reading, damaged_text

TABLE = """utterance,file,speaker,emotion,sex,style,session,start,end,transcript
u1,one.wav,anna,happy,F,scripted,s1,,,"Well, ""no""."
u2,deep/two.wav,ben,sad,M,improvised,s1,0.1,0.4,not now
,one.wav,anna,sad,w,,s2,0.0,0.3,"two
lines"
"""
IEMOCAP = {
    "dialog/EmoEvaluation/Ses01F_impro01.txt": """% [START - END] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral;\t()
C-F1:\tAnger; Frustration;\t(curious)
A-E3:\tval 3; act 2; dom  2;\t()

[10.0100 - 11.3925]\tSes01F_impro01_M000\tang\t[2.5000, 2.5000, 2.5000]
C-E4:\tOther;\t(puzzled)
""",
    "dialog/transcriptions/Ses01F_impro01.txt": """Ses01F_impro01_F000 [006.2901-008.2357]: Oh.
Ses01F_impro01_M000 [010.0100-011.3925]: Do you have your forms?
""",
    "sentences/ForcedAlignment/Ses01F_impro01/Ses01F_impro01_F000.wdseg": """ SFrm\tEFrm\tS\tWord
     0\t    11\t   -108384\t<s>
    12\t    40\t   -500000\tEXCUSE
    41\t    48\t   -100000\tME(2)
Total score:   -1608384
""",
}


def write_tone(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(np.arange(4_000) / 3), 8_000)


def read_and_write(reader: str, root: Path, label: str | None = None) -> None:
    """Read a corpus as the workflow does, and write its tables."""
    keys = {"reader": reader, "root": str(root), **({"label": label} if label else {})}
    corpus = parse_settings(CorpusSettings, keys, "corpus")
    reading = read_corpus(corpus)
    for utterance in reading.utterances:
        audio = os.path.normpath(root / utterance.audio)
        assert audio.startswith(f"{root}/"), audio
    usable, rejected = check_shard(reading.utterances, root, AudioChecks())
    write_table(texts_table(reading.utterances, usable), root / "texts.parquet", TEXTS)
    recordings, all_rejected = merge_shards(reading, root, usable, rejected)
    write_table(recordings, root / "recordings.parquet", RECORDINGS)
    write_csv(all_rejected, root / "rejected.csv")


@settings(max_examples=60)
@example(text=TABLE.replace("one.wav", "a\0b.wav").encode())
@example(text=TABLE.replace("one.wav", "../one.wav").encode())
@given(text=damaged_text(TABLE))
def test_damaged_tables(tmp_path: Path, text: bytes) -> None:
    write_tone(tmp_path / "one.wav")
    write_tone(tmp_path / "deep" / "two.wav")
    (tmp_path / "utterances.csv").write_bytes(text)
    check_reading(tmp_path, lambda: read_and_write("csv", tmp_path))


@settings(max_examples=60)
@given(
    files=st.sampled_from(list(IEMOCAP)).flatmap(
        lambda name: st.fixed_dictionaries({name: damaged_text(IEMOCAP[name])})
    )
)
def test_damaged_files_of_iemocap(tmp_path: Path, files: dict[str, bytes]) -> None:
    session = tmp_path / "Session1"
    for who in "FM":
        write_tone(session / f"sentences/wav/Ses01F_impro01/Ses01F_impro01_{who}000.wav")
    for name, text in IEMOCAP.items():
        (session / name).parent.mkdir(parents=True, exist_ok=True)
        (session / name).write_bytes(files.get(name, text.encode()))
    check_reading(tmp_path, lambda: read_and_write("iemocap", tmp_path))


@settings(max_examples=60)
@given(
    stem=st.sampled_from(["", "03a01F", "08b02Wb", "14a05"]),
    word=st.sampled_from(HOSTILE_STRINGS),
    ending=st.sampled_from([".wav", ".flac", "", "\udcff.wav"]),
    kind=st.sampled_from(["link", "loop", "folder", "pipe", "copy", "copy"]),
)
def test_hostile_names(tmp_path: Path, stem: str, word: str, ending: str, kind: str) -> None:
    """EMO-DB's metadata is in its file names."""
    root = tmp_path / "emodb"
    shutil.rmtree(root, ignore_errors=True)
    write_tone(root / "03a01Fa.wav")
    word = word.replace("/", "∕").replace("\0", "").replace("\ud800", "\udcff")[:60]
    path = root / f"{stem}{word or 'x'}{ending}"
    match kind:
        case "link":
            path.symlink_to("/etc/passwd")
        case "loop":
            path.symlink_to(path.name)
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case _:
            shutil.copy(root / "03a01Fa.wav", path)
    check_reading(root, lambda: read_and_write("emodb", root))
