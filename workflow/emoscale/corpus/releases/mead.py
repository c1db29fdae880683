"""MEAD (Wang et al. 2020), audio only: 48 speakers, eight emotions, three intensities.

`M003/audio/angry/level_2/011.m4a` is the man M003, anger at level 2, sentence 011 of this emotion.
"""

from __future__ import annotations

from emoscale.corpus.release import NamedFiles, Release

EMOTIONS = {
    "angry": "anger",
    "contempt": "contempt",
    "disgusted": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "sad": "sadness",
    "surprised": "surprise",
}

RELEASE = Release(
    name="MEAD",
    layout="M003/audio/angry/level_1/001.m4a",
    language="en",
    style="scripted",
    speakers=48,
    counts=dict(
        zip(EMOTIONS.values(), (4193, 4215, 4284, 4251, 4294, 1916, 4306, 4270), strict=True)
    ),
    read_utterances=NamedFiles(
        pattern=r"(?P<speaker>(?P<sex>[MW])\d{3})/audio/(?P<emotion>[a-z]+)/level_"
        r"(?P<intensity>\d)/(?P<sentence>\d{3})",
        emotions=EMOTIONS,
        values={"sex": {"M": "M", "W": "F"}},
        key="{speaker}_{emotion}_{intensity}_{sentence}",
    ),
)
