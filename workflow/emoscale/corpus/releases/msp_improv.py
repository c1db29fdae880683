"""MSP-IMPROV (Busso et al. 2017): six sessions of an actress and an actor.

A target sentence is read or leads an improvised scene, with one of four emotions. The label is what
the raters perceived; `acted` is the emotion of a target sentence.
"""

from __future__ import annotations

import re
from pathlib import Path

from emoscale.corpus.readers import CorpusManifest, Utterance
from emoscale.corpus.release import Release, first_file, read_text, read_transcripts
from emoscale.corpus.release_tables import (
    NO_AGREEMENT,
    number,
    recordings_by_name,
    reject_unlabelled,
    vote_list,
)
from emoscale.runtime.errors import CorpusError

EMOTIONS = {
    "A": "anger",
    "H": "happiness",
    "N": "neutral",
    "S": "sadness",
    "O": "other",
    "X": NO_AGREEMENT,
}
VOTES = {
    "Angry": "anger",
    "Happy": "happiness",
    "Neutral": "neutral",
    "Sad": "sadness",
    "Other": "other",
}

_TABLES = ("Evalution.txt", "Evaluation.txt")  # the first is how the release spells it
_CLIP = re.compile(
    r"UTD-IMPROV-(?P<name>(?P<scene>S\d\d(?P<target>[AHNS]))-(?P<speaker>[FM]0(?P<session>\d))"
    r"-(?P<part>[PRST])-\w+)\.avi"
)
_TARGET_PARTS = ("R", "T")  # read and improvised target sentences; S and P: other speech


def _read_utterances(root: Path, label: str | None, manifest: CorpusManifest) -> None:
    table = first_file(root, *_TABLES)
    if table is None:
        raise CorpusError(f"{root} has no table {' or '.join(_TABLES)}; copy it from the release")
    transcripts = read_transcripts(root, "*uman_[tT]ranscriptions/**/*.txt", manifest)
    recordings = recordings_by_name(root, ".", manifest)
    for block in re.split(r"\n\s*\n", read_text(table, encoding="latin-1").strip()):
        head, *raters = [[cell.strip() for cell in line.split(";")] for line in block.split("\n")]
        clip = _CLIP.fullmatch(head[0])
        if clip is None or len(head) < 2 or head[1] not in EMOTIONS:
            manifest.reject(
                table.name, "block not understood", f"unknown clip or label: {'; '.join(head)}"
            )
            continue
        key = f"MSP-IMPROV-{clip['name']}"
        session = f"session{clip['session']}"
        ratings = dict(cell.split(":", 1) for cell in head[2:] if ":" in cell)
        utterance = Utterance(
            utterance=key,
            audio=recordings.pop(key, f"{session}/{clip['scene']}/{clip['part']}/{key}.wav"),
            speaker=clip["speaker"],
            sex=clip["speaker"][0],
            session=session,
            dialog=f"{session}_{clip['scene']}",
            style="scripted" if clip["part"] == "R" else "improvised",
            emotion=EMOTIONS[head[1]],
            acted=EMOTIONS[clip["target"]] if clip["part"] in _TARGET_PARTS else None,
            votes=vote_list((row[0], VOTES.get(row[1], row[1])) for row in raters if len(row) > 1),
            activation=number(ratings.get("A", "")),
            valence=number(ratings.get("V", "")),
            dominance=number(ratings.get("D", "")),
            transcript=transcripts.get(key),
        )
        manifest.add(utterance, table.name)
    reject_unlabelled(recordings, manifest)


RELEASE = Release(
    name="MSP-IMPROV",
    layout="Evalution.txt and session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav",
    language="en",
    counts={  # sums of Table 4 of the article
        "anger": 792,
        "happiness": 2644,
        "neutral": 3477,
        "sadness": 885,
        "other": 85,
        NO_AGREEMENT: 555,
    },
    read_utterances=_read_utterances,
)
