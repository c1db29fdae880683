"""What each representation of speech can be told."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from emoscale.config.settings import Settings, UserPath

SAMPLE_RATE = 16_000
"""Hz; what every representation is given."""


class SpectralSettings(Settings):
    """What log-mel and MFCC share: the short-time spectrum."""

    renamed: ClassVar[Mapping[str, str]] = {"bands": "mel_bands"}

    window_seconds: float = Field(default=0.025, ge=0.002, le=0.2)
    """Length of the analysis window."""

    hop_seconds: float = Field(default=0.010, ge=0.001, le=0.1)
    """Time from one frame to the next."""

    mel_bands: int = Field(default=80, ge=8, le=256)
    """Bands of the mel filter bank."""

    @property
    def window_samples(self) -> int:
        """The window at 16 kHz."""
        return round(self.window_seconds * SAMPLE_RATE)

    @property
    def transform_samples(self) -> int:
        """Length of the Fourier transform: the next power of 2, 512 at least (80 bands fill it)."""
        return max(512, 1 << (self.window_samples - 1).bit_length())


class LogMelSettings(SpectralSettings):
    """Logarithm of the energies in mel bands."""

    kind: Literal["logmel"]


class MfccSettings(SpectralSettings):
    """Mel-frequency cepstral coefficients, with their time derivatives where asked."""

    kind: Literal["mfcc"]

    coefficients: int = Field(default=40, ge=2, le=256)
    """Cepstral coefficients, the zeroth (energy) among them."""

    deltas: Literal[0, 1, 2] = 0
    """0: none; 1: first derivatives appended; 2: first and second."""

    cepstral_mean_normalisation: bool = False
    """Subtract each coefficient's mean over the utterance, which takes the channel out (and the
    mean itself, so that a mean-pooling model is left with what the ReLU makes of the rest)."""

    @model_validator(mode="after")
    def _no_more_coefficients_than_bands(self) -> MfccSettings:
        if self.coefficients > self.mel_bands:
            raise ValueError(
                f"{self.coefficients} coefficients cannot come from {self.mel_bands} mel bands; "
                "raise mel_bands or lower coefficients"
            )
        return self


class OpensmileSettings(Settings):
    """Low-level descriptors or their functionals, by openSMILE (licensed for research only)."""

    renamed: ClassVar[Mapping[str, str]] = {"level": "feature_level"}

    kind: Literal["opensmile"]

    feature_set: Literal["eGeMAPSv02", "ComParE_2016"] = "eGeMAPSv02"
    """eGeMAPSv02: 25 descriptors a frame, 88 functionals (Eyben et al. 2016). ComParE_2016: 65 and
    6,373 (Schuller et al. 2016)."""

    feature_level: Literal["frames", "functionals"] = "frames"
    """frames: descriptors every 10 ms. functionals: one vector an utterance."""


class WaveformSettings(Settings):
    """The samples themselves, 16 bits at 16 kHz, for models that learn from raw audio."""

    kind: Literal["waveform"]


class PretrainedSettings(Settings):
    """What representations that run a pre-trained network share."""

    renamed: ClassVar[Mapping[str, str]] = {"stored_type": "storage_dtype"}

    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the network's arithmetic. bfloat16 is about twice as fast on a CPU with AVX-512 and on a
    GPU, and changes every value by about 1 % (docs/benchmarks.md); float16 is for GPUs."""

    storage_dtype: Literal["float16", "float32"] = "float16"
    """Of the features on disk. float16 rounds every value by at most 0.05 %."""

    checkpoint_keys: ClassVar[tuple[str, ...]] = ("checkpoint",)
    """Keys whose values are files, folders, or names under `checkpoints`."""


def _check_backend(backend: str, precision: str) -> None:
    if backend == "fairseq" and precision != "float32":
        raise ValueError(
            f"backend fairseq computes in float32, not {precision}; leave precision out, or take "
            "the backend native"
        )


class Wav2VecSettings(PretrainedSettings):
    """wav2vec (Schneider et al. 2019), from a fairseq checkpoint."""

    kind: Literal["wav2vec"]

    checkpoint: UserPath
    """The file, such as wav2vec_large.pt, or a name under `checkpoints`."""

    output: Literal["z", "c"] = "c"
    """z: of the encoder, each frame from 29 ms. c: of the context network, from 0.8 s."""

    backend: Literal["native", "fairseq"] = "native"
    """fairseq: the original package, in the Python `execution.fairseq_python`."""

    @model_validator(mode="after")
    def _fairseq_computes_in_float32(self) -> Wav2VecSettings:
        _check_backend(self.backend, self.precision)
        return self


