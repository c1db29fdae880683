"""CASIA, the Chinese emotional corpus, in its public part of 50 sentences: four Mandarin speakers.

`wangzhe/angry/201.wav` is the speaker wangzhe, anger, sentence 201.
"""

from __future__ import annotations

from emoscale.corpus.release import NamedFiles, Release

EMOTIONS = {
    "angry": "anger",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "sad": "sadness",
    "surprise": "surprise",
}

RELEASE = Release(
    name="CASIA",
    layout="wangzhe/angry/201.wav",
    language="zh",
    style="scripted",
    speakers=4,
    counts=dict.fromkeys(EMOTIONS.values(), 200),
    read_utterances=NamedFiles(
        pattern=r"(?P<speaker>liuchanhg|wangzhe|zhaoquanyin|zhaozuoxiang)/"
        r"(?P<emotion>[a-z]+)/(?P<sentence>\d{3})",
        emotions=EMOTIONS,
        key="{speaker}_{emotion}_{sentence}",
    ),
)
