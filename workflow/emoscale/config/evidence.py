"""What is asked of the finished learning curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from emoscale.config.settings import Name, Settings


class EvidenceSettings(Settings):
    """How many labels does it save, and what would more labels give."""

    renamed: ClassVar[Mapping[str, str]] = {"wanted_ua": "target_ua"}

    reference: Name | None = None
    """The experiment that the others' labels are compared with in the figure. null: the one of
    hand-engineered features with the highest UA at its largest size."""

    target_ua: list[Annotated[float, Field(gt=0.0, lt=1.0)]] = Field(default_factory=list)
    """Unweighted accuracies (0 to 1): how many labels each needs for them is forecast."""

    forecast_sizes: list[Annotated[int, Field(ge=1, lt=2**31)]] | None = Field(
        default=None, min_length=1
    )
    """Numbers of labels for which UA is forecast. null: twice and four times each experiment's
    largest size."""


class TrainedExperiment(Settings):
    """What publications are matched by."""

    representations: list[dict[str, Any]]
    """Their settings; `layer` is the one that is read, or several."""

    model: dict[str, Any]
    """Its settings."""


class StudyEvidence(EvidenceSettings):
    """What counting labels depends on."""

    seed: int
    """Of the draws."""

    classes: list[str]
    """Of the study."""

    protocol: dict[str, Any]
    """Its settings."""

    experiments: dict[str, TrainedExperiment]
    """Of the study."""
