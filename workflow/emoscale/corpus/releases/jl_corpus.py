"""JL corpus (James et al. 2018): four speakers of New Zealand English, ten emotions.

`female1_angry_12a_2.wav` is the woman female1, anger, sentence 12 in session a, repetition 2; its
text is in `female1_angry_12a_2.txt`.
"""

from __future__ import annotations

from pathlib import Path

from emoscale.corpus.readers import CorpusManifest
from emoscale.corpus.release import NamedFiles, Release, read_transcripts

EMOTIONS = {
    "angry": "anger",
    "sad": "sadness",
    "neutral": "neutral",
    "happy": "happiness",
    "excited": "excitement",
    "anxious": "anxiety",
    "apologetic": "apology",
    "assertive": "assertiveness",
    "concerned": "concern",
    "encouraging": "encouragement",
}


def _read_utterances(root: Path, label: str | None, manifest: CorpusManifest) -> None:
    transcripts = read_transcripts(root, "*male*.txt", manifest)
    NamedFiles(
        pattern=r"(?P<speaker>(?P<sex>female|male)[12])_(?P<emotion>[a-z]+)_\d+[ab]_[12]",
        emotions=EMOTIONS,
        details=lambda parts: {"transcript": transcripts.get(parts["stem"])},
    )(root, label, manifest)


RELEASE = Release(
    name="JL corpus",
    layout="JL(wav+txt)/female1_angry_1a_1.wav and female1_angry_1a_1.txt",
    language="en",
    style="scripted",
    speakers=4,
    counts=dict.fromkeys(EMOTIONS.values(), 240),
    read_utterances=_read_utterances,
)
