"""ShEMO (Mohamad Nezami et al. 2019): Persian radio plays, labels by the majority of 12 listeners.

`F01A02.wav` is the woman F01, anger, recording 02. Fear has so few recordings that studies usually
leave it out.
"""

from __future__ import annotations

from pathlib import Path

from emoscale.corpus.readers import CorpusManifest
from emoscale.corpus.release import NamedFiles, Release, read_transcripts

EMOTIONS = {
    "A": "anger",
    "F": "fear",
    "H": "happiness",
    "N": "neutral",
    "S": "sadness",
    "W": "surprise",
}


def _read_utterances(root: Path, label: str | None, manifest: CorpusManifest) -> None:
    transcripts = read_transcripts(root, "final text/*.ort", manifest)
    NamedFiles(
        pattern=r"(?P<speaker>(?P<sex>[FM])\d\d)(?P<emotion>[A-Z])\d\d",
        emotions=EMOTIONS,
        details=lambda parts: {"transcript": transcripts.get(parts["stem"])},
    )(root, label, manifest)


RELEASE = Release(
    name="ShEMO",
    layout="female/F01A01.wav and transcript/final text/F01A01.ort",
    language="fa",
    speakers=87,
    counts=dict(zip(EMOTIONS.values(), (1059, 38, 201, 1028, 449, 225), strict=True)),
    read_utterances=_read_utterances,
)
