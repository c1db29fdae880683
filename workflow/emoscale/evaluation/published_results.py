"""Published results on IEMOCAP with four classes and five sessions, as data.

Each result has the settings that make an experiment of a study comparable with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Publication:
    """A publication, and its protocol on one corpus as far as it was stated."""

    title: str
    """Title of the publication."""

    arxiv: str
    """Number at arXiv; empty: none."""

    year: int
    """Year of publication."""

    folds: str = "one fold per session, five folds"
    """Cross-validation folds."""

    development: str = "not stated"
    """Development set."""

    corpus: str = "IEMOCAP"
    """Corpus, named as in the tables of a study."""

    label: str = ""
    """Which label of an utterance is recognised, as `corpus.label`; empty: it has one."""

    classes: int = 4
    """Number of classes."""

    shared_speakers: str = "none"
    """Test speakers that are also in training or development."""

    @property
    def source(self) -> str:
        """Citation for tables."""
        return f"{self.title} (arXiv {self.arxiv}, {self.year})" if self.arxiv else self.title


@dataclass(frozen=True)
class PublishedResult:
    """A published score, and the settings of comparable experiments."""

    publication: Publication
    """Where it was published."""

    system: str
    """Name of the system in the publication."""

    task: str
    """Kind of experiment."""

    metric: str
    """ua, wa or macro_f1."""

    value: float
    """The score, 0 to 1."""

    model: str
    """Description of the published classifier."""

    labels: int | None = None
    """Number of training utterances; None: all that the protocol allows."""

    representations: tuple[tuple[dict[str, Any], ...], ...] = ()
    """Required settings of each input representation: alternative sets of which one must match.
    Empty: no experiment is comparable."""

    pretrained_weights: tuple[str, ...] = ()
    """Names of which one must be among the experiment's pre-trained weights; empty: any."""

    models: tuple[dict[str, Any], ...] = ()
    """Required settings of the model: alternative sets of which one must match; empty: any."""

    remarks: str = ""
    """Other differences from comparable experiments, or why no experiment is comparable."""

    normalisation: str | None = None
    """Whose statistics normalise the features, as `training.normalisation`; None: not known."""


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
_FINE_TUNED = "the network itself is fine-tuned, which this software does not support"
_NOT_PUBLIC = "the exact classes, seeds and settings are not public"

_HAND_ENGINEERED = (({"kind": "opensmile"}, {"kind": "mfcc"}, {"kind": "logmel"}),)
_WAV2VEC = ({"kind": "wav2vec", "output": "c"},)
_BERT = ({"kind": "transformers_text"},)
_ALL_LAYERS = (({"kind": "transformers_audio", "layer": "several"},),)
_LAST_LAYER = (
    ({"kind": "transformers_audio", "layer": -1}, {"kind": "transformers_audio", "layer": 12}),
)
_WAV2VEC2_BASE = ("wav2vec2-base", "wav2vec_small.pt")

ANY_LAYER = (({"kind": "transformers_audio"},),)
"""Representations with transformers, from any layer."""

EMOBOX_HEAD = "projection to 256, ReLU, mean pool, linear"
"""Description of EmoBox's classifier."""

EMOBOX_MODEL = {"kind": "pooled", "projection_size": 256, "activation": "relu", "pooling": "mean"}
"""Settings of the same classifier."""


def _curve(
    system: str, values: tuple[float, ...], **requirements: Any
) -> tuple[PublishedResult, ...]:
    return tuple(
        PublishedResult(
            STUDY,
            system,
            "learning curve",
            "ua",
            value,
            "not stated",
            labels,
            remarks=_NOT_PUBLIC,
            **requirements,
        )
        for labels, value in zip(_SIZES, values, strict=True)
    )


def _superb(
    system: str,
    value: float,
    representations: tuple[tuple[dict[str, Any], ...], ...] = _ALL_LAYERS,
    pretrained_weights: tuple[str, ...] = (),
    remarks: str = "",
) -> PublishedResult:
    return PublishedResult(
        SUPERB,
        system,
        "frozen representation",
        "wa",
        value,
        "projection to 256, mean pool, linear; Adam 1e-4, batch of 32",
        None,
        representations,
        pretrained_weights,
        ({"kind": "pooled", "projection_size": 256, "activation": "none", "pooling": "mean"},),
        remarks,
    )


def _emobox(
    system: str, values: tuple[float, ...], pretrained_weights: str
) -> tuple[PublishedResult, ...]:
    return tuple(
        PublishedResult(
            EMOBOX,
            system,
            "frozen representation",
            metric,
            value,
            EMOBOX_HEAD,
            None,
            ANY_LAYER,
            (pretrained_weights,),
            (EMOBOX_MODEL,),
        )
        for metric, value in zip(("ua", "wa", "macro_f1"), values, strict=True)
    )


