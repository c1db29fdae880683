"""Settings of the representations of speech."""

from __future__ import annotations

import functools
import importlib.metadata
import os
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from emoscale import SAMPLE_RATE as SAMPLE_RATE
from emoscale.config.settings import Settings, UserPath


class SpectralSettings(Settings):
    """Settings of the short-time spectrum, for log-mel and MFCC."""

    renamed: ClassVar[Mapping[str, str]] = {"bands": "mel_bands"}

    window_seconds: float = Field(default=0.025, ge=0.002, le=0.2)
    """Length of the analysis window, seconds."""

    hop_seconds: float = Field(default=0.010, ge=0.001, le=0.1)
    """Time between frames, seconds."""

    mel_bands: int = Field(default=80, ge=8, le=256)
    """Number of bands of the mel filter bank."""

    @property
    def window_samples(self) -> int:
        """Length of the analysis window, samples at 16 kHz."""
        return round(self.window_seconds * SAMPLE_RATE)

    @property
    def transform_samples(self) -> int:
        """Length of the Fourier transform: a power of 2, at least 512 (needed by 80 mel bands)."""
        return max(512, 1 << (self.window_samples - 1).bit_length())


class LogMelSettings(SpectralSettings):
    """Log-mel filter bank energies."""

    kind: Literal["logmel"]


class MfccSettings(SpectralSettings):
    """Mel-frequency cepstral coefficients, optionally with deltas."""

    kind: Literal["mfcc"]

    coefficients: int = Field(default=40, ge=2, le=256)
    """Number of cepstral coefficients, including the zeroth (energy)."""

    deltas: Literal[0, 1, 2] = 0
    """Time derivatives that are appended. 0: none. 1: deltas. 2: deltas and delta-deltas."""

    cepstral_mean_normalisation: bool = False
    """Whether each coefficient's mean over the utterance is subtracted. This removes the effect of
    the channel, and also all information that mean pooling would use."""

    @model_validator(mode="after")
    def _check_coefficients(self) -> MfccSettings:
        if self.coefficients > self.mel_bands:
            raise ValueError(
                f"coefficients ({self.coefficients}) is larger than mel_bands ({self.mel_bands}); "
                "raise mel_bands or lower coefficients"
            )
        return self


class OpensmileSettings(Settings):
    """Low-level descriptors or functionals of openSMILE (licensed for research only)."""

    renamed: ClassVar[Mapping[str, str]] = {"level": "feature_level"}

    kind: Literal["opensmile"]

    feature_set: Literal["eGeMAPSv02", "ComParE_2016"] = "eGeMAPSv02"
    """eGeMAPSv02: 25 descriptors per frame, 88 functionals (Eyben et al. 2016). ComParE_2016: 65
    and 6,373 (Schuller et al. 2016)."""

    feature_level: Literal["frames", "functionals"] = "frames"
    """frames: low-level descriptors every 10 ms. functionals: one vector per utterance."""


class WaveformSettings(Settings):
    """Raw audio, 16 bits at 16 kHz, for models of the kind waveform."""

    kind: Literal["waveform"]


