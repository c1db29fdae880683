"""The classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from emoscale.config.settings import Settings

Width = Annotated[int, Field(ge=1, le=8192)]
Kernel = Annotated[int, Field(le=9999)]
"""Frames, or samples, that one value of a convolution sees."""

Dropout = Annotated[float, Field(ge=0.0, lt=1.0)]
Pooling = Literal["mean", "mean_std", "attention", "attentive_statistics"]
"""Over an utterance's frames. mean_std: mean and standard deviation. attention: a mean with learned
weights. attentive_statistics: mean and standard deviation with learned weights (Okabe et al. 2018).
"""


class PooledSettings(Settings):
    """Project each frame, pool over frames, classify.

    SUPERB's head (Yang et al. 2021) is `{projection_size: 256, activation: none}`, EmoBox's (Ma et al. 2024)
    `{projection_size: 256, activation: relu}`; both pool by the mean and drop nothing.
    """

    renamed: ClassVar[Mapping[str, str]] = {"width": "projection_size"}

    kind: Literal["pooled"]

    projection_size: Width | None = 256
    """Dimension of the projection; null: the frames are pooled as they are."""

    activation: Literal["relu", "none"] = "relu"
    """After the projection; where there is none, nothing is applied."""

    pooling: Pooling = "mean"
    """How an utterance's frames become one vector."""

    dropout: Dropout = 0.0
    """Share of the pooled values that are dropped in training."""

    inputs: ClassVar[int] = 1


class ConvolutionalSettings(Settings):
    """Convolutions over frames, pool, a hidden layer, classify.

    The network of Pepino et al. (2021), as their public code has it, is
    `{layers: [[128, 1], [128, 1]], hidden_size: null, dropout: 0.2}`, but for its batch normalisation:
    here no utterance depends on the others in its batch.
    """

    renamed: ClassVar[Mapping[str, str]] = {"hidden": "hidden_size"}

    kind: Literal["convolutional"]

    layers: tuple[tuple[Width, Kernel], ...] = Field(
        default=((128, 1), (128, 1)), json_schema_extra={"minItems": 1}
    )
    """Channels and kernel (odd) of each convolution; each is followed by ReLU and dropout."""

    pooling: Pooling = "mean"
    """How an utterance's frames become one vector."""

    hidden_size: Width | None = 128
    """Dimension of a layer with ReLU and dropout between pooling and classes; null: none."""

    dropout: Dropout = 0.2
    """Share of the values that are dropped in training, after each layer."""

    inputs: ClassVar[int] = 1

    @field_validator("layers")
    @classmethod
    def _odd_kernels(cls, layers: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        if not layers:
            raise ValueError("there is none; give at least one [channels, kernel]")
        for channels, kernel in layers:
            if kernel < 1 or kernel % 2 == 0:
                raise ValueError(
                    f"({channels}, {kernel}): a kernel is an odd number of frames, so that it has "
                    "a middle"
                )
        return layers


class RecurrentSettings(Settings):
    """A bidirectional recurrent network over frames, pool, classify.

    On a CPU a step takes six to nine times as long as that of a pooled model.
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "cell": "rnn_type",
        "width": "hidden_size",
        "depth": "num_layers",
    }

    kind: Literal["recurrent"]

    rnn_type: Literal["gru", "lstm"] = "gru"
    """Kind of unit."""

    hidden_size: Width = 128
    """Units a direction."""

    num_layers: int = Field(default=1, ge=1, le=4)
    """Layers."""

    pooling: Pooling = "attention"
    """How an utterance's frames become one vector."""

    dropout: Dropout = 0.2
    """Share of the values that are dropped in training, between layers and after pooling."""

    inputs: ClassVar[int] = 1


class WaveformModelSettings(Settings):
    """A convolutional network on raw audio, trained end to end; reads the kind waveform."""

    kind: Literal["waveform"]

    layers: tuple[tuple[Width, Kernel, Kernel], ...] = Field(
        default=((32, 80, 20), (64, 8, 4), (64, 4, 2), (64, 4, 2)),
        json_schema_extra={"minItems": 1},
    )
    """Channels, kernel and stride of each convolution; by default a frame of 59 ms every 20 ms."""

    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of the pooled values that are dropped in training."""

    @field_validator("layers")
    @classmethod
    def _no_gaps(cls, layers: tuple[tuple[int, int, int], ...]) -> tuple[tuple[int, int, int], ...]:
        if not layers:
            raise ValueError("there is none; give at least one [channels, kernel, stride]")
        for channels, kernel, stride in layers:
            if stride < 1 or kernel < stride:
                raise ValueError(
                    f"({channels}, {kernel}, {stride}): each layer is channels, kernel and stride, "
                    "with a kernel that is no shorter than its stride"
                )
        return layers

    inputs: ClassVar[int] = 1


class EstimatorSettings(Settings):
    """A classifier of scikit-learn on one vector an utterance: the hand-engineered baseline.

    Of a representation with several frames an utterance, the vector is their mean and standard
    deviation. Its strength of regularisation is chosen on the development set, from `C`;
    so is the one number that makes probabilities of a support vector machine's decision values.
    """

    renamed: ClassVar[Mapping[str, str]] = {"strengths": "C"}

    kind: Literal["estimator"]

    method: Literal["linear_svm", "rbf_svm", "logistic"] = "linear_svm"
    """Support vector machine with a linear or Gaussian kernel, or logistic regression."""

    C: tuple[Annotated[float, Field(gt=0.0)], ...] = Field(
        default=(0.0001, 0.001, 0.01, 0.1, 1.0, 10.0), min_length=1
    )
    """Values of C that are tried; smaller is more regularised. Of equals the smallest is taken."""

    inputs: ClassVar[int] = 1


class AlignedFusionSettings(Settings):
    """Speech and text, aligned by attention: each token looks for its frames (Xu et al. 2019).

    Recurrent encoders over frames and over tokens; attention with the tokens as queries and the
    frames as keys and values; a recurrent encoder with attention pooling over the aligned sequence.
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "width": "hidden_size",
        "heads": "num_heads",
        "confined": "within_word",
    }

    kind: Literal["aligned_fusion"]

    hidden_size: Width = 100
    """Units a direction of the encoders."""

    num_heads: int = Field(default=8, ge=1, le=64)
    """Of the attention."""

    within_word: bool = False
    """Whether a token with a known time sees only the frames of its own word."""

    dropout: Dropout = 0.5
    """Share of the values that are dropped in training, after each part."""

    inputs: ClassVar[int] = 2

    @model_validator(mode="after")
    def _heads_divide(self) -> AlignedFusionSettings:
        if 2 * self.hidden_size % self.num_heads:
            raise ValueError(
                f"{self.num_heads} heads do not divide {2 * self.hidden_size} values (2 * hidden_size)"
            )
        return self


