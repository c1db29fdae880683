"""Who says what in the demo corpus, and how raters label it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from emoscale.config.corpus import DemoCorpus
from emoscale.corpus.demo.sentences import CUES, PLAIN, SLOTS, TAGS

EMOTION_SHARES = {
    "neu": 0.26,
    "ang": 0.17,
    "sad": 0.17,
    "exc": 0.12,
    "hap": 0.10,
    "fru": 0.10,
    "xxx": 0.05,
    "sur": 0.02,
    "fea": 0.01,
}
"""Labels of improvised turns; four of them make the usual four classes."""

RATINGS = {
    "neu": (3.0, 2.5, 3.0),
    "hap": (4.0, 3.0, 3.0),
    "exc": (4.2, 3.9, 3.3),
    "ang": (1.8, 3.8, 4.0),
    "sad": (1.9, 2.0, 2.2),
    "fru": (2.3, 3.1, 3.3),
    "sur": (3.2, 3.4, 2.8),
    "fea": (2.1, 3.4, 2.0),
    "xxx": (2.7, 2.9, 3.0),
}
"""Usual valence, activation, dominance on the scale from 1 to 5."""

VOTE_WORDS = {
    "neu": "Neutral",
    "hap": "Happiness",
    "exc": "Excited",
    "ang": "Anger",
    "sad": "Sadness",
    "fru": "Frustration",
    "sur": "Surprise",
    "fea": "Fear",
}

_CONFUSED_WITH = {
    "neu": ["fru", "sad"],
    "hap": ["exc", "neu"],
    "exc": ["hap", "sur"],
    "ang": ["fru"],
    "sad": ["neu", "fru"],
    "fru": ["ang", "neu"],
    "sur": ["exc"],
    "fea": ["sad"],
}
_CUE_SHARE = 0.4
_TAG_SHARE = 0.04
_TURNS_A_DIALOG = 24
_SAME_LABEL_SHARE = 0.85


@dataclass(frozen=True)
class Turn:
    """One utterance as it is planned."""

    name: str
    dialog: str
    session: int
    sex: str
    played: str
    """The emotion in the voice and the words."""
    label: str
    """The raters' consensus."""
    text: str
    votes: tuple[tuple[str, tuple[str, ...]], ...]
    ratings: tuple[float, float, float]


def plan_session(settings: DemoCorpus, session: int) -> list[Turn]:
    """The turns of one session: improvised dialogs, and scripts that every session plays."""
    generator = np.random.default_rng([settings.seed, 11, session])
    turns: list[Turn] = []
    for number, (dialog, length) in enumerate(_dialogs(session, settings.utterances_per_session)):
        script = _script(settings.seed, dialog, length) if "script" in dialog else None
        spoken = {"F": 0, "M": 0}
        for position in range(length):
            sex = "FM"[(position + number) % 2]
            if script is not None and generator.random() < _SAME_LABEL_SHARE:
                played, text = script[position]
            else:
                played = _draw_emotion(generator)
                text = script[position][1] if script is not None else _draw_text(generator, played)
            name = f"{dialog}_{sex}{spoken[sex]:03d}"
            spoken[sex] += 1
            turns.append(_turn(generator, name, dialog, session, sex, played, text))
    return turns


def _dialogs(session: int, utterances: int) -> list[tuple[str, int]]:
    """Names and lengths; of five dialogs two are scripted."""
    length = max(_TURNS_A_DIALOG, math.ceil(utterances / 60))
    dialogs: list[tuple[str, int]] = []
    improvised = [f"{m}_impro0{n}{v}" for v in ("", "a", "b") for m in "FM" for n in range(1, 9)]
    scripted = [f"{m}_script0{n}_{p}" for p in range(1, 5) for m in "FM" for n in range(1, 4)]
    left = utterances
    while left > 0:
        source = scripted if len(dialogs) % 5 in (1, 3) else improvised
        dialogs.append((f"Ses{session:02d}{source.pop(0)}", min(length, left)))
        left -= length
    return dialogs


def _script(seed: int, dialog: str, length: int) -> list[tuple[str, str]]:
    """Emotion and text of each line of a script: the same in every session."""
    play = int("".join(character for character in dialog[5:] if character.isdigit()))
    generator = np.random.default_rng([seed, 12, play])
    lines = []
    for _ in range(length):
        emotion = _draw_emotion(generator)
        lines.append((emotion, _draw_text(generator, emotion)))
    return lines


def _draw_emotion(generator: np.random.Generator) -> str:
    return str(generator.choice(list(EMOTION_SHARES), p=list(EMOTION_SHARES.values())))


def _draw_text(generator: np.random.Generator, emotion: str) -> str:
    words = {slot: str(generator.choice(choices)) for slot, choices in SLOTS.items()}
    plain = str(generator.choice(PLAIN)).format(**words)
    sentences = [plain[0].upper() + plain[1:]]
    if emotion in CUES and generator.random() < _CUE_SHARE:
        sentences.insert(int(generator.integers(2)), str(generator.choice(CUES[emotion])))
    if generator.random() < _TAG_SHARE:
        sentences.append(str(generator.choice(TAGS)))
    return " ".join(sentences)


def _turn(
    generator: np.random.Generator,
    name: str,
    dialog: str,
    session: int,
    sex: str,
    emotion: str,
    text: str,
) -> Turn:
    played = emotion
    if emotion == "xxx":  # raters disagree: the voice is some emotion, the votes are three
        played = str(generator.choice(list(VOTE_WORDS)))
    return Turn(
        name=name,
        dialog=dialog,
        session=session,
        sex=sex,
        played=played,
        label=emotion,
        text=text,
        votes=_votes(generator, emotion, sex),
        ratings=_ratings(generator, emotion),
    )


def _votes(
    generator: np.random.Generator, emotion: str, sex: str
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if emotion == "xxx":
        three = [str(word) for word in generator.choice(list(VOTE_WORDS), size=3, replace=False)]
    else:
        three = [emotion, emotion, emotion]
        if generator.random() < 0.35:
            three[int(generator.integers(3))] = str(generator.choice(_CONFUSED_WITH[emotion]))
    votes: list[tuple[str, tuple[str, ...]]] = [
        (f"E{rater}", (VOTE_WORDS[vote],)) for rater, vote in enumerate(three, start=1)
    ]
    if generator.random() < 0.2:  # some raters give two labels
        rater, labels = votes[0]
        other = str(generator.choice(list(VOTE_WORDS.values())))
        votes[0] = (rater, (*labels, other) if other not in labels else labels)
    own = emotion if emotion != "xxx" else three[0]
    votes.append((f"{sex}1", (VOTE_WORDS[own],)))
    return tuple(votes)


def _ratings(generator: np.random.Generator, emotion: str) -> tuple[float, float, float]:
    drawn = np.asarray(RATINGS[emotion]) + generator.normal(0.0, 0.4, 3)
    halves = np.clip(np.round(drawn * 2) / 2, 1.0, 5.0)
    return float(halves[0]), float(halves[1]), float(halves[2])
