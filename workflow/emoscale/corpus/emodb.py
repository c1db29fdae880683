"""Reader for EMO-DB, the Berlin database of emotional speech (Burkhardt et al. 2005).

The metadata is in the file names: `03a01Fa.wav` is speaker 03, sentence a01, emotion F (Freude),
version a. Files are read from `wav/`, as in the original release, or from the root (WAV or FLAC).
"""

from __future__ import annotations

import re
from pathlib import Path

from emoscale.config.corpus import EmodbCorpus
from emoscale.corpus.readers import CorpusManifest, Utterance
from emoscale.runtime.errors import CorpusError

EMOTIONS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}
"""Emotion of each letter, the initial of a German word: Wut, Langeweile, Ekel, Angst, Freude,
Trauer, neutral."""

MALE_SPEAKERS = frozenset({"03", "10", "11", "12", "15"})
FEMALE_SPEAKERS = frozenset({"08", "09", "13", "14", "16"})

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

_NAME = re.compile(r"^(?P<speaker>\d\d)(?P<sentence>[ab]\d\d)(?P<emotion>[A-Z])(?P<version>[a-z])$")
_AUDIO = (".wav", ".flac")


def read(settings: EmodbCorpus) -> CorpusManifest:
    """Read the metadata from the names of the recordings.

    Parameters
    ----------
    settings : EmodbCorpus
        The corpus root.

    Returns
    -------
    CorpusManifest
        One utterance per recording with a valid name; the others are rejected.

    Raises
    ------
    CorpusError
        If there is no recording with a valid name.
    """
    root = Path(settings.root)
    files = _recordings(root)
    manifest = CorpusManifest("emodb")
    for file in files:
        name = str(file.relative_to(root))
        match = _NAME.match(file.stem)
        if match is None or match["speaker"] not in MALE_SPEAKERS | FEMALE_SPEAKERS:
            manifest.reject(
                name,
                "name not understood",
                f"{file.name} is not speaker, sentence, emotion and version as in 03a01Fa.wav",
            )
            continue
        if match["emotion"] not in EMOTIONS:
            manifest.reject(
                name,
                "unknown label",
                f"{file.name} has the emotion letter {match['emotion']}; "
                f"known letters: {', '.join(sorted(EMOTIONS))}",
                utterance=file.stem,
            )
            continue
        manifest.add(
            Utterance(
                utterance=file.stem,
                audio=name,
                speaker=match["speaker"],
                sex="M" if match["speaker"] in MALE_SPEAKERS else "F",
                style="scripted",
                emotion=EMOTIONS[match["emotion"]],
                transcript=SENTENCES.get(match["sentence"]),
            ),
            name,
        )
    if not manifest.utterances:
        raise CorpusError(
            f"{root}: none of its {len(files)} recordings is named as in EMO-DB (03a01Fa.wav)"
        )
    return manifest


def _recordings(root: Path) -> list[Path]:
    for folder in (root / "wav", root):
        if folder.is_dir():
            files = sorted(
                file
                for file in folder.iterdir()
                if file.suffix.lower() in _AUDIO and not file.name.startswith("._")
            )
            if files:
                return files
    state = "contains no EMO-DB recording" if root.is_dir() else "does not exist"
    raise CorpusError(
        f"{root} {state}: expected files such as wav/03a01Fa.wav or 03a01Fa.flac; "
        "set corpus.root to the folder that contains them"
    )
