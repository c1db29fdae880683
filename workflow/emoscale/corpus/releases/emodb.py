"""EMO-DB, the Berlin database of emotional speech (Burkhardt et al. 2005).

`03a01Fa.wav` is speaker 03, sentence a01, emotion F (Freude), version a.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emoscale.corpus.release import NamedFiles, Release

AGES = {
    "03": 31, "08": 34, "09": 21, "10": 32, "11": 26,
    "12": 30, "13": 32, "14": 35, "15": 25, "16": 31,
}  # fmt: skip
MALE_SPEAKERS = frozenset({"03", "10", "11", "12", "15"})

SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}


def _details(parts: Mapping[str, str]) -> Mapping[str, Any]:
    speaker = parts["speaker"]
    return {"sex": "M" if speaker in MALE_SPEAKERS else "F", "age": AGES[speaker]}


RELEASE = Release(
    name="EMO-DB",
    layout="wav/03a01Fa.wav or 03a01Fa.flac",
    language="de",
    style="scripted",
    speakers=10,
    counts={
        "anger": 127,
        "boredom": 81,
        "disgust": 46,
        "fear": 69,
        "happiness": 71,
        "sadness": 62,
        "neutral": 79,
    },
    read_utterances=NamedFiles(
        folders=("wav",),
        pattern=r"(?P<speaker>03|08|09|1[0-6])(?P<transcript>[ab]\d\d)(?P<emotion>[A-Z])[a-z]",
        emotions={  # initials of German words: Wut, Langeweile, Ekel, Angst, Freude, Trauer
            "W": "anger",
            "L": "boredom",
            "E": "disgust",
            "A": "fear",
            "F": "happiness",
            "T": "sadness",
            "N": "neutral",
        },
        values={"transcript": SENTENCES},
        details=_details,
    ),
)
