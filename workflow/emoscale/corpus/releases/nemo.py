"""nEMO (Christop 2024): nine Polish actors, 90 sentences; text, sex and age are in `data.tsv`.

`EB0_anger_12.wav` is the speaker EB0, anger, sentence 12.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emoscale.corpus.readers import CorpusManifest
from emoscale.corpus.release import NamedFiles, Release, first_file, read_rows

EMOTIONS = ("anger", "fear", "happiness", "neutral", "sadness", "surprise")
_TABLE = "data.tsv"
_COLUMNS = ("file_id", "raw_text", "gender", "age")


def _read_utterances(root: Path, label: str | None, manifest: CorpusManifest) -> None:
    rows: dict[str, dict[str, str]] = {}
    if first_file(root, _TABLE):
        table = read_rows(root, _TABLE, columns=_COLUMNS, delimiter="\t")
        rows = {row["file_id"]: row for row in table}
    else:
        manifest.reject(_TABLE, "missing", f"{_TABLE} is missing: text, sex and age are unknown")

    def details(parts: Mapping[str, str]) -> Mapping[str, Any]:
        if (row := rows.get(f"{parts['stem']}.wav")) is None:
            return {}
        age = float(row["age"]) if row["age"].isdecimal() else None
        sex = {"female": "F", "male": "M"}.get(row["gender"])
        return {"transcript": row["raw_text"], "sex": sex, "age": age}

    NamedFiles(
        pattern=r"(?P<speaker>[A-Z]+\d)_(?P<emotion>[a-z]+)_\d+",
        emotions={name: name for name in EMOTIONS} | {"surprised": "surprise"},
        details=details,
    )(root, label, manifest)


RELEASE = Release(
    name="nEMO",
    layout="samples/EB0_anger_1.wav and data.tsv",
    language="pl",
    style="scripted",
    speakers=9,
    counts=dict(zip(EMOTIONS, (749, 736, 749, 809, 769, 669), strict=True)),
    read_utterances=_read_utterances,
)