class VqWav2VecSettings(PretrainedSettings):
    """vq-wav2vec (Baevski et al. 2020), Gumbel or k-means, from a fairseq checkpoint."""

    kind: Literal["vq_wav2vec"]

    checkpoint: UserPath
    """The file, such as vq-wav2vec.pt or vq-wav2vec_kmeans.pt, or a name under `checkpoints`."""

    output: Literal["codes", "c"] = "codes"
    """codes: stored as indices, read as their vectors. c: the context network over the vectors."""

    backend: Literal["native", "fairseq"] = "native"
    """fairseq: the original package, in the Python `execution.fairseq_python`."""

    @model_validator(mode="after")
    def _fairseq_computes_in_float32(self) -> VqWav2VecSettings:
        _check_backend(self.backend, self.precision)
        return self


Layers = int | Literal["all"] | Annotated[list[int], Field(min_length=1)]


class CodeRobertaSettings(PretrainedSettings):
    """RoBERTa over vq-wav2vec's codes (Baevski et al. 2020), from fairseq checkpoints."""

    kind: Literal["code_roberta"]

    checkpoint: UserPath
    """The vq-wav2vec file that gives the codes (vq-wav2vec_kmeans.pt), or a name under
    `checkpoints`."""

    model: UserPath
    """bert_kmeans.tar, or a folder with what is in it (bert_kmeans.pt and dict.txt), or a name
    under `checkpoints`."""

    layer: Layers = -1
    """Which hidden state: 0 is what enters the transformer, -1 the last layer's output; a list of
    them, or all: each is stored, and read as `<representation>/<layer>`."""

    checkpoint_keys: ClassVar[tuple[str, ...]] = ("checkpoint", "model")


class TransformersAudioSettings(PretrainedSettings):
    """wav2vec 2.0, HuBERT, WavLM, data2vec, XLS-R or Whisper's encoder, through transformers."""

    renamed: ClassVar[Mapping[str, str]] = {
        "stored_type": "storage_dtype",
        "window_seconds": "chunk_seconds",
    }

    kind: Literal["transformers_audio"]

    model: UserPath
    """A folder that holds the model, a fairseq file of wav2vec 2.0 (wav2vec_small.pt), or a name
    under `checkpoints`, which is where a model of the hub is named to be downloaded."""

    layer: Layers = -1
    """Which hidden state: 0 is what enters the transformer, -1 the last layer's output; a list of
    them, or all: each is stored, and read as `<representation>/<layer>`."""

    chunk_seconds: float = Field(default=60.0, ge=5.0, le=86_400.0)
    """Longer utterances are computed in overlapping chunks of this length, since attention over all of one
    takes memory with the square of its length. Whisper's is 30, whatever is said here."""

    checkpoint_keys: ClassVar[tuple[str, ...]] = ("model",)


class TransformersTextSettings(PretrainedSettings):
    """BERT and its family over the transcript, through transformers: a vector a token."""

    kind: Literal["transformers_text"]

    model: UserPath
    """A folder that holds the model, or a name under `checkpoints`, which is where a model of the
    hub is named to be downloaded."""

    layer: Layers = -1
    """Which hidden state: 0 is what enters the transformer, -1 the last layer's output; a list of
    them, or all: each is stored, and read as `<representation>/<layer>`."""

    tags: Literal["remove", "keep", "word"] = "remove"
    """Noises that transcripts write in brackets, such as [LAUGHTER]. remove: they are not read.
    word: as the word in the brackets (laughter). keep: as they are written."""

    special_tokens: Literal["drop", "keep"] = "drop"
    """Whether the model's own tokens ([CLS], [SEP]) are frames too. They are always computed; of an
    empty transcript, the first of them is the one frame."""

    checkpoint_keys: ClassVar[tuple[str, ...]] = ("model",)


class ExternalSettings(Settings):
    """A representation from outside the project: `module:Class`, or a name that an installed
    package registers (entry point of the group emoscale.representations)."""

    kind: str = Field(pattern=r"^[A-Za-z_][\w.-]*(:[A-Za-z_]\w*)?$")

    options: dict[str, Any] = Field(default_factory=dict)
    """Given to the class as keyword arguments."""


ENTRY_POINT_GROUP = "emoscale.representations"
"""Under which installed packages register their representations."""


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
"""Kinds of the project itself."""


def modality_of(kind: str) -> Literal["audio", "text", "external"]:
    """What a kind reads; of one from outside the project the configuration does not know.

    >>> modality_of("mfcc"), modality_of("transformers_text"), modality_of("mine:Loudness")
    ('audio', 'text', 'external')
    """
    if kind not in BUILT_IN_KINDS:
        return "external"
    return "text" if kind == "transformers_text" else "audio"


@functools.cache
def external_entry_points() -> dict[str, str]:
    """`module:Class` of every representation that an installed package registers, by name."""
    found = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
    return {point.name: point.value for point in found}


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
