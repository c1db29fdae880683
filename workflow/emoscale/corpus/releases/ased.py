"""ASED, the Amharic speech emotion dataset (Retta et al. 2022): 65 speakers.

`05Angry/a5-02-01-02-33.wav` is anger, sentence 02, repetition 01, a man (02), speaker 33. One name
of the release has the emotion in upper case.
"""

from __future__ import annotations

from emoscale.corpus.release import NamedFiles, Release

EMOTIONS = {"a": "anger", "f": "fear", "h": "happiness", "n": "neutral", "s": "sadness"}

RELEASE = Release(
    name="ASED",
    layout="01Neutral/n1-01-01-01-01.wav",
    language="am",
    style="scripted",
    speakers=65,
    counts=dict(zip(EMOTIONS.values(), (486, 510, 486, 522, 470), strict=True)),
    read_utterances=NamedFiles(
        pattern=r"(?P<emotion>[A-Za-z])\d-\d\d-\d\d-(?P<sex>0[12])-(?P<speaker>\d\d)",
        emotions=EMOTIONS | {"S": "sadness"},
        values={"sex": {"01": "F", "02": "M"}},
    ),
)
