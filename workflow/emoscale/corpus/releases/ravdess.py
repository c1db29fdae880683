"""RAVDESS (Livingstone and Russo 2018): 24 actors, two sentences, spoken and sung.

`03-01-06-02-01-02-12.wav` is modality 03 (audio), channel 01 (speech), emotion 06 at intensity 02,
sentence 01, repetition 02, actor 12. The same sentences are in every fold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emoscale.corpus.release import NamedFiles, Release, Unusable

EMOTIONS = ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise")


def _details(parts: Mapping[str, str]) -> Mapping[str, Any]:
    if (parts["modality"], parts["channel"]) != ("03", "01"):
        raise Unusable("song or video", f"{parts['path']} is not spoken audio (03-01-…)")
    return {"sex": "FM"[int(parts["speaker"]) % 2]}


RELEASE = Release(
    name="RAVDESS",
    layout="Actor_01/03-01-01-01-01-01-01.wav",
    language="en",
    style="scripted",
    speakers=24,
    counts=dict.fromkeys(EMOTIONS, 192) | {"neutral": 96},
    read_utterances=NamedFiles(
        pattern=r"(?P<modality>0[123])-(?P<channel>0[12])-(?P<emotion>0[1-8])-"
        r"(?P<intensity>0[12])-(?P<transcript>0[12])-0[12]-(?P<speaker>\d\d)",
        emotions={f"{number:02d}": name for number, name in enumerate(EMOTIONS, start=1)},
        values={
            "intensity": {"01": "normal", "02": "strong"},
            "transcript": {
                "01": "Kids are talking by the door.",
                "02": "Dogs are sitting by the door.",
            },
        },
        details=_details,
    ),
)
