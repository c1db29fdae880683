"""Published results on corpora other than IEMOCAP: benchmarks and challenges, as data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from emoscale.evaluation.published_results import (
    ANY_LAYER,
    EMOBOX,
    EMOBOX_HEAD,
    EMOBOX_MODEL,
    Publication,
    PublishedResult,
)

_EMOBOX_SYSTEMS = {
    "Whisper large-v3 encoder": "whisper-large-v3",
    "WavLM large": "wavlm-large",
    "HuBERT large": "hubert-large-ll60k",
    "HuBERT base": "hubert-base-ls960",
    "WavLM base": "wavlm-base",
    "data2vec large": "data2vec-audio-large",
    "data2vec base": "data2vec-audio-base",
    "wav2vec 2.0 base": "wav2vec2-base",
}
"""Pre-trained weights of the systems, in the order of the values below."""

_RANDOM = "one fold, drawn at random"


def _emobox(
    corpus: str,
    classes: int,
    folds: str,
    shared_speakers: str,
    values: tuple[float, ...],
    label: str = "",
    development: str = "a random 20 % of the training data",
) -> tuple[PublishedResult, ...]:
    publication = replace(
        EMOBOX,
        corpus=corpus,
        label=label,
        classes=classes,
        folds=folds,
        shared_speakers=shared_speakers,
        development=development,
    )
    return tuple(
        PublishedResult(
            publication,
            system,
            "frozen representation",
            "wa",
            round(value / 100, 4),
            EMOBOX_HEAD,
            None,
            ANY_LAYER,
            (weights,),
            (EMOBOX_MODEL,),
        )
        for (system, weights), value in zip(_EMOBOX_SYSTEMS.items(), values, strict=True)
    )


# Accuracies in per cent: leaderboard of EmoBox (github.com/emo-box/emo-box.github.io, 3f14667).
# Numbers of classes: its README. Shared speakers were counted in its lists of each fold (emo-box/
# EmoBox, 08280f2). Corpora for which the lists and the README contradict each other are left out.
_EMOBOX_RESULTS = (
    *_emobox(
        *("AESDD", 5, _RANDOM, "all"),
        (79.18, 84.49, 78.90, 82.35, 79.08, 45.69, 50.03, 67.65),
    ),
    *_emobox(
        *("CaFE", 7, "three folds by speakers", "none"),
        (68.84, 61.33, 58.73, 54.16, 52.33, 42.85, 42.36, 42.47),
    ),
    *_emobox(
        *("CASIA", 6, "one fold per speaker, four folds", "none"),
        (59.58, 52.12, 45.30, 47.23, 47.25, 37.65, 34.72, 39.56),
    ),
    *_emobox(
        *("CREMA-D", 6, _RANDOM, "91 of 91"),
        (76.48, 74.32, 73.64, 70.98, 69.49, 63.51, 57.78, 61.90),
        label="acted",
    ),
    *_emobox(
        *("EMO-DB", 7, "five folds, drawn at random", "10 of 10 in each fold"),
        (92.43, 92.67, 90.26, 87.73, 87.12, 61.95, 60.01, 83.14),
    ),
    *_emobox(
        *("EmoV-DB", 5, _RANDOM, "all"),
        (99.37, 99.47, 99.40, 98.77, 98.49, 94.93, 93.61, 98.03),
    ),
    *_emobox(
        *("EMOVO", 7, "one fold per speaker, six folds", "none"),
        (57.82, 48.82, 45.74, 46.10, 42.39, 35.66, 32.47, 31.07),
    ),
    *_emobox(
        *("Emozionalmente", 7, _RANDOM, "some, not counted"),
        (76.91, 75.00, 69.83, 66.30, 63.02, 53.92, 48.97, 56.69),
        label="acted",
    ),
    *_emobox(
        *("ESD", 5, "five folds by speakers", "none"),
        (84.62, 79.14, 75.85, 72.41, 72.90, 72.01, 65.05, 69.17),
    ),
    *_emobox(
        *("MEAD", 8, _RANDOM, "48 of 48"),
        (77.34, 82.03, 77.84, 75.71, 72.86, 68.44, 66.05, 73.57),
    ),
    *_emobox(
        *("MELD", 7, "the official split", "the six main characters"),
        (51.89, 49.31, 46.37, 45.47, 44.71, 45.74, 45.57, 45.17),
        development="the official development set",
    ),
    *_emobox(
        *("MSP-Podcast", 8, "the official split of an earlier release (73,042 utterances)"),
        "none, as far as they are known",
        (44.10, 40.47, 40.02, 38.70, 37.38, 37.45, 37.15, 37.15),
        development="the official development set",
    ),
    *_emobox(
        *("RAVDESS", 8, "six folds by speakers", "none"),
        (75.87, 72.22, 70.29, 66.21, 62.10, 59.50, 52.22, 55.40),
    ),
    *_emobox(
        *("SAVEE", 7, "one fold per speaker, four folds", "none"),
        (77.24, 70.80, 75.05, 59.85, 67.05, 71.45, 78.25, 49.83),
    ),
    *_emobox(
        *("ShEMO", 6, _RANDOM, "83 of 87"),
        (89.55, 87.13, 83.35, 81.17, 78.76, 74.09, 70.07, 78.96),
    ),
    *_emobox(
        *("SUBESCO", 7, "five folds by speakers", "none"),
        (73.05, 65.33, 64.53, 57.89, 57.06, 53.06, 46.22, 51.25),
    ),
    *_emobox(
        *("TESS", 7, _RANDOM, "2 of 2"),
        (99.96, 99.78, 99.86, 99.62, 99.10, 96.89, 94.67, 97.92),
    ),
    *_emobox(
        *("URDU", 4, _RANDOM, "some, not counted"),
        (82.52, 86.61, 81.75, 88.41, 82.82, 64.81, 65.42, 87.50),
    ),
)

# Accuracies: README of X-ARES (github.com/jimbozhang/xares, 01a348d), with linear heads. Weights,
# folds and shared speakers: its example encoders and task definitions.
_XARES = Publication(
    "X-ARES: A Comprehensive Framework for Assessing Audio Encoder Performance", "2505.16369", 2025
)
_XARES_CREMA_D = replace(
    _XARES,
    corpus="CREMA-D",
    label="acted",
    classes=6,
    folds="one fold, 15 % drawn at random",
    shared_speakers="91 of 91",
    development="a random 15 %",
)
_XARES_RAVDESS = replace(
    _XARES, corpus="RAVDESS", classes=8, folds="four folds", shared_speakers="not stated"
)


def _xares(
    system: str, values: tuple[float, float], pretrained_weights: str = "", remarks: str = ""
) -> tuple[PublishedResult, ...]:
    requirements: dict[str, Any] = {}
    if pretrained_weights:
        requirements = {
            "representations": (({"kind": "transformers_audio", "layer": -1},),),
            "pretrained_weights": (pretrained_weights,),
            "models": ({"kind": "pooled", "projection_size": None, "pooling": "mean"},),
        }
    return tuple(
        PublishedResult(
            publication,
            system,
            "frozen representation",
            "wa",
            value,
            "linear layer",
            remarks=remarks,
            **requirements,
        )
        for publication, value in zip((_XARES_CREMA_D, _XARES_RAVDESS), values, strict=True)
    )


_XARES_RESULTS = (
    *_xares("Dasheng", (0.767, 0.749), remarks="Dasheng is not a representation of this software"),
    *_xares("wav2vec 2.0 large", (0.541, 0.442), "wav2vec2-large-100k-voxpopuli"),
    *_xares("Whisper base encoder", (0.572, 0.459), "whisper-base"),
    *_xares("data2vec base", (0.523, 0.467), "data2vec-audio-base"),
)


def _challenge(
    title: str, arxiv: str, year: int, system: str, model: str, **scores: float
) -> tuple[PublishedResult, ...]:
    publication = Publication(
        title,
        arxiv,
        year,
        folds="the official split, tested on Test3",
        development="the official development set",
        corpus="MSP-Podcast",
        classes=8,
        shared_speakers="not stated",
    )
    remarks = "the labels of Test3 are withheld: its predictions must be sent to the organisers"
    return tuple(
        PublishedResult(publication, system, "challenge", metric, value, model, remarks=remarks)
        for metric, value in scores.items()
    )


# The scores are those of the abstracts.
_CHALLENGE_RESULTS = (
    *_challenge(
        "1st Place Solution to Odyssey Emotion Recognition Challenge Task1: Tackling Class "
        "Imbalance Problem",
        "2405.20064",
        2024,
        "Odyssey 2024 challenge, first place",
        "an ensemble of seven models",
        macro_f1=0.3569,
        wa=0.3732,
    ),
    *_challenge(
        "Double Multi-Head Attention Multimodal System for Odyssey 2024 Speech Emotion Recognition "
        "Challenge",
        "2406.10598",
        2024,
        "Odyssey 2024 challenge, third place",
        "attention over speech and text",
        macro_f1=0.3441,
    ),
    *_challenge(
        "MATER: Multi-level Acoustic and Textual Emotion Representation for Interpretable Speech "
        "Emotion Recognition",
        "2506.19887",
        2025,
        "Interspeech 2025 challenge, fourth place",
        "an ensemble of models of speech and text",
        macro_f1=0.4101,
    ),
    *_challenge(
        "Improving Speech Emotion Recognition Through Cross Modal Attention Alignment and Balanced "
        "Stacking Model",
        "2505.20007",
        2025,
        "Interspeech 2025 challenge",
        "twelve models of speech and text, stacked",
        macro_f1=0.4094,
        wa=0.4128,
    ),
)

BENCHMARK_RESULTS: tuple[PublishedResult, ...] = (
    *_EMOBOX_RESULTS,
    *_XARES_RESULTS,
    *_CHALLENGE_RESULTS,
)
"""The published results, in the order of the tables."""
