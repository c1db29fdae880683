"""AESDD (Vryzas et al. 2018): Greek actors, 20 sentences for each emotion.

`fear/f18 (05)b.wav` is fear, sentence 18, speaker 5, second take. `s05 (3).wav` of the release
cannot be decoded, so that published counts have one recording of sadness less.
"""

from __future__ import annotations

from emoscale.corpus.release import NamedFiles, Release

EMOTIONS = {"a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "s": "sadness"}

RELEASE = Release(
    name="AESDD",
    layout="anger/a01 (1).wav",
    language="el",
    style="scripted",
    speakers=6,
    counts=dict(zip(EMOTIONS.values(), (121, 122, 120, 119, 123), strict=True)),
    read_utterances=NamedFiles(
        pattern=r"(?P<emotion>[a-z])(?P<sentence>\d\d) ?\(0?(?P<speaker>\d)\)(?P<take>[ab]?)",
        emotions=EMOTIONS,
        key="{emotion}{sentence}_{speaker}{take}",
        details=lambda parts: {"sex": "FM"[int(parts["speaker"]) % 2]},
    ),
)
