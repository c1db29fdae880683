"""TESS, the Toronto emotional speech set (Pichora-Fuller and Dupuis 2020): two women, 200 words.

`OAF_back_ps.wav` is the older actress (OAF, 64 years; YAF is 26), the word back, and pleasant
surprise. With two speakers, a test on other speakers has two folds.
"""

from __future__ import annotations

from emoscale.corpus.release import NamedFiles, Release

EMOTIONS = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "ps": "surprise",
    "sad": "sadness",
}
AGES = {"OA": 64, "YA": 26}

RELEASE = Release(
    name="TESS",
    layout="OAF_angry/OAF_back_angry.wav",
    language="en",
    style="scripted",
    speakers=2,
    counts=dict.fromkeys(EMOTIONS.values(), 400),
    read_utterances=NamedFiles(
        pattern=r"(?P<speaker>OA|YA)F?_(?P<word>[^/_]+)_(?P<emotion>[a-z]+)",
        emotions=EMOTIONS,
        details=lambda parts: {
            "sex": "F",
            "age": AGES[parts["speaker"]],
            "transcript": f"Say the word {parts['word']}.",
        },
    ),
)
