"""Published figures on IEMOCAP, four classes and five sessions, to stand beside a study's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Publication:
    """Where figures were published, and what their protocol was as far as it was stated."""

    title: str
    arxiv: str
    year: int
    folds: str = "a fold a session, five of them"
    development: str = "not stated"

    @property
    def source(self) -> str:
        """For tables."""
        return f"{self.title} (arXiv {self.arxiv}, {self.year})" if self.arxiv else self.title


@dataclass(frozen=True)
class Figure:
    """One published score, and which experiments are comparable with it."""

    publication: Publication
    system: str
    task: str
    metric: str
    """ua, wa or macro_f1."""

    value: float
    """0 to 1."""

    model: str
    """The classifier as it was published, in words."""

    labels: int | None = None
    """Training utterances; null: all that the protocol leaves."""

    reads: tuple[tuple[dict[str, Any], ...], ...] = ()
    """Of each representation that a comparable experiment reads, the settings that it must have:
    one of several sets. None: no experiment is comparable."""

    weights: tuple[str, ...] = ()
    """Names of which one must be among the experiment's weights."""

    models: tuple[dict[str, Any], ...] = ()
    """Settings of the model: one of several sets; none: any model."""

    remarks: str = ""
    """What else differs from an experiment here, or why none is comparable."""


STUDY = Publication(
    "Recognizing More Emotions with Less Data Using Self-supervised Transfer Learning",
    "2011.05585",
    2020,
)
ALIGNMENT = Publication(
    "Learning Alignment for Multimodal Emotion Recognition from Speech", "1909.05645", 2019
)
SUPERB = Publication(
    "SUPERB: Speech processing Universal PERformance Benchmark, and models tested by its protocol",
    "2105.01051",
    2021,
    development="a random 20 % of the training sessions",
)
EMOBOX = Publication(
    "EmoBox: Multilingual Multi-corpus Speech Emotion Recognition Toolkit and Benchmark",
    "2406.07162",
    2024,
)
PEPINO = Publication(
    "Emotion Recognition from Speech Using Wav2vec 2.0 Embeddings",
    "2104.03502",
    2021,
    development="one whole session",
)
TAPT = Publication(
    "Exploring Wav2vec 2.0 fine-tuning for improved speech emotion recognition",
    "2110.06309",
    2021,
)
AUXILIARY = Publication(
    "wav2vec 2.0 and BERT with auxiliary tasks; title not recorded", "", 0, folds="not verified"
)

_SIZES = (500, 1000, 2000, 4000)
_FINE_TUNED = "the network itself is fine-tuned, which no experiment here does"
_NOT_PUBLIC = "its exact classes, seeds and settings are not public"

_HAND_ENGINEERED = (({"kind": "opensmile"}, {"kind": "mfcc"}, {"kind": "logmel"}),)
_WAV2VEC = ({"kind": "wav2vec", "output": "c"},)
_BERT = ({"kind": "transformers_text"},)
_ALL_LAYERS = (({"kind": "transformers_audio", "layer": "several"},),)
_ANY_LAYER = (({"kind": "transformers_audio"},),)
_LAST_LAYER = (
    ({"kind": "transformers_audio", "layer": -1}, {"kind": "transformers_audio", "layer": 12}),
)
_WAV2VEC2_BASE = ("wav2vec2-base", "wav2vec_small.pt")


def _curve(system: str, values: tuple[float, ...], **matched: Any) -> tuple[Figure, ...]:
    return tuple(
        Figure(
            STUDY,
            system,
            "learning curve",
            "ua",
            value,
            "not stated",
            labels,
            remarks=_NOT_PUBLIC,
            **matched,
        )
        for labels, value in zip(_SIZES, values, strict=True)
    )


def _superb(
    system: str,
    value: float,
    reads: tuple[tuple[dict[str, Any], ...], ...] = _ALL_LAYERS,
    weights: tuple[str, ...] = (),
    remarks: str = "",
) -> Figure:
    return Figure(
        SUPERB,
        system,
        "frozen representation",
        "wa",
        value,
        "projection to 256, mean pool, linear; Adam 1e-4, batch of 32",
        None,
        reads,
        weights,
        ({"kind": "pooled", "projection_size": 256, "activation": "none", "pooling": "mean"},),
        remarks,
    )


def _emobox(system: str, values: tuple[float, ...], weights: str) -> tuple[Figure, ...]:
    return tuple(
        Figure(
            EMOBOX,
            system,
            "frozen representation",
            metric,
            value,
            "projection to 256, ReLU, mean pool, linear",
            None,
            _ANY_LAYER,
            (weights,),
            ({"kind": "pooled", "projection_size": 256, "activation": "relu", "pooling": "mean"},),
        )
        for metric, value in zip(("ua", "wa", "macro_f1"), values, strict=True)
    )