class PretrainedSettings(Settings):
    """Settings that all representations of pre-trained networks share."""

    renamed: ClassVar[Mapping[str, str]] = {"stored_type": "storage_dtype"}

    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Number type of the network's arithmetic. bfloat16 is about twice as fast on a CPU with
    instructions for it (`lscpu` shows avx512_bf16 or amx_bf16), many times slower on other CPUs,
    and changes every value by about 1 %; float16 is for GPUs."""

    storage_dtype: Literal["float16", "float32"] = "float16"
    """Number type of the stored features. float16 rounds every value by at most 0.05 %."""

    checkpoint_keys: ClassVar[tuple[str, ...]] = ("checkpoint",)
    """Keys whose values are paths, or names under `checkpoints`."""


def _check_backend(backend: str, precision: str) -> None:
    if backend == "fairseq" and precision != "float32":
        raise ValueError(
            f"backend: fairseq computes in float32, not {precision}; remove precision, or use "
            "backend: native"
        )


class Wav2VecSettings(PretrainedSettings):
    """wav2vec (Schneider et al. 2019), from a fairseq checkpoint."""

    kind: Literal["wav2vec"]

    checkpoint: UserPath
    """Path of a file such as wav2vec_large.pt, or a name under `checkpoints`."""

    output: Literal["z", "c"] = "c"
    """z: output of the encoder (receptive field 29 ms). c: output of the context network (0.8
    s)."""

    backend: Literal["native", "fairseq"] = "native"
    """native: this project's own code. fairseq: the original package, in the Python named by
    `execution.fairseq_python`."""

    @model_validator(mode="after")
    def _check_precision(self) -> Wav2VecSettings:
        _check_backend(self.backend, self.precision)
        return self


class VqWav2VecSettings(PretrainedSettings):
    """vq-wav2vec (Baevski et al. 2020), Gumbel or k-means, from a fairseq checkpoint."""

    kind: Literal["vq_wav2vec"]

    checkpoint: UserPath
    """Path of a file such as vq-wav2vec_kmeans.pt, or a name under `checkpoints`."""

    output: Literal["codes", "c"] = "codes"
    """codes: the quantised frames, stored as indices and read as vectors. c: output of the context
    network over these vectors."""

    backend: Literal["native", "fairseq"] = "native"
    """native: this project's own code. fairseq: the original package, in the Python named by
    `execution.fairseq_python`."""

    @model_validator(mode="after")
    def _check_precision(self) -> VqWav2VecSettings:
        _check_backend(self.backend, self.precision)
        return self


Layers = int | Literal["all"] | Annotated[list[int], Field(min_length=1)]


class CodeRobertaSettings(PretrainedSettings):
    """RoBERTa over vq-wav2vec's codes (Baevski et al. 2020), from fairseq checkpoints."""

    kind: Literal["code_roberta"]

    checkpoint: UserPath
    """Path of the vq-wav2vec checkpoint that computes the codes (vq-wav2vec_kmeans.pt), or a name
    under `checkpoints`."""

    model: UserPath
    """Path of bert_kmeans.tar, or of a folder with its content (bert_kmeans.pt and dict.txt), or a
    name under `checkpoints`."""

    layer: Layers = -1
    """Hidden state: 0 is the input of the transformer, -1 the output of its last layer. With a
    list, or all, each layer is stored; an experiment reads one as `<representation>/<layer>`, or
    all with learned weights."""

    checkpoint_keys: ClassVar[tuple[str, ...]] = ("checkpoint", "model")


class TransformersAudioSettings(PretrainedSettings):
    """wav2vec 2.0 and related models, w2v-BERT 2.0 and encoders of speech recognisers.

    They are computed through transformers.
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "stored_type": "storage_dtype",
        "window_seconds": "chunk_seconds",
    }

    kind: Literal["transformers_audio"]

    model: UserPath
    """Path of a folder with the model or of a fairseq checkpoint of wav2vec 2.0 (wav2vec_small.pt),
    or a name under `checkpoints`, where models of the hub are named."""

    layer: Layers = -1
    """Hidden state: 0 is the input of the transformer, -1 the output of its last layer. With a
    list, or all, each layer is stored; an experiment reads one as `<representation>/<layer>`, or
    all with learned weights."""

    chunk_seconds: float = Field(default=60.0, ge=5.0, le=86_400.0)
    """Longer utterances are computed in overlapping chunks of this length, seconds, because the
    memory of attention grows with its square. Whisper and Voxtral always have 30."""

    checkpoint_keys: ClassVar[tuple[str, ...]] = ("model",)


class TransformersTextSettings(PretrainedSettings):
    """BERT and its family over the transcript, through transformers: one vector per token."""

    kind: Literal["transformers_text"]

    model: UserPath
    """Path of a folder with the model, or a name under `checkpoints`, where models of the hub are
    named."""

    layer: Layers = -1
    """Hidden state: 0 is the input of the transformer, -1 the output of its last layer. With a
    list, or all, each layer is stored; an experiment reads one as `<representation>/<layer>`, or
    all with learned weights."""

    tags: Literal["remove", "keep", "word"] = "remove"
    """Sounds in brackets in the transcript, such as [LAUGHTER]. remove: they are removed. word: the
    word without brackets (laughter). keep: unchanged."""

    special_tokens: Literal["drop", "keep"] = "drop"
    """Whether the special tokens ([CLS], [SEP]) are stored. An empty transcript is represented by
    the first of them."""

    prefix: str = ""
    """Text before each transcript that a model was trained with, such as "query: " (E5) or
    "classification: " (nomic-embed-text). Its tokens are stored as special tokens are."""

    checkpoint_keys: ClassVar[tuple[str, ...]] = ("model",)


class ExternalSettings(Settings):
    """A representation from outside the project.

    Its kind is `module:Class`, or a name that an installed package registers as an entry point of
    the group emoscale.representations.
    """

    kind: str = Field(pattern=r"^[A-Za-z_][\w.-]*(:[A-Za-z_]\w*)?$")

    options: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the class."""


