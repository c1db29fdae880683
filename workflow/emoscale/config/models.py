"""Settings of the classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from emoscale.config.settings import Settings

Width = Annotated[int, Field(ge=1, le=8192)]
Kernel = Annotated[int, Field(le=9999)]
"""Kernel size of a convolution, in frames or samples."""

Dropout = Annotated[float, Field(ge=0.0, lt=1.0)]
Pooling = Literal["mean", "mean_std", "attention", "attentive_statistics"]
"""Pooling over the frames of an utterance. mean_std: mean and standard deviation. attention: mean
with learned weights. attentive_statistics: mean and standard deviation with learned weights (Okabe
et al. 2018)."""


class PooledSettings(Settings):
    """Linear projection of each frame, pooling, linear classifier.

    The head of SUPERB (Yang et al. 2021) is `{projection_size: 256, activation: none}`, that of
    EmoBox (Ma et al. 2024) `{projection_size: 256, activation: relu}`; both with mean pooling and
    no dropout.
    """

    renamed: ClassVar[Mapping[str, str]] = {"width": "projection_size"}

    kind: Literal["pooled"]

    projection_size: Width | None = 256
    """Output size of the projection; null: no projection."""

    activation: Literal["relu", "none"] = "relu"
    """Activation after the projection."""

    pooling: Pooling = "mean"
    """Pooling over frames."""

    dropout: Dropout = 0.0
    """Dropout after pooling."""

    inputs: ClassVar[int] = 1


class ConvolutionalSettings(Settings):
    """Convolutions over frames, pooling, a hidden layer, linear classifier.

    The network of Pepino et al. (2021), in their public code, is
    `{layers: [[128, 1], [128, 1]], hidden_size: null, dropout: 0.2}`, without its batch
    normalisation: here no utterance depends on the others of its batch.
    """

    renamed: ClassVar[Mapping[str, str]] = {"hidden": "hidden_size"}

    kind: Literal["convolutional"]

    layers: tuple[tuple[Width, Kernel], ...] = Field(
        default=((128, 1), (128, 1)), json_schema_extra={"minItems": 1}
    )
    """Output channels and kernel size (odd) of each convolution; ReLU and dropout follow each."""

    pooling: Pooling = "mean"
    """Pooling over frames."""

    hidden_size: Width | None = 128
    """Size of a layer with ReLU and dropout between pooling and classifier; null: none."""

    dropout: Dropout = 0.2
    """Dropout after each layer."""

    inputs: ClassVar[int] = 1

    @field_validator("layers")
    @classmethod
    def _check_kernels(cls, layers: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        if not layers:
            raise ValueError("the list is empty; give at least one [channels, kernel]")
        for channels, kernel in layers:
            if kernel < 1 or kernel % 2 == 0:
                raise ValueError(f"({channels}, {kernel}): the kernel size must be odd")
        return layers


class RecurrentSettings(Settings):
    """Bidirectional recurrent network over frames, pooling, linear classifier.

    On a CPU a training step takes six to nine times as long as with a pooled model.
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "cell": "rnn_type",
        "width": "hidden_size",
        "depth": "num_layers",
    }

    kind: Literal["recurrent"]

    rnn_type: Literal["gru", "lstm"] = "gru"
    """Type of recurrent unit."""

    hidden_size: Width = 128
    """Hidden units of each direction."""

    num_layers: int = Field(default=1, ge=1, le=4)
    """Number of recurrent layers."""

    pooling: Pooling = "attention"
    """Pooling over frames."""

    dropout: Dropout = 0.2
    """Dropout between layers and after pooling."""

    inputs: ClassVar[int] = 1


class WaveformModelSettings(Settings):
    """Convolutional network on raw audio, trained end to end; its input has the kind waveform."""

    kind: Literal["waveform"]

    layers: tuple[tuple[Width, Kernel, Kernel], ...] = Field(
        default=((32, 80, 20), (64, 8, 4), (64, 4, 2), (64, 4, 2)),
        json_schema_extra={"minItems": 1},
    )
    """Output channels, kernel size and stride (samples) of each convolution. The default gives a
    frame of 59 ms every 20 ms."""

    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Dropout after pooling."""

    @field_validator("layers")
    @classmethod
    def _check_layers(
        cls, layers: tuple[tuple[int, int, int], ...]
    ) -> tuple[tuple[int, int, int], ...]:
        if not layers:
            raise ValueError("the list is empty; give at least one [channels, kernel, stride]")
        for channels, kernel, stride in layers:
            if stride < 1 or kernel < stride:
                raise ValueError(
                    f"({channels}, {kernel}, {stride}): each layer is channels, kernel and stride, "
                    "and the kernel must not be shorter than the stride"
                )
        return layers

    inputs: ClassVar[int] = 1


class EstimatorSettings(Settings):
    """Classifier of scikit-learn on one vector per utterance: the hand-engineered baseline.

    The vector is the mean and standard deviation of the frames, or the only frame of functionals.
    C is chosen on the development set; so is the temperature that calibrates the probabilities of a
    support vector machine.
    """

    renamed: ClassVar[Mapping[str, str]] = {"strengths": "C"}

    kind: Literal["estimator"]

    method: Literal["linear_svm", "rbf_svm", "logistic"] = "linear_svm"
    """Support vector machine with a linear or Gaussian (RBF) kernel, or logistic regression."""

    C: tuple[Annotated[float, Field(gt=0.0)], ...] = Field(
        default=(0.0001, 0.001, 0.01, 0.1, 1.0, 10.0), min_length=1
    )
    """Candidates for C, the inverse regularisation strength; of equally good ones the smallest is
    chosen."""

    inputs: ClassVar[int] = 1


class AlignedFusionSettings(Settings):
    """Fusion of speech and text, aligned by attention (Xu et al. 2019).

    Recurrent encoders over frames and over tokens; multi-head attention with the tokens as queries
    and the frames as keys and values; a recurrent encoder with attention pooling over the aligned
    sequence.
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "width": "hidden_size",
        "heads": "num_heads",
        "confined": "within_word",
    }

    kind: Literal["aligned_fusion"]

    hidden_size: Width = 100
    """Hidden units of each direction of the encoders."""

    num_heads: int = Field(default=8, ge=1, le=64)
    """Number of attention heads."""

    within_word: bool = False
    """Whether a token with a known time attends only to the frames of its own word."""

    dropout: Dropout = 0.5
    """Dropout after each part."""

    inputs: ClassVar[int] = 2

    @model_validator(mode="after")
    def _check_heads(self) -> AlignedFusionSettings:
        if 2 * self.hidden_size % self.num_heads:
            raise ValueError(
                f"2 * hidden_size ({2 * self.hidden_size}) is no multiple of num_heads "
                f"({self.num_heads}); change one of them"
            )
        return self


class EarlyFusionSettings(Settings):
    """Fusion of two inputs: each is projected and pooled, a hidden layer reads both vectors."""

    renamed: ClassVar[Mapping[str, str]] = {"width": "projection_size", "hidden": "hidden_size"}

    kind: Literal["early_fusion"]

    projection_size: Width = 128
    """Output size of the projection of each input's frames."""

    pooling: Pooling = "mean"
    """Pooling over the frames of an input."""

    hidden_size: Width | None = 128
    """Size of a layer with ReLU before the classifier; null: none."""

    dropout: Dropout = 0.2
    """Dropout after pooling and after the hidden layer."""

    inputs: ClassVar[int] = 2


class LateFusionSettings(Settings):
    """Fusion of two models, trained independently: the mean of their probabilities."""

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
    """Model of each input."""

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