def _pepino(
    system: str,
    value: float,
    reads: tuple[tuple[dict[str, Any], ...], ...],
    weights: tuple[str, ...] = (),
    remarks: str = "normalised by speaker",
) -> Figure:
    return Figure(
        PEPINO,
        system,
        "frozen representation",
        "ua",
        value,
        "two 128-wide convolutions of kernel 1, mean pool; Adam 1e-4, batch of 64, patience 4",
        None,
        reads,
        weights,
        ({"kind": "convolutional", "layers": [[128, 1], [128, 1]], "pooling": "mean"},),
        remarks,
    )


PUBLISHED: tuple[Figure, ...] = (
    *_curve("hand-engineered, best set", (0.5160, 0.5270, 0.5570, 0.5620), reads=_HAND_ENGINEERED),
    *_curve(
        "wav2vec",
        (0.5850, 0.5910, 0.6300, 0.6430),
        reads=(_WAV2VEC,),
        weights=("wav2vec_large.pt",),
    ),
    Figure(
        STUDY,
        "wav2vec and BERT, aligned by attention",
        "fusion of speech and text",
        "ua",
        0.739,
        "attention-based recurrent network; settings not stated",
        None,
        (_WAV2VEC, _BERT),
        ("wav2vec_large.pt",),
        ({"kind": "aligned_fusion"},),
        _NOT_PUBLIC,
    ),
    Figure(
        ALIGNMENT,
        "speech frames and words, aligned by attention",
        "fusion of speech and text",
        "wa",
        0.725,
        "recurrent encoders, 8-head attention; dropout 0.5, Adam 1e-3, batch of 64",
        remarks="it reads word vectors, which no representation here gives",
    ),
    _superb("fbank", 0.4824, (({"kind": "logmel"},),)),
    _superb("vq-wav2vec", 0.5824, (({"kind": "vq_wav2vec", "output": "c"},),), ("vq-wav2vec.pt",)),
    _superb("wav2vec", 0.5979, (_WAV2VEC,), ("wav2vec_large.pt",)),
    _superb("wav2vec 2.0 base", 0.6343, weights=_WAV2VEC2_BASE),
    _superb("wav2vec 2.0 large", 0.6564, weights=("wav2vec2-large",)),
    _superb("HuBERT base", 0.6492, weights=("hubert-base-ls960",)),
    _superb("HuBERT large", 0.6762, weights=("hubert-large-ll60k",)),
    _superb("WavLM base+", 0.6865, weights=("wavlm-base-plus",)),
    _superb("WavLM large", 0.7062, weights=("wavlm-large",)),
    _superb("emotion2vec", 0.7179, (), remarks="no representation here reads emotion2vec"),
    *_emobox("wav2vec 2.0 base", (0.5827, 0.5773, 0.5783), "wav2vec2-base"),
    *_emobox("HuBERT large", (0.6742, 0.6669, 0.6724), "hubert-large-ll60k"),
    *_emobox("WavLM large", (0.6947, 0.6907, 0.6929), "wavlm-large"),
    *_emobox("Whisper large-v3 encoder", (0.7354, 0.7286, 0.7311), "whisper-large-v3"),
    _pepino(
        "eGeMAPS descriptors",
        0.525,
        (({"kind": "opensmile", "feature_set": "eGeMAPSv02", "feature_level": "frames"},),),
    ),
    _pepino("spectrogram", 0.498, (), remarks="no representation here is a linear spectrogram"),
    _pepino("wav2vec 2.0 base, last layer", 0.585, _LAST_LAYER, _WAV2VEC2_BASE),
    _pepino(
        "wav2vec 2.0 base, local encoder",
        0.603,
        (),
        remarks="no representation here is the local encoder's output",
    ),
    _pepino("wav2vec 2.0 base, all layers, learned weights", 0.672, _ALL_LAYERS, _WAV2VEC2_BASE),
    _pepino(
        "wav2vec 2.0 base, all layers, learned weights, global normalisation",
        0.658,
        _ALL_LAYERS,
        _WAV2VEC2_BASE,
        "",
    ),
    Figure(
        TAPT,
        "wav2vec 2.0 base, adapted to the task and fine-tuned (P-TAPT)",
        "fine-tuning",
        "ua",
        0.743,
        "fine-tuned",
        remarks=_FINE_TUNED,
    ),
    Figure(
        AUXILIARY,
        "wav2vec 2.0 and BERT with auxiliary tasks",
        "fusion of speech and text",
        "ua",
        0.7971,
        "fine-tuned",
        remarks=_FINE_TUNED,
    ),
)
"""In the order in which tables show them."""
