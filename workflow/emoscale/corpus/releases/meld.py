"""MELD (Poria et al. 2019): dialogs of the series Friends, with the official split.

Dialogs and utterances are numbered anew in each split, so the split is part of the key.
"""

from __future__ import annotations

import re
from pathlib import Path

from emoscale.corpus.readers import CorpusManifest, Utterance
from emoscale.corpus.release import Release, first_file, read_rows
from emoscale.corpus.release_tables import recordings_by_name, reject_unlabelled

EMOTIONS = {
    "anger": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "joy": "happiness",
    "neutral": "neutral",
    "sadness": "sadness",
    "surprise": "surprise",
}

FOLDERS = {
    "train": "train_splits",
    "dev": "dev_splits_complete",
    "test": "output_repeated_splits_test",
}

SPEAKERS = {
    "Dr. Leedbetter": "Dr. Ledbetter",
    "Phoebe Sr": "Phoebe Sr.",
    "Rachel and Phoebe": "Phoebe and Rachel",
    "Ross and Joey": "Joey and Ross",
}
"""Other spellings of a speaker."""

_COLUMNS = (
    *("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID", "StartTime", "EndTime"),
)
_TIME = re.compile(r"(\d+):(\d+):(\d+)[,.](\d{3})")
# Quotes and dashes of Windows-1252, which the tables have as control characters.
_PUNCTUATION = {
    code: bytes([code]).decode("cp1252", errors="replace") for code in range(0x80, 0xA0)
}


def _read_utterances(root: Path, label: str | None, manifest: CorpusManifest) -> None:
    for split, name in FOLDERS.items():
        tables = [f"{folder}{split}_sent_emo.csv" for folder in ("", f"{split}/", "data/MELD/")]
        table = first_file(root, *tables)
        if table is None:
            manifest.reject(
                tables[0], "missing", f"{tables[0]} is missing: no utterance of {split}"
            )
            continue
        folder = f"{split}/{name}" if (root / split / name).is_dir() else name
        recordings = recordings_by_name(root, folder, manifest)
        for row in read_rows(root, *tables, columns=_COLUMNS):
            _add_utterance(row, split, folder, recordings, str(table.relative_to(root)), manifest)
        reject_unlabelled(recordings, manifest)


def _add_utterance(
    row: dict[str, str],
    split: str,
    folder: str,
    recordings: dict[str, str],
    table: str,
    manifest: CorpusManifest,
) -> None:
    name = f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}"
    key = f"{split}_{name}"
    audio = recordings.pop(name, f"{folder}/{Path(name).name}.mp4")
    start, end = _seconds(row["StartTime"]), _seconds(row["EndTime"])
    emotion = EMOTIONS.get(row["Emotion"])
    speaker = row["Speaker"].translate(_PUNCTUATION)
    if emotion is None or start is None or end is None or not speaker:
        manifest.reject(
            table,
            "row not understood",
            f"the label, the speaker or a time of {key} is unknown: {row['Emotion']}, {speaker}, "
            f"{row['StartTime']}, {row['EndTime']}",
            utterance=key,
        )
        return
    utterance = Utterance(
        utterance=key,
        audio=audio,
        speaker=SPEAKERS.get(speaker, speaker),
        emotion=emotion,
        dialog=f"{split}_dia{row['Dialogue_ID']}",
        split=split,
        transcript=row["Utterance"].translate(_PUNCTUATION),
        # Where the alignment of the subtitles failed, a recording has minutes of other speech;
        # the times of correct ones are up to a few seconds too short.
        maximum_seconds=3 * max(end - start, 0.0) + 5,
    )
    manifest.add(utterance, table)


def _seconds(text: str) -> float | None:
    """Seconds of a time such as 00:16:21,731."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    hours, minutes, seconds, milliseconds = map(int, match.groups())
    return 3600 * hours + 60 * minutes + seconds + milliseconds / 1000


RELEASE = Release(
    name="MELD",
    layout="train_sent_emo.csv and train/train_splits/dia0_utt0.mp4",
    language="en",
    counts={
        "anger": 1607,
        "disgust": 361,
        "fear": 358,
        "happiness": 2308,
        "neutral": 6436,
        "sadness": 1002,
        "surprise": 1636,
    },
    read_utterances=_read_utterances,
)
