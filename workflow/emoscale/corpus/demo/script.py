"""Script of the demo corpus: dialogs, sentences, and the labels and votes of simulated raters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from emoscale.config.corpus import DemoCorpus
from emoscale.corpus.demo.sentences import CUES, SENTENCE_TEMPLATES, SLOTS, TAGS

EMOTION_PROBABILITIES = {
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
"""Consensus labels of improvised turns; they include those of the usual four classes."""

MEAN_RATINGS = {
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
"""Mean valence, activation and dominance, on the scale from 1 to 5."""

VOTE_LABELS = {
    "neu": "Neutral",
    "hap": "Happiness",
    "exc": "Excited",
    "ang": "Anger",
    "sad": "Sadness",
    "fru": "Frustration",
    "sur": "Surprise",
    "fea": "Fear",
}
"""Raters' labels, as written in label files."""

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
_CUE_PROBABILITY = 0.4
_TAG_PROBABILITY = 0.04
_TURNS_PER_DIALOG = 24
_SCRIPTED_LABEL_PROBABILITY = 0.85


@dataclass(frozen=True)
class Turn:
    """Plan of one utterance."""

    name: str
    dialog: str
    session: int
    sex: str
    portrayed: str
    """Emotion of the voice and the text."""
    label: str
    """Consensus of the raters."""
    text: str
    votes: tuple[tuple[str, tuple[str, ...]], ...]
    ratings: tuple[float, float, float]


def plan_session(settings: DemoCorpus, session: int) -> list[Turn]:
    """Plan the turns of one session: improvised dialogs, and scripts shared by all sessions.

    Parameters
    ----------
    settings : DemoCorpus
        Settings of the demo corpus.
    session : int
        Session number, from 1.

    Returns
    -------
    list of Turn
        Turns, dialog by dialog.
    """
    generator = np.random.default_rng([settings.seed, 11, session])
    turns: list[Turn] = []
    for number, (dialog, length) in enumerate(_dialogs(session, settings.utterances_per_session)):
        script = _script(settings.seed, dialog, length) if "script" in dialog else None
        turn_counts = {"F": 0, "M": 0}
        for position in range(length):
            sex = "FM"[(position + number) % 2]
            if script is not None and generator.random() < _SCRIPTED_LABEL_PROBABILITY:
                portrayed, text = script[position]
            else:
                portrayed = _sample_emotion(generator)
                text = (
                    script[position][1] if script is not None else sample_text(generator, portrayed)
                )
            name = f"{dialog}_{sex}{turn_counts[sex]:03d}"
            turn_counts[sex] += 1
            turns.append(_turn(generator, name, dialog, session, sex, portrayed, text))
    return turns


def _dialogs(session: int, utterances: int) -> list[tuple[str, int]]:
    """Names and numbers of turns of the dialogs; two of five are scripted."""
    length = max(_TURNS_PER_DIALOG, math.ceil(utterances / 60))
    dialogs: list[tuple[str, int]] = []
    improvised = [f"{m}_impro0{n}{v}" for v in ("", "a", "b") for m in "FM" for n in range(1, 9)]
    scripted = [f"{m}_script0{n}_{p}" for p in range(1, 5) for m in "FM" for n in range(1, 4)]
    remaining = utterances
    while remaining > 0:
        names = scripted if len(dialogs) % 5 in (1, 3) else improvised
        dialogs.append((f"Ses{session:02d}{names.pop(0)}", min(length, remaining)))
        remaining -= length
    return dialogs


def _script(seed: int, dialog: str, length: int) -> list[tuple[str, str]]:
    """Emotion and text of each line of a script, equal in every session."""
    script_number = int("".join(character for character in dialog[5:] if character.isdigit()))
    generator = np.random.default_rng([seed, 12, script_number])
    lines = []
    for _ in range(length):
        emotion = _sample_emotion(generator)
        lines.append((emotion, sample_text(generator, emotion)))
    return lines


def _sample_emotion(generator: np.random.Generator) -> str:
    return str(
        generator.choice(list(EMOTION_PROBABILITIES), p=list(EMOTION_PROBABILITIES.values()))
    )


def sample_text(generator: np.random.Generator, emotion: str) -> str:
    """Sample a sentence without emotional content, often with one that reveals the emotion.

    Parameters
    ----------
    generator : Generator
        Source of randomness.
    emotion : str
        Portrayed emotion.

    Returns
    -------
    str
        One or two sentences, and sometimes a tag such as `[LAUGHTER]`.
    """
    words = {slot: str(generator.choice(choices)) for slot, choices in SLOTS.items()}
    sentence = str(generator.choice(SENTENCE_TEMPLATES)).format(**words)
    sentences = [sentence[0].upper() + sentence[1:]]
    if emotion in CUES and generator.random() < _CUE_PROBABILITY:
        sentences.insert(int(generator.integers(2)), str(generator.choice(CUES[emotion])))
    if generator.random() < _TAG_PROBABILITY:
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
    portrayed = emotion
    if emotion == "xxx":  # no agreement: the voice has a random emotion, and the votes differ
        portrayed = str(generator.choice(list(VOTE_LABELS)))
    return Turn(
        name=name,
        dialog=dialog,
        session=session,
        sex=sex,
        portrayed=portrayed,
        label=emotion,
        text=text,
        votes=_votes(generator, emotion, sex),
        ratings=_ratings(generator, emotion),
    )


def _votes(
    generator: np.random.Generator, emotion: str, sex: str
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if emotion == "xxx":
        codes = [str(code) for code in generator.choice(list(VOTE_LABELS), size=3, replace=False)]
    else:
        codes = [emotion, emotion, emotion]
        if generator.random() < 0.35:
            codes[int(generator.integers(3))] = str(generator.choice(_CONFUSED_WITH[emotion]))
    votes: list[tuple[str, tuple[str, ...]]] = [
        (f"E{rater}", (VOTE_LABELS[code],)) for rater, code in enumerate(codes, start=1)
    ]
    if generator.random() < 0.2:  # some raters give two labels
        rater, labels = votes[0]
        other = str(generator.choice(list(VOTE_LABELS.values())))
        votes[0] = (rater, (*labels, other) if other not in labels else labels)
    self_report = emotion if emotion != "xxx" else codes[0]
    votes.append((f"{sex}1", (VOTE_LABELS[self_report],)))
    return tuple(votes)


def _ratings(generator: np.random.Generator, emotion: str) -> tuple[float, float, float]:
    ratings = np.asarray(MEAN_RATINGS[emotion]) + generator.normal(0.0, 0.4, 3)
    rounded = np.clip(np.round(ratings * 2) / 2, 1.0, 5.0)
    return float(rounded[0]), float(rounded[1]), float(rounded[2])
