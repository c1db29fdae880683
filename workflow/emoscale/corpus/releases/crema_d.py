"""CREMA-D (Cao et al. 2014): 91 actors, 12 sentences, votes on voice, on face and on both.

An utterance has the emotion that was acted, and the one that most listeners or viewers perceived;
they are equal in less than half of the recordings.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emoscale.corpus.readers import CorpusManifest
from emoscale.corpus.release import (
    NamedFiles,
    Release,
    Unusable,
    anonymous_votes,
    first_file,
    read_rows,
    vote_count,
)
from emoscale.corpus.release_tables import number, plurality

EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
INTENSITIES = {"LO": "low", "MD": "medium", "HI": "high"}

SENTENCES = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}

_LETTERS = {name[0].upper(): name for name in EMOTIONS.values()}
_MODALITIES = {"voice": "1", "face": "2", "both": "3"}
_VOTES = ("processedResults/tabulatedVotes.csv", "tabulatedVotes.csv")
_ACTORS = "VideoDemographics.csv"
_ACTOR = ("ActorID", "Age", "Sex")


def _read_utterances(root: Path, label: str | None, manifest: CorpusManifest) -> None:
    modality = _MODALITIES["voice" if label in (None, "acted") else label]
    votes: dict[str, dict[str, int]] = {}
    if label != "acted" or first_file(root, *_VOTES):
        for row in read_rows(root, *_VOTES, columns=("", "fileName", *_LETTERS)):
            if row[""].startswith(modality):  # the first digit of the number of the row
                key = row["fileName"]
                try:
                    votes[key] = {
                        name: vote_count(name, row[letter] or "missing")
                        for letter, name in _LETTERS.items()
                    }
                except Unusable as error:
                    manifest.reject(_VOTES[0], error.reason, str(error), utterance=key)
    else:
        manifest.reject(_VOTES[0], "missing", f"{_VOTES[0]} is missing: the votes are unknown")
    actors: dict[str, dict[str, str]] = {}
    if first_file(root, _ACTORS):
        actors = {row["ActorID"]: row for row in read_rows(root, _ACTORS, columns=_ACTOR)}
    else:
        manifest.reject(_ACTORS, "missing", f"{_ACTORS} is missing: sex and age are unknown")

    def details(parts: Mapping[str, str]) -> Mapping[str, Any]:
        counts = votes.get(parts["stem"].removesuffix("_X") + "_XX" * parts["stem"].endswith("_X"))
        acted = EMOTIONS[parts["letters"]]
        if label != "acted" and counts is None:
            raise Unusable("no label", f"{parts['path']} has no votes in {_VOTES[0]}")
        actor = actors.get(parts["speaker"])
        return {
            "emotion": acted if label == "acted" else plurality(counts or {}),
            "acted": acted,
            "votes": anonymous_votes(counts or {}),
            "sex": actor and actor["Sex"][:1],
            "age": actor and number(actor["Age"]),
        }

    NamedFiles(
        folders=("AudioWAV",),  # the MP3 of 1064_IEO_DIS_MD holds a minute of all emotions
        pattern=r"(?P<speaker>1\d{3})_(?P<transcript>[A-Z]{3})_"
        rf"(?P<letters>{'|'.join(EMOTIONS)})_(?P<intensity>LO|MD|HI|XX?)",
        values={"transcript": SENTENCES, "intensity": INTENSITIES},
        details=details,
    )(root, label, manifest)


RELEASE = Release(
    name="CREMA-D",
    layout="AudioWAV/1001_DFA_ANG_XX.wav and processedResults/tabulatedVotes.csv",
    language="en",
    style="scripted",
    speakers=91,
    labels=("acted", *_MODALITIES),
    counts=dict.fromkeys(EMOTIONS.values(), 1271) | {"neutral": 1087},
    read_utterances=_read_utterances,
)
