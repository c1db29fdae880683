"""How models are trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from emoscale.config.models import ModelSettings
from emoscale.config.settings import Settings


class AugmentationSettings(Settings):
    """What is done to training utterances, anew at each step."""

    mixup: float = Field(default=0.0, ge=0.0, le=10.0)
    """Mixup (Zhang et al. 2018): each utterance is mixed with another of its batch, stretched to
    its length, and so are their targets; the share is drawn from a beta distribution with this
    parameter. 0: none."""

    time_mask: float = Field(default=0.0, ge=0.0, le=0.9)
    """Largest share of an utterance's frames that one stretch of them loses (SpecAugment, Park et
    al. 2019); lost frames are those of the training subset's mean. 0: none."""

    frequency_mask: float = Field(default=0.0, ge=0.0, le=0.9)
    """The same of a band of neighbouring dimensions; of a representation whose dimensions have an
    order, such as log-mel. 0: none."""

    def is_on(self) -> bool:
        """Whether anything is done at all."""
        return self.mixup > 0.0 or self.time_mask > 0.0 or self.frequency_mask > 0.0


ESTIMATOR_TRAINING = ("class_balance",)
"""What of these settings an estimator knows."""


class TrainingSettings(Settings):
    """One training: Adam on weighted cross-entropy, stopped by the development set."""

    renamed: ClassVar[Mapping[str, str]] = {
        "batch_utterances": "batch_size",
        "schedule": "early_stopping (true in place of development, false in place of fixed)",
        "labels": "targets",
    }

    learning_rate: float = Field(default=1e-3, gt=0.0, le=1e6)
    """Step size of Adam."""

    weight_decay: float = Field(default=0.0, ge=0.0)
    """Decoupled weight decay (AdamW) where above 0."""

    batch_size: int = Field(default=32, ge=1, lt=2**31)
    """Utterances a step; the whole subset where it is smaller."""

    maximum_steps: int = Field(default=2000, ge=1, lt=2**31)
    """Budget in steps, not epochs, so that small subsets are not trained less."""

    early_stopping: bool = True
    """true: the weights of the best evaluation on the development set are saved, and `patience` ends
    the training. false: all `maximum_steps` are taken and the last weights are saved; the
    development set, where there is one, is only reported."""

    steps_between_evaluations: int = Field(default=50, ge=1, lt=2**31)
    """The development set is looked at after so many steps."""

    patience: int = Field(default=10, ge=1, lt=2**31)
    """Evaluations without a better development score before the training stops."""

    class_balance: Literal["weights", "sampling", "none"] = "weights"
    """weights: each class weighs the same in the loss, however many utterances it has. sampling:
    the classes take turns in the batches. none: an utterance is an utterance."""

    targets: Literal["majority", "votes"] = "majority"
    """votes: the target is the shares of the raters' votes over the study's classes, where an
    utterance has any; the tested truth stays the majority's."""

    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of each target that is spread evenly over the classes, in training."""

    augmentation: AugmentationSettings = AugmentationSettings()
    """Changes of the training utterances; none by default."""

    gradient_clip: float | None = Field(default=None, gt=0.0)
    """Largest norm of the gradient; null: as it is."""

    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the products of frames with weights in training and prediction; sums over frames, losses
    and weights are in float32 either way. bfloat16 takes less time where the hardware has it."""


class CellSettings(Settings):
    """The part of the configuration that one experiment's trainings depend on."""

    model: ModelSettings

    training: TrainingSettings

    search: dict[str, list[Any]] = Field(default_factory=dict)
    """Values of settings that are tried in all combinations."""

    layers: tuple[int | None, ...] = (None,)
    """Which hidden state is read of each input; null: the only one, or all."""

    seed: int
