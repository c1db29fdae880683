"""Damaged tables of published corpora: a corpus or an error message, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings

from tests.corpus.releases.test_msp_improv import TABLE
from tests.corpus.test_damaged_labels import read_and_write, write_tone
from tests.damage import check_reading, damaged_text

EMOZIONALMENTE = {
    "metadata/samples.csv": "file_name,sentence,actor,emotion_expressed\n1.wav,ciao,anna,joy\n",
    "metadata/evaluations.csv": "file_name,evaluator,emotion_recognized\n1.wav,a,joy\n",
    "metadata/users.csv": "username,gender,age\nanna,female,20\n",
}
MELD = """Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID,StartTime,EndTime
"Oh, no.",Ross,joy,0,0,"00:16:16,059","00:16:21,731"
"""
PODCAST = {
    "Labels/labels_consensus.csv": """FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set
MSP-PODCAST_0001_0008.wav,N,2.2,4.0,2.6,30,Male,Test1
""",
    "Labels/labels_detailed.csv": """FileName,EmoDetail
MSP-PODCAST_0001_0008.wav,"WORKER00000001; Angry; Angry,Frustrated; A:5; V:2; D:6;"
""",
}
CASES = {
    "emozionalmente": (EMOZIONALMENTE, "audio/1.wav", "perceived"),
    "meld": ({"train_sent_emo.csv": MELD}, "train/train_splits/dia0_utt0.wav", None),
    "msp_improv": ({"Evaluation.txt": TABLE}, "MSP-IMPROV-S01A-F01-P-FM01.wav", None),
    "msp_podcast": (PODCAST, "Audios/MSP-PODCAST_0001_0008.wav", None),
}


@pytest.mark.parametrize(
    ("reader", "damaged"), [(reader, name) for reader, case in CASES.items() for name in case[0]]
)
def test_damaged_tables(tmp_path: Path, reader: str, damaged: str) -> None:
    tables, audio, label = CASES[reader]
    write_tone(tmp_path / audio)
    for name, content in tables.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)

    @settings(max_examples=20)
    @given(text=damaged_text(tables[damaged]))
    def read_damaged(text: bytes) -> None:
        (tmp_path / damaged).write_bytes(text)
        check_reading(tmp_path, lambda: read_and_write(reader, tmp_path, label))

    read_damaged()
