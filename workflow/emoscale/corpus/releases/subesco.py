"""SUBESCO (Sultana et al. 2021): 20 Bangla actors, ten sentences, five takes of each.

`F_03_TITHI_S_7_FEAR_2.wav` is the woman 03, sentence 7, fear, take 2.
"""

from __future__ import annotations

from emoscale.corpus.release import NamedFiles, Release

EMOTIONS = {
    "ANGRY": "anger",
    "DISGUST": "disgust",
    "FEAR": "fear",
    "HAPPY": "happiness",
    "NEUTRAL": "neutral",
    "SAD": "sadness",
    "SURPRISE": "surprise",
}

RELEASE = Release(
    name="SUBESCO",
    layout="F_01_OISHI_S_1_ANGRY_1.wav",
    language="bn",
    style="scripted",
    speakers=20,
    counts=dict.fromkeys(EMOTIONS.values(), 1000),
    read_utterances=NamedFiles(
        pattern=r"(?P<sex>[FM])_(?P<number>\d+)_[A-Z]+_S_\d+_(?P<emotion>[A-Z]+)_\d",
        emotions=EMOTIONS,
        details=lambda parts: {"speaker": parts["sex"] + parts["number"]},
    ),
)