class EarlyFusionSettings(Settings):
    """Pool each of two inputs, put the vectors side by side, a hidden layer, classify."""

    renamed: ClassVar[Mapping[str, str]] = {"width": "projection_size", "hidden": "hidden_size"}

    kind: Literal["early_fusion"]

    projection_size: Width = 128
    """Dimension that the frames of each input are projected to."""

    pooling: Pooling = "mean"
    """How the frames of an input become one vector."""

    hidden_size: Width | None = 128
    """Dimension of a layer with ReLU before the classes; null: none."""

    dropout: Dropout = 0.2
    """Share of the values that are dropped in training."""

    inputs: ClassVar[int] = 2


class LateFusionSettings(Settings):
    """A model on each of two inputs, learning by itself; the mean of their probabilities."""

    renamed: ClassVar[Mapping[str, str]] = {"parts": "branches"}

    kind: Literal["late_fusion"]

    branches: tuple[
        Annotated[
            PooledSettings | ConvolutionalSettings | RecurrentSettings, Field(discriminator="kind")
        ],
        Annotated[
            PooledSettings | ConvolutionalSettings | RecurrentSettings, Field(discriminator="kind")
        ],
    ]
    """The model of each input."""

    inputs: ClassVar[int] = 2


ModelSettings = Annotated[
    PooledSettings
    | ConvolutionalSettings
    | RecurrentSettings
    | WaveformModelSettings
    | EstimatorSettings
    | AlignedFusionSettings
    | EarlyFusionSettings
    | LateFusionSettings,
    Field(discriminator="kind"),
]
