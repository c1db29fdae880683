"""Models and how they are trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from emoscale.config.settings import Settings


class PooledSettings(Settings):
    """Project each frame, ReLU, mean over frames, linear: SUPERB's head (Yang et al. 2021)."""

    kind: Literal["pooled"]

    width: int = Field(default=256, ge=1, le=8192)
    """Dimension of the projection."""

    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of the pooled values that are dropped in training."""


class WaveformModelSettings(Settings):
    """A convolutional network on raw audio, trained end to end; reads the kind waveform."""

    kind: Literal["waveform"]

    layers: tuple[tuple[int, int, int], ...] = Field(
        default=((32, 80, 20), (64, 8, 4), (64, 4, 2), (64, 4, 2)), min_length=1
    )
    """Channels, kernel and stride of each convolution; by default a frame of 59 ms every 20 ms."""

    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of the pooled values that are dropped in training."""

    @field_validator("layers")
    @classmethod
    def _no_gaps(cls, layers: tuple[tuple[int, int, int], ...]) -> tuple[tuple[int, int, int], ...]:
        for channels, kernel, stride in layers:
            if channels < 1 or stride < 1 or kernel < stride or kernel % stride:
                raise ValueError(
                    f"({channels}, {kernel}, {stride}): each layer is channels, kernel and stride, "
                    "with a kernel of one or more whole strides"
                )
        return layers


ModelSettings = Annotated[PooledSettings | WaveformModelSettings, Field(discriminator="kind")]


class TrainingSettings(Settings):
    """One training: Adam on weighted cross-entropy, stopped by the development set."""

    learning_rate: float = Field(default=1e-3, gt=0.0, le=1e6)
    """Step size of Adam."""

    weight_decay: float = Field(default=0.0, ge=0.0)
    """Decoupled weight decay (AdamW) where above 0."""

    batch_utterances: int = Field(default=32, ge=1)
    """Utterances a step; the whole subset where it is smaller."""

    maximum_steps: int = Field(default=2000, ge=1)
    """Budget in steps, not epochs, so that small subsets are not trained less."""

    steps_between_evaluations: int = Field(default=50, ge=1)
    """The development set is looked at after so many steps."""

    patience: int = Field(default=10, ge=1)
    """Evaluations without a better development score before the training stops."""

    class_weights: Literal["balanced", "none"] = "balanced"
    """balanced: each class weighs the same in the loss, however many utterances it has."""

    gradient_clip: float | None = Field(default=None, gt=0.0)
    """Largest norm of the gradient; null: as it is."""
