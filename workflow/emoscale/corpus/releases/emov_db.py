"""EmoV-DB (Adigwe et al. 2018): four speakers of English read the sentences of CMU ARCTIC, set A.

`bea_Amused/amused_1-15_0001.wav`, or `bea/Amused/…` in the sorted copy, is the speaker bea,
amusement, sentence 0001. Texts are those of ARCTIC's `cmuarctic.data`, if it is in the root. The
recordings have two sample rates, which may identify the speaker.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emoscale.corpus.readers import CorpusManifest
from emoscale.corpus.release import NamedFiles, Release, first_file, read_text

EMOTIONS = {
    "Amused": "amusement",
    "Angry": "anger",
    "Disgusted": "disgust",
    "Neutral": "neutral",
    "Sleepy": "sleepiness",
}
SEXES = {"bea": "F", "jenie": "F", "josh": "M", "sam": "M"}


def _read_utterances(root: Path, label: str | None, manifest: CorpusManifest) -> None:
    file = first_file(root, "cmuarctic.data")
    sentences = dict(re.findall(r'arctic_a(\d{4}) "(.*)"', read_text(file))) if file else {}

    def details(parts: Mapping[str, str]) -> Mapping[str, Any]:
        transcript = sentences.get(parts["sentence"])
        return {"sex": SEXES[parts["speaker"]], "transcript": transcript}

    NamedFiles(
        pattern=rf"(?P<speaker>{'|'.join(SEXES)})[/_](?P<emotion>[A-Z][a-z]+)/"
        r"[^/]*_(?P<sentence>\d{4})",
        emotions=EMOTIONS | {"Disgust": "disgust"},
        key="{speaker}_{stem}",
        details=details,
    )(root, label, manifest)


RELEASE = Release(
    name="EmoV-DB",
    layout="bea_Amused/amused_1-15_0001.wav",
    language="en",
    style="scripted",
    speakers=4,
    counts=dict(zip(EMOTIONS.values(), (1315, 1267, 1019, 1566, 1720), strict=True)),
    read_utterances=_read_utterances,
)