def _pepino(
    system: str,
    value: float,
    representations: tuple[tuple[dict[str, Any], ...], ...],
    pretrained_weights: tuple[str, ...] = (),
    remarks: str = "",
    normalisation: str = "speaker",
) -> PublishedResult:
    return PublishedResult(
        PEPINO,
        system,
        "frozen representation",
        "ua",
        value,
        "two 128-wide convolutions of kernel 1, mean pool; Adam 1e-4, batch of 64, patience 4",
        None,
        representations,
        pretrained_weights,
        ({"kind": "convolutional", "layers": [[128, 1], [128, 1]], "pooling": "mean"},),
        remarks,
        normalisation,
    )


PUBLISHED_RESULTS: tuple[PublishedResult, ...] = (
    *_curve(
        "hand-engineered, best set",
        (0.5160, 0.5270, 0.5570, 0.5620),
        representations=_HAND_ENGINEERED,
    ),
    *_curve(
        "wav2vec",
        (0.5850, 0.5910, 0.6300, 0.6430),
        representations=(_WAV2VEC,),
        pretrained_weights=("wav2vec_large.pt",),
    ),
    PublishedResult(
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
    PublishedResult(
        ALIGNMENT,
        "speech frames and words, aligned by attention",
        "fusion of speech and text",
        "wa",
        0.725,
        "recurrent encoders, 8-head attention; dropout 0.5, Adam 1e-3, batch of 64",
        remarks="its word vectors are not a representation of this software",
    ),
    _superb("fbank", 0.4824, (({"kind": "logmel"},),)),
    _superb("vq-wav2vec", 0.5824, (({"kind": "vq_wav2vec", "output": "c"},),), ("vq-wav2vec.pt",)),
    _superb("wav2vec", 0.5979, (_WAV2VEC,), ("wav2vec_large.pt",)),
    _superb("wav2vec 2.0 base", 0.6343, pretrained_weights=_WAV2VEC2_BASE),
    _superb("wav2vec 2.0 large", 0.6564, pretrained_weights=("wav2vec2-large",)),
    _superb("HuBERT base", 0.6492, pretrained_weights=("hubert-base-ls960",)),
    _superb("HuBERT large", 0.6762, pretrained_weights=("hubert-large-ll60k",)),
    _superb("WavLM base+", 0.6865, pretrained_weights=("wavlm-base-plus",)),
    _superb("WavLM large", 0.7062, pretrained_weights=("wavlm-large",)),
    _superb(
        "emotion2vec", 0.7179, (), remarks="emotion2vec is not a representation of this software"
    ),
    *_emobox("wav2vec 2.0 base", (0.5827, 0.5773, 0.5783), "wav2vec2-base"),
    *_emobox("HuBERT large", (0.6742, 0.6669, 0.6724), "hubert-large-ll60k"),
    *_emobox("WavLM large", (0.6947, 0.6907, 0.6929), "wavlm-large"),
    *_emobox("Whisper large-v3 encoder", (0.7354, 0.7286, 0.7311), "whisper-large-v3"),
    _pepino(
        "eGeMAPS descriptors",
        0.525,
        (({"kind": "opensmile", "feature_set": "eGeMAPSv02", "feature_level": "frames"},),),
    ),
    _pepino(
        "spectrogram",
        0.498,
        (),
        remarks="a linear spectrogram is not a representation of this software",
    ),
    _pepino("wav2vec 2.0 base, last layer", 0.585, _LAST_LAYER, _WAV2VEC2_BASE),
    _pepino(
        "wav2vec 2.0 base, local encoder",
        0.603,
        (),
        remarks="the local encoder's output is not a representation of this software",
    ),
    _pepino("wav2vec 2.0 base, all layers, learned weights", 0.672, _ALL_LAYERS, _WAV2VEC2_BASE),
    _pepino(
        "wav2vec 2.0 base, all layers, learned weights, global normalisation",
        0.658,
        _ALL_LAYERS,
        _WAV2VEC2_BASE,
        normalisation="training",
    ),
    PublishedResult(
        TAPT,
        "wav2vec 2.0 base, adapted to the task and fine-tuned (P-TAPT)",
        "fine-tuning",
        "ua",
        0.743,
        "fine-tuned",
        remarks=_FINE_TUNED,
    ),
    PublishedResult(
        AUXILIARY,
        "wav2vec 2.0 and BERT with auxiliary tasks",
        "fusion of speech and text",
        "ua",
        0.7971,
        "fine-tuned",
        remarks=_FINE_TUNED,
    ),
)
"""The published results, in the order of the tables."""
