"""Emozionalmente (Catania et al. 2022): 431 amateur actors, 18 Italian sentences, 5 votes each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from emoscale.corpus.readers import CorpusManifest, Utterance
from emoscale.corpus.release import SEXES, Release, first_file, read_rows
from emoscale.corpus.release_tables import (
    number,
    plurality,
    recordings_by_name,
    reject_unlabelled,
    vote_list,
)

EMOTIONS = {
    "anger": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "joy": "happiness",
    "neutrality": "neutral",
    "sadness": "sadness",
    "surprise": "surprise",
}

_SAMPLES = "metadata/samples.csv"
_FOLDERS = ("", "emozionalmente_dataset/", "emozionalmente/")


def _read_utterances(root: Path, label: str | None, manifest: CorpusManifest) -> None:
    folder = next((each for each in _FOLDERS if (root / each / _SAMPLES).is_file()), "")
    users = {
        row["username"]: row
        for row in read_rows(
            root, f"{folder}metadata/users.csv", columns=("username", "gender", "age")
        )
    }
    votes: dict[str, list[tuple[str, str]]] = {}
    evaluations = read_rows(
        root,
        f"{folder}metadata/evaluations.csv",
        columns=("file_name", "evaluator", "emotion_recognized"),
    )
    for row in evaluations:
        perceived = row["emotion_recognized"]
        vote = (row["evaluator"], EMOTIONS.get(perceived, perceived))
        votes.setdefault(row["file_name"], []).append(vote)
    split_of: dict[str, str] = {}
    for split in ("train", "dev", "test"):  # only in later versions
        if first_file(root, table := f"{folder}metadata/split/{split}.csv"):
            rows = read_rows(root, table, columns=("file_name",))
            split_of |= {row["file_name"]: split for row in rows}
    recordings = recordings_by_name(root, f"{folder}audio", manifest)
    for row in read_rows(
        root, folder + _SAMPLES, columns=("file_name", "actor", "sentence", "emotion_expressed")
    ):
        name = Path(row["file_name"]).stem
        audio = recordings.pop(name, f"{folder}audio/{name}.wav")
        acted = EMOTIONS.get(row["emotion_expressed"])
        if acted is None or not row["actor"]:
            manifest.reject(
                folder + _SAMPLES,
                "row not understood",
                f"{name} has no actor or the unknown label {row['emotion_expressed']}",
                utterance=name,
            )
            continue
        rated = vote_list(votes.get(row["file_name"], ()))
        if label == "perceived" and rated is None:
            manifest.reject(
                audio, "no label", f"{name} has no votes in evaluations.csv", utterance=name
            )
            continue
        perceived = plurality(Counter(vote["label"] for vote in rated)) if rated else ""
        actor = users.get(row["actor"], {})
        utterance = Utterance(
            utterance=name,
            audio=audio,
            speaker=row["actor"],
            emotion=acted if label == "acted" else perceived,
            acted=acted,
            votes=rated,
            sex=SEXES.get(actor.get("gender", "").lower()),
            age=number(actor.get("age", "")),
            transcript=row["sentence"],
            split=split_of.get(row["file_name"]),
            style="scripted",
        )
        manifest.add(utterance, folder + _SAMPLES)
    reject_unlabelled(recordings, manifest)


RELEASE = Release(
    name="Emozionalmente",
    layout="metadata/samples.csv, metadata/evaluations.csv and audio/1613655062436.wav",
    language="it",
    labels=("acted", "perceived"),
    counts=dict.fromkeys(EMOTIONS.values(), 986),
    read_utterances=_read_utterances,
)
