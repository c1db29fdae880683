"""URDU (Latif et al. 2018): excerpts of Urdu talk shows.

`Happy/SM12_F3_H03.wav` is the man SM12, file 3, happiness 03. Most speakers have a single emotion,
so that the speaker alone predicts the label of 96 % of the recordings.
"""

from __future__ import annotations

from emoscale.corpus.release import NamedFiles, Release

EMOTIONS = {"A": "anger", "H": "happiness", "N": "neutral", "S": "sadness"}

RELEASE = Release(
    name="URDU",
    layout="Angry/SM1_F1_A01.wav",
    language="ur",
    speakers=38,
    counts=dict.fromkeys(EMOTIONS.values(), 100),
    read_utterances=NamedFiles(
        pattern=r"(?P<speaker>S(?P<sex>[FM])\d+)_F\d+_(?P<emotion>[A-Z])\d+",
        emotions=EMOTIONS,
    ),
)
