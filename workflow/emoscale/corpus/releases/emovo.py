"""EMOVO (Costantini et al. 2014): six Italian actors, 14 sentences.

`f1/gio-f1-b2.wav` is the speaker f1, gioia (happiness), sentence b2.
"""

from __future__ import annotations

from emoscale.corpus.release import NamedFiles, Release

EMOTIONS = {
    "dis": "disgust",
    "gio": "happiness",
    "neu": "neutral",
    "pau": "fear",
    "rab": "anger",
    "sor": "surprise",
    "tri": "sadness",
}

SENTENCES = {
    "b1": "Gli operai si alzano presto.",
    "b2": "I vigili sono muniti di pistola.",
    "b3": "La cascata fa molto rumore.",
    "l1": "L'autunno prossimo Tony partirà per la Spagna nella prima metà di ottobre.",
    "l2": "Ora prendo la felpa di là ed esco per fare una passeggiata.",
    "l3": "Un attimo dopo s'è incamminato ... ed è inciampato.",
    "l4": "Vorrei il numero telefonico del Signor Piatti.",
    "n1": "La casa forte vuole col pane.",
    "n2": "La forza trova il passo e l'aglio rosso.",
    "n3": "Il gatto sta scorrendo nella pera.",
    "n4": "Insalata pastasciutta coscia d'agnello limoncello.",
    "n5": "Uno quarantatré dieci mille cinquantasette venti.",
    "d1": "Sabato sera cosa farà?",
    "d2": "Porti con te quella cosa?",
}

RELEASE = Release(
    name="EMOVO",
    layout="f1/dis-f1-b1.wav",
    language="it",
    style="scripted",
    speakers=6,
    counts=dict.fromkeys(EMOTIONS.values(), 84),
    read_utterances=NamedFiles(
        pattern=r"(?P<emotion>[a-z]{3})-(?P<speaker>(?P<sex>[fm])\d)-(?P<transcript>[bdln]\d)",
        emotions=EMOTIONS,
        values={"transcript": SENTENCES},
    ),
)
