"""MSP-Podcast (Lotfian and Busso 2019), releases 1.6 to 2.0: speech from podcasts, rated by many.

The third test set has no published labels: its utterances have the label `HIDDEN`, which belongs to
no class, so that a trained model can predict them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from emoscale.corpus.readers import CorpusManifest, Utterance
from emoscale.corpus.release import (
    SEXES,
    Release,
    first_file,
    read_rows,
    read_text,
    read_transcripts,
)
from emoscale.corpus.release_tables import (
    NO_AGREEMENT,
    number,
    recordings_by_name,
    reject_unlabelled,
    vote_list,
)
from emoscale.runtime.errors import CorpusError, error_summary

EMOTIONS = {
    "A": "anger",
    "C": "contempt",
    "D": "disgust",
    "F": "fear",
    "H": "happiness",
    "N": "neutral",
    "S": "sadness",
    "U": "surprise",
    "O": "other",
    "X": NO_AGREEMENT,
}
VOTES = {
    "Angry": "anger",
    "Contempt": "contempt",
    "Disgust": "disgust",
    "Fear": "fear",
    "Happy": "happiness",
    "Neutral": "neutral",
    "Sad": "sadness",
    "Surprise": "surprise",
    "Other": "other",
}
HIDDEN = "hidden"
SPLITS = {
    "Train": "train",
    "Development": "dev",
    "Validation": "dev",
    "Test1": "test1",
    "Test2": "test2",
    "Test3": "test3",
}

_FOLDERS = ("Labels/", "labels/", "label/", "")
_TABLES = [  # the second spelling is that of releases up to 1.9
    f"{folder}labels_{name}.csv" for folder in _FOLDERS for name in ("consensus", "concensus")
]
_DETAILS = [
    f"{folder}labels_detailed.{suffix}" for folder in _FOLDERS for suffix in ("csv", "json")
]
_NAME = re.compile(r"MSP-PODCAST_(?P<podcast>[^_]+)_\w+")


def _read_utterances(root: Path, label: str | None, manifest: CorpusManifest) -> None:
    columns = (
        "FileName",
        "EmoClass",
        "EmoAct",
        "EmoVal",
        "EmoDom",
        "SpkrID",
        "Gender",
        "Split_Set",
    )
    rows = read_rows(root, *_TABLES, columns=columns)
    table = str((first_file(root, *_TABLES) or root).relative_to(root))
    votes = _votes(root, manifest)
    transcripts = read_transcripts(root, "Transcripts/*.txt", manifest)
    folder = next((each for each in ("Audios", "Audio") if (root / each).is_dir()), ".")
    recordings = recordings_by_name(root, folder, manifest)
    listed = {Path(row["FileName"]).stem for row in rows}
    rows += [  # the table of the release may omit the set without labels
        {"FileName": f"{name}.wav", "Split_Set": "Test3"}
        for name in recordings
        if name.startswith("MSP-PODCAST_test3_") and name not in listed
    ]
    for row in rows:
        key = Path(row["FileName"]).stem
        audio = recordings.pop(key, f"{folder}/{key}.wav")
        match = _NAME.fullmatch(key)
        split = SPLITS.get(row["Split_Set"])
        code = row.get("EmoClass", "")
        emotion = HIDDEN if split == "test3" and not code else EMOTIONS.get(code)
        if match is None or split is None or emotion is None:
            manifest.reject(
                table,
                "row not understood",
                f"unknown name, split or label: {key}, {row['Split_Set']}, {code}",
                utterance=key,
            )
            continue
        utterance = Utterance(
            utterance=key,
            audio=audio,
            speaker=_speaker(row.get("SpkrID", ""), match["podcast"], key),
            sex=SEXES.get(row.get("Gender", "").lower()),
            dialog=None if match["podcast"] == "test3" else match["podcast"],
            emotion=emotion,
            split=split,
            votes=vote_list(votes.get(row["FileName"], ())),
            activation=number(row.get("EmoAct", "")),
            valence=number(row.get("EmoVal", "")),
            dominance=number(row.get("EmoDom", "")),
            transcript=transcripts.get(key),
        )
        manifest.add(utterance, table)
    reject_unlabelled(recordings, manifest)


def _speaker(identifier: str, podcast: str, key: str) -> str:
    """Speaker; an unknown one differs from those of other podcasts, as far as these are known."""
    if identifier.lower() not in ("", "unknown"):
        return identifier
    return f"unknown {key if podcast == 'test3' else podcast}"


def _votes(root: Path, manifest: CorpusManifest) -> dict[str, list[tuple[str, str]]]:
    """Rater and label of each vote, by file name."""
    votes: dict[str, list[tuple[str, str]]] = {}
    details = first_file(root, *_DETAILS)
    if details is None:
        manifest.reject(_DETAILS[0], "missing", f"{_DETAILS[0]} is missing: the votes are unknown")
        return votes
    for name, rater, text in _read_votes(details):
        label = VOTES.get(text.partition("-")[0].strip(), text)  # Other-annoyed
        votes.setdefault(name, []).append((rater, label))
    return votes


def _read_votes(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield file name, rater and primary emotion of each rating."""
    if path.suffix == ".json":
        try:
            ratings = json.loads(read_text(path))
            for name, raters in ratings.items():
                for rater, rating in raters.items():
                    yield name, rater, rating["EmoClass_Major"]
        except (ValueError, AttributeError, TypeError, KeyError) as error:
            raise CorpusError(
                f"{path} is not a table of ratings by file and rater ({error_summary(error)}); "
                "copy it again"
            ) from None
        return
    try:
        table = pl.read_csv(path, infer_schema=False, glob=False).fill_null("")
        if "EmoDetail" in table.columns:  # WORKER00000001; Angry; Angry,Frustrated; A:5; V:2; D:6;
            fields = (table["EmoDetail"] + ";").str.split(";").list
            raters, labels = fields.get(0).str.strip_chars(), fields.get(1)
        else:
            workers = [name for name in table.columns if name.startswith("Worker")]
            raters, labels = table[(workers or ["Workers"])[0]], table["EmoClass_Major"]
        yield from zip(table["FileName"], raters, labels.str.strip_chars(), strict=True)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise CorpusError(f"{path}: {error_summary(error)}; copy it again") from None


RELEASE = Release(
    name="MSP-Podcast",
    layout="Labels/labels_consensus.csv and Audios/MSP-PODCAST_0001_0008.wav",
    language="en",
    read_utterances=_read_utterances,
)
