"""Emotional corpora that published checkpoints were trained on, with the source of each statement.

A checkpoint is listed if its authors name the corpora and the training changed the network. Those
of the SUPERB benchmark (hubert-large-superb-er and others) are not: they add a classifier to a
network that was not changed. Most networks of speech recognition do not state their corpora.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_HUB = "https://huggingface.co/"

_EMOTION2VEC_CORPORA = ("IEMOCAP", "MELD", "CMU-MOSEI", "MEAD", "MSP-Podcast")

# https://github.com/emo-box/EmoBox
_EMOBOX_CORPORA = (
    *("AESDD", "ASED", "ASVP-ESD", "CaFE", "CASIA", "CREMA-D", "EMNS", "EMO-DB", "EmoV-DB"),
    *("EMOVO", "Emozionalmente", "eNTERFACE", "ESD", "IEMOCAP", "JL-corpus", "M3ED", "MEAD"),
    *("MELD", "MER2023", "MESD", "MSP-Podcast", "Oreau", "PAVOQUE", "Polish", "RAVDESS", "RESD"),
    *("SAVEE", "ShEMO", "SUBESCO", "TESS", "TurEV-DB", "URDU"),
)


@dataclass(frozen=True)
class EmotionTraining:
    """Training of checkpoints on emotional corpora."""

    checkpoints: tuple[str, ...]
    """Last parts of their names on the hub."""

    corpora: tuple[str, ...]
    """Names of the corpora."""

    source: str
    """Address of the model card, repository or paper that names the corpora."""

    labels: bool = True
    """Whether the emotion labels were used."""


EMOTION_TRAININGS = (
    EmotionTraining(
        ("wav2vec2-large-robust-12-ft-emotion-msp-dim",),
        ("MSP-Podcast",),
        f"{_HUB}audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim",
    ),
    EmotionTraining(
        (
            "SER-Odyssey-Baseline-WavLM-Categorical",
            "SER-Odyssey-Baseline-WavLM-Categorical-Attributes",
            "SER-Odyssey-Baseline-WavLM-Multi-Attributes",
        ),
        ("MSP-Podcast",),
        "https://github.com/msplabresearch/MSP-Podcast_Challenge",
    ),
    EmotionTraining(
        ("emotion2vec_base",), _EMOTION2VEC_CORPORA, "https://arxiv.org/abs/2312.15185", False
    ),
    EmotionTraining(  # base and large learn from the labels that seed predicts
        ("emotion2vec_plus_seed", "emotion2vec_plus_base", "emotion2vec_plus_large"),
        (*dict.fromkeys(_EMOTION2VEC_CORPORA + _EMOBOX_CORPORA),),
        "https://github.com/ddlBoJack/emotion2vec",
    ),
    EmotionTraining(
        ("emotion-recognition-wav2vec2-IEMOCAP",),
        ("IEMOCAP",),
        f"{_HUB}speechbrain/emotion-recognition-wav2vec2-IEMOCAP",
    ),
    EmotionTraining(
        ("emotion-diarization-wavlm-large",),
        ("IEMOCAP", "RAVDESS", "JL-corpus", "ESD", "EmoV-DB"),
        f"{_HUB}speechbrain/emotion-diarization-wavlm-large",
    ),
    EmotionTraining(
        ("wav2vec2-lg-xlsr-en-speech-emotion-recognition",),
        ("RAVDESS",),
        f"{_HUB}ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition",
    ),
    EmotionTraining(
        ("wav2vec-english-speech-emotion-recognition",),
        ("SAVEE", "RAVDESS", "TESS"),
        f"{_HUB}r-f/wav2vec-english-speech-emotion-recognition",
    ),
    EmotionTraining(
        ("speech-emotion-recognition-with-openai-whisper-large-v3",),
        ("RAVDESS", "SAVEE", "TESS"),
        f"{_HUB}firdhokk/speech-emotion-recognition-with-openai-whisper-large-v3",
    ),
    EmotionTraining(
        ("speech-emotion-recognition-with-facebook-wav2vec2-large-xlsr-53",),
        ("RAVDESS", "SAVEE", "TESS", "URDU"),
        f"{_HUB}firdhokk/speech-emotion-recognition-with-facebook-wav2vec2-large-xlsr-53",
    ),
    EmotionTraining(
        ("wav2vec2-xlsr-persian-speech-emotion-recognition",),
        ("ShEMO",),
        f"{_HUB}m3hrdadfi/wav2vec2-xlsr-persian-speech-emotion-recognition",
    ),
    EmotionTraining(
        ("wav2vec2-xlsr-greek-speech-emotion-recognition",),
        ("AESDD",),
        f"{_HUB}m3hrdadfi/wav2vec2-xlsr-greek-speech-emotion-recognition",
    ),
)


def emotion_training_notes(weights: str, corpora: Iterable[str]) -> list[str]:
    """Return a sentence on each checkpoint that was trained on a study's corpus.

    Parameters
    ----------
    weights : str
        Text with the names of checkpoints, such as `pretrained_weights` of a run.
    corpora : iterable of str
        Names of the study's corpora or of their readers; case and punctuation do not count.

    Returns
    -------
    list of str
        The sentences; none if no checkpoint is known to be trained on these corpora.

    Examples
    --------
    >>> emotion_training_notes("emotion2vec/emotion2vec_base, revision main", ["iemocap", "ESD"])
    ... # doctest: +ELLIPSIS
    ['the weights emotion2vec_base were trained on recordings of IEMOCAP, perhaps on those that ...
    >>> emotion_training_notes("facebook/hubert-base-ls960, revision main", ["iemocap"])
    []
    """
    present = {_plain(name) for name in corpora}
    notes = []
    for training in EMOTION_TRAININGS:
        shared = [name for name in training.corpora if _plain(name) in present]
        for checkpoint in training.checkpoints:
            if shared and re.search(rf"(?<![\w.-]){re.escape(checkpoint)}(?![\w.-])", weights):
                used = "recordings and labels" if training.labels else "recordings"
                notes.append(
                    f"the weights {checkpoint} were trained on {used} of {', '.join(shared)}, "
                    f"perhaps on those that are tested ({training.source})"
                )
    return notes


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()
