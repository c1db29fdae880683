"""What each representation of speech can be told."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from emoscale.config.settings import Settings

SAMPLE_RATE = 16_000
"""Hz; what every representation is given."""


class SpectralSettings(Settings):
    """What log-mel and MFCC share: the short-time spectrum."""

    window_seconds: float = Field(default=0.025, ge=0.002, le=0.2)
    """Length of the analysis window."""

    hop_seconds: float = Field(default=0.010, ge=0.001, le=0.1)
    """Time from one frame to the next."""

    bands: int = Field(default=80, ge=8, le=256)
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
        if self.coefficients > self.bands:
            raise ValueError(
                f"{self.coefficients} coefficients cannot come from {self.bands} mel bands; "
                "raise bands or lower coefficients"
            )
        return self


class OpensmileSettings(Settings):
    """Low-level descriptors or their functionals, by openSMILE (licensed for research only)."""

    kind: Literal["opensmile"]

    feature_set: Literal["eGeMAPSv02", "ComParE_2016"] = "eGeMAPSv02"
    """eGeMAPSv02: 25 descriptors a frame, 88 functionals (Eyben et al. 2016). ComParE_2016: 65 and
    6,373 (Schuller et al. 2016)."""

    level: Literal["frames", "functionals"] = "frames"
    """frames: descriptors every 10 ms. functionals: one vector an utterance."""


class WaveformSettings(Settings):
    """The samples themselves, 16 bits at 16 kHz, for models that learn from raw audio."""

    kind: Literal["waveform"]


class Wav2VecSettings(Settings):
    """wav2vec (Schneider et al. 2019), from a fairseq checkpoint."""

    kind: Literal["wav2vec"]

    checkpoint: str = Field(min_length=1)
    """The file, such as wav2vec_large.pt."""

    output: Literal["z", "c"] = "c"
    """z: of the encoder, each frame from 29 ms. c: of the context network, from 0.8 s."""


class VqWav2VecSettings(Settings):
    """vq-wav2vec (Baevski et al. 2020), Gumbel or k-means, from a fairseq checkpoint."""

    kind: Literal["vq_wav2vec"]

    checkpoint: str = Field(min_length=1)
    """The file, such as vq-wav2vec.pt or vq-wav2vec_kmeans.pt."""

    output: Literal["codes", "c"] = "codes"
    """codes: stored as indices, read as their vectors. c: the context network over the vectors."""


class TransformersAudioSettings(Settings):
    """wav2vec 2.0, HuBERT, WavLM, data2vec or XLS-R, through transformers."""

    kind: Literal["transformers_audio"]

    model: str = Field(min_length=1)
    """A folder that holds the model, or its name on the hub (facebook/wav2vec2-base)."""

    layer: int = -1
    """Which hidden state: 0 is what enters the transformer, -1 the last layer's output."""


class ExternalSettings(Settings):
    """A representation from outside the project, named as `module:Class`."""

    kind: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")

    options: dict[str, Any] = Field(default_factory=dict)
    """Given to the class as keyword arguments."""


def _which(value: Any) -> str:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return "external" if isinstance(kind, str) and ":" in kind else str(kind)


RepresentationSettings = Annotated[
    Annotated[LogMelSettings, Tag("logmel")]
    | Annotated[MfccSettings, Tag("mfcc")]
    | Annotated[OpensmileSettings, Tag("opensmile")]
    | Annotated[WaveformSettings, Tag("waveform")]
    | Annotated[Wav2VecSettings, Tag("wav2vec")]
    | Annotated[VqWav2VecSettings, Tag("vq_wav2vec")]
    | Annotated[TransformersAudioSettings, Tag("transformers_audio")]
    | Annotated[ExternalSettings, Tag("external")],
    Discriminator(_which),
]
