"""CaFE (Gournay et al. 2018): 12 actors of Canadian French, six sentences, two intensities.

`Colère/Fort/03-C-2-1.wav` is actor 03, anger (Colère) at intensity 2, sentence 1.
"""

from __future__ import annotations

from emoscale.corpus.release import NamedFiles, Release

EMOTIONS = {  # Colère, Dégoût, Joie, Neutre, Peur, Surprise, Tristesse
    "C": "anger",
    "D": "disgust",
    "J": "happiness",
    "N": "neutral",
    "P": "fear",
    "S": "surprise",
    "T": "sadness",
}

SENTENCES = {
    "1": "Un cheval fou dans mon jardin.",
    "2": "Deux ânes aigris au pelage brun.",
    "3": "Trois cygnes aveugles au bord du lac.",
    "4": "Quatre vieilles truies éléphantesques.",
    "5": "Cinq pumas fiers et passionnés.",
    "6": "Six ours aimants domestiqués.",
}

RELEASE = Release(
    name="CaFE",
    layout="CaFE_48k/Colère/Fort/01-C-2-1.wav",
    language="fr",
    style="scripted",
    speakers=12,
    counts=dict.fromkeys(EMOTIONS.values(), 144) | {"neutral": 72},
    read_utterances=NamedFiles(
        folders=("CaFE_48k", "CaFE_192k"),
        pattern=r"(?P<speaker>\d\d)-(?P<emotion>[A-Z])-(?P<intensity>[12])-(?P<transcript>\d)",
        emotions=EMOTIONS,
        values={"intensity": {"1": "mild", "2": "strong"}, "transcript": SENTENCES},
        details=lambda parts: {"sex": "FM"[int(parts["speaker"]) % 2]},
    ),
)