def expand_home(path: str) -> str:
    """Return the path of weights with `~` replaced by the home folder.

    Parameters
    ----------
    path : str
        Path as in a configuration.

    Returns
    -------
    str
        The path; unchanged if there is no such home folder.
    """
    return os.path.expanduser(path)  # noqa: PTH111 - Path.expanduser raises without a home folder


ENTRY_POINT_GROUP = "emoscale.representations"
"""Group of entry points for representations of installed packages."""


BUILT_IN_KINDS = (
    "logmel",
    "mfcc",
    "opensmile",
    "waveform",
    "wav2vec",
    "vq_wav2vec",
    "code_roberta",
    "transformers_audio",
    "transformers_text",
)
"""Kinds of this project."""


def modality_of(kind: str) -> Literal["audio", "text", "external"]:
    """Return the modality that a kind of representation reads.

    Parameters
    ----------
    kind : str
        Kind of a representation.

    Returns
    -------
    str
        audio, text, or external for kinds from outside the project.

    Examples
    --------
    >>> modality_of("mfcc"), modality_of("transformers_text"), modality_of("mine:Loudness")
    ('audio', 'text', 'external')
    """
    if kind not in BUILT_IN_KINDS:
        return "external"
    return "text" if kind == "transformers_text" else "audio"


@functools.cache
def external_entry_points() -> dict[str, str]:
    """Return `module:Class` of the representations that installed packages register, by name."""
    points = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
    return {point.name: point.value for point in points}


def _which(value: Any) -> str:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    if not isinstance(kind, str) or kind in BUILT_IN_KINDS:
        return str(kind)
    return "external" if ":" in kind or kind in external_entry_points() else f"{kind!r}"


RepresentationSettings = Annotated[
    Annotated[LogMelSettings, Tag("logmel")]
    | Annotated[MfccSettings, Tag("mfcc")]
    | Annotated[OpensmileSettings, Tag("opensmile")]
    | Annotated[WaveformSettings, Tag("waveform")]
    | Annotated[Wav2VecSettings, Tag("wav2vec")]
    | Annotated[VqWav2VecSettings, Tag("vq_wav2vec")]
    | Annotated[CodeRobertaSettings, Tag("code_roberta")]
    | Annotated[TransformersAudioSettings, Tag("transformers_audio")]
    | Annotated[TransformersTextSettings, Tag("transformers_text")]
    | Annotated[ExternalSettings, Tag("external")],
    Discriminator(
        _which,
        custom_error_type="unknown_kind",
        custom_error_message=(
            "choose one of "
            + ", ".join(BUILT_IN_KINDS)
            + ", module:Class, or a name that an installed package registers"
        ),
    ),
]
