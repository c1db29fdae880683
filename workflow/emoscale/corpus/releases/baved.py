"""BAVED, the basic Arabic vocal emotions dataset: 61 speakers, seven words.

`2/12-m-23-4-2-118.wav` is the speaker 12, a man of 23 years, word 4, level 2, recording 118. The
label is the level of emotion: low, normal or high.
"""

from __future__ import annotations

from emoscale.corpus.release import NamedFiles, Release

LEVELS = {"0": "low", "1": "normal", "2": "high"}

WORDS = {
    "0": "اعجبني",
    "1": "لم يعجبني",
    "2": "هذا",
    "3": "الفيلم",
    "4": "رائع",
    "5": "مقول",
    "6": "سيئ",
}

RELEASE = Release(
    name="BAVED",
    layout="0/1-m-21-0-0-1.wav",
    language="ar",
    style="scripted",
    speakers=61,
    read_utterances=NamedFiles(
        pattern=r"(?P<speaker>\d+)-(?P<sex>[mMfF])-(?P<age>\d+)-(?P<transcript>[0-6])-"
        r"(?P<emotion>\d)-\d+",
        emotions=LEVELS,
        values={"transcript": WORDS},
        details=lambda parts: {"age": float(parts["age"])},
    ),
)
