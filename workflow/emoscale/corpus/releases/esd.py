"""ESD (Zhou et al. 2021): ten Mandarin and ten English speakers, 350 sentences in five emotions.

`0011/Angry/train/0011_000351.wav` is speaker 0011, anger, the official split; texts are in
`0011/0011.txt`. The split has all speakers on both sides, but each sentence on one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emoscale.corpus.readers import CorpusManifest
from emoscale.corpus.release import NamedFiles, Release, read_text
from emoscale.runtime.errors import CorpusError

EMOTIONS = {
    "Angry": "anger",
    "Happy": "happiness",
    "Neutral": "neutral",
    "Sad": "sadness",
    "Surprise": "surprise",
}
CHINESE = dict(zip(("生气", "快乐", "中立", "伤心", "惊喜"), EMOTIONS.values(), strict=True))
MEN = frozenset({4, 5, 6, 8, 10, 11, 12, 13, 14, 20})

# the text is between the name and the emotion; some lines lack a tab or the emotion
_LINE = re.compile(rf"(\d{{4}}_\d{{6}})\s+(.+?)(?:\s+(?:{'|'.join([*EMOTIONS, *CHINESE])}))?\s*")


def _read_utterances(root: Path, label: str | None, manifest: CorpusManifest) -> None:
    transcripts: dict[str, str] = {}
    files = sorted([*root.glob("00??/00??.txt"), *root.glob("*/00??/00??.txt")])
    for file in files:
        name = str(file.relative_to(root))
        try:
            lines = read_text(file, _encoding(file)).splitlines()
        except (CorpusError, OSError) as error:
            manifest.reject(name, "unreadable transcript", str(error))
            continue
        for number, line in enumerate(lines, start=1):
            if match := _LINE.fullmatch(line):
                transcripts[match[1]] = match[2]
            elif line.strip():
                manifest.reject(name, "line not understood", line, location=f"line {number}")
    if not files:
        manifest.reject("0001.txt", "missing", "0001.txt … 0020.txt are missing: no transcripts")

    def details(parts: Mapping[str, str]) -> Mapping[str, Any]:
        speaker = int(parts["speaker"])
        return {
            "sex": "M" if speaker in MEN else "F",
            "language": "zh" if speaker <= 10 else "en",
            "transcript": transcripts.get(parts["stem"]),
        }

    NamedFiles(
        pattern=r"(?P<speaker>00\d\d)/(?P<emotion>[^/]+)/"
        r"(?:(?P<split>train|evaluation|test)/)?(?P=speaker)_\d{6}",
        emotions=EMOTIONS | CHINESE,
        values={"split": {"train": "train", "evaluation": "dev", "test": "test"}},
        details=details,
    )(root, label, manifest)


def _encoding(file: Path) -> str:
    """Return the encoding of a speaker's texts: UTF-16, UTF-8, GB 2312 or Latin-1."""
    content = file.read_bytes()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "gb18030" if int(file.stem) <= 10 else "cp1252"
    return "utf-8-sig"


RELEASE = Release(
    name="ESD",
    layout="0001/Angry/train/0001_000351.wav and 0001/0001.txt",
    style="scripted",
    speakers=20,
    counts=dict.fromkeys(EMOTIONS.values(), 7000),
    read_utterances=_read_utterances,
)
