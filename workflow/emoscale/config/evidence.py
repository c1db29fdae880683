"""Settings of the analysis of finished learning curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from emoscale.config.settings import Name, Settings


class EvidenceSettings(Settings):
    """Comparisons, label efficiency and forecasts; changing them trains nothing again."""

    renamed: ClassVar[Mapping[str, str]] = {"wanted_ua": "target_ua"}

    reference: Name | None = None
    """Experiment that all others are compared with, declared before the results are known: only the
    pairs with it are tested and corrected for, and the figures of differences and of label
    efficiency compare with it. null: all pairs are tested, and label efficiency is compared with
    the best experiment on hand-engineered features."""

    target_ua: list[Annotated[float, Field(gt=0.0, lt=1.0)]] = Field(default_factory=list)
    """Unweighted accuracies (0 to 1) for which the number of labels is forecast."""

    forecast_sizes: list[Annotated[int, Field(ge=1, lt=2**31)]] | None = Field(
        default=None, min_length=1
    )
    """Numbers of labels for which UA is forecast. null: twice and four times the largest size of
    each experiment."""


class TrainedExperiment(Settings):
    """An experiment, as published figures are matched with it."""

    representations: list[dict[str, Any]]
    """Their settings; `layer` is the layer that is read, or several."""

    model: dict[str, Any]
    """Its settings."""

    normalisation: str = "training"
    """Whose statistics normalise its features."""


class StudyEvidence(EvidenceSettings):
    """All settings that the analysis of learning curves depends on."""

    seed: int
    """Seed of the bootstrap."""

    classes: list[str]
    """Of the study."""

    protocol: dict[str, Any]
    """Its settings."""

    experiments: dict[str, TrainedExperiment]
    """Of the study."""
