"""SAVEE (Haq and Jackson 2009): four men, 15 sentences for each emotion, 30 neutral ones.

`DC/sa01.wav`, or `DC_sa01.wav` in copies, is the speaker DC, sadness, sentence 01.
"""

from __future__ import annotations

from emoscale.corpus.release import NamedFiles, Release

EMOTIONS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}

RELEASE = Release(
    name="SAVEE",
    layout="AudioData/DC/a01.wav or DC_a01.wav",
    language="en",
    style="scripted",
    speakers=4,
    counts=dict.fromkeys(EMOTIONS.values(), 60) | {"neutral": 120},
    read_utterances=NamedFiles(
        folders=("AudioData",),
        pattern=r"(?P<speaker>DC|JE|JK|KL)[/_](?P<emotion>[a-z]+)(?P<number>\d\d)",
        emotions=EMOTIONS,
        key="{speaker}_{emotion}{number}",
        details=lambda parts: {"sex": "M"},
    ),
)
