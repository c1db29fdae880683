"""Settings of the training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from emoscale.config.models import ModelSettings
from emoscale.config.settings import Settings

Normalisation = Literal["training", "speaker", "utterance"]


class AugmentationSettings(Settings):
    """Augmentation of the training utterances, drawn anew at each step."""

    mixup: float = Field(default=0.0, ge=0.0, le=10.0)
    """Parameter of the beta distribution of mixup (Zhang et al. 2018): frames and targets of each
    utterance are mixed with those of another one of its batch, resampled to its length. 0: none."""

    time_mask: float = Field(default=0.0, ge=0.0, le=0.9)
    """Largest fraction of an utterance's frames in its time mask (SpecAugment, Park et al. 2019).
    Masked frames take the mean of the training subset. 0: none."""

    frequency_mask: float = Field(default=0.0, ge=0.0, le=0.9)
    """The same for a band of adjacent dimensions, for representations whose dimensions are ordered,
    such as log-mel. 0: none."""

    def is_on(self) -> bool:
        """Return whether any augmentation is used."""
        return self.mixup > 0.0 or self.time_mask > 0.0 or self.frequency_mask > 0.0


ESTIMATOR_TRAINING = ("class_balance", "normalisation", "feature_clip")
"""Settings that apply to a scikit-learn estimator."""


class TrainingSettings(Settings):
    """One training: AdamW on weighted cross-entropy, with early stopping on the development set."""

    renamed: ClassVar[Mapping[str, str]] = {
        "batch_utterances": "batch_size",
        "schedule": "early_stopping (true in place of development, false in place of fixed)",
        "labels": "targets",
    }

    learning_rate: float = Field(default=1e-3, gt=0.0, le=1e6)
    """Learning rate of AdamW."""

    weight_decay: float = Field(default=0.0, ge=0.0)
    """Decoupled weight decay of AdamW."""

    batch_size: int = Field(default=32, ge=1, lt=2**31)
    """Utterances per step; the whole training subset where that is smaller."""

    maximum_steps: int = Field(default=2000, ge=1, lt=2**31)
    """Largest number of optimiser steps. It counts steps and not epochs, so that small training
    sets are not trained less."""

    early_stopping: bool = True
    """true: the weights of the best evaluation on the development set are saved, and `patience`
    ends the training. false: all `maximum_steps` are taken and the last weights are saved; the
    development set, where there is one, is only reported."""

    steps_between_evaluations: int = Field(default=50, ge=1, lt=2**31)
    """Optimiser steps between evaluations on the development set."""

    patience: int = Field(default=10, ge=1, lt=2**31)
    """Evaluations without improvement before the training stops."""

    normalisation: Normalisation = "training"
    """Whose mean and standard deviation the features are normalised by. training: those of the
    training subset. speaker: first those of the speaker, from all of the speaker's recordings in
    the corpus (training, development, test and unlabelled ones; no label is used), then those of
    the training subset. utterance: the same with the utterance's own frames. It applies to every
    input and cannot be searched."""

    feature_clip: float | None = Field(default=10.0, gt=0.0)
    """Largest absolute value of a feature after normalisation, in standard deviations of the
    training subset; null: no limit."""

    class_balance: Literal["weights", "sampling", "none"] = "weights"
    """weights: class weights in the loss, inversely proportional to class frequency. sampling:
    batches with equal numbers of each class. none: neither."""

    targets: Literal["majority", "votes"] = "majority"
    """majority: the label of the corpus. votes: soft labels, the distribution of the raters' votes
    over the classes, where an utterance has votes; the test labels stay those of the majority."""

    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Label smoothing in training (Szegedy et al. 2016)."""

    augmentation: AugmentationSettings = AugmentationSettings()
    """Augmentation; none by default."""

    gradient_clip: float | None = Field(default=None, gt=0.0)
    """Largest norm of the gradient; null: no clipping."""

    precision: Literal["float32", "bfloat16"] = "float32"
    """Number type of the products of frames with weights. Sums over frames, losses and weights are
    always in float32. bfloat16 is faster on GPUs and on CPUs with instructions for it (`lscpu`
    shows avx512_bf16 or amx_bf16), and many times slower on other CPUs."""


class CellSettings(Settings):
    """The part of the configuration that the trainings of one experiment depend on."""

    model: ModelSettings

    training: TrainingSettings

    search: dict[str, list[Any]] = Field(default_factory=dict)
    """Grid of settings: values by key, combined in all ways."""

    layers: tuple[int | None, ...] = (None,)
    """Hidden state of each input; null: the only one, or all of them."""

    seed: int
