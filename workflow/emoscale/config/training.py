"""How models are trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from emoscale.config.settings import Settings


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
