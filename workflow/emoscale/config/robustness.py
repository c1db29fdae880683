"""Settings of the robustness test: perturbations of the test audio."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, StrictInt, StrictStr, Tag, field_validator

from emoscale.config.settings import Name, Settings

CLEAN = "clean"
"""Name of the condition without perturbation, the reference of all others."""


class WhiteNoise(Settings):
    """White Gaussian noise."""

    noise: Literal["white"]

    snr_db: float = Field(ge=-30.0, le=200.0)
    """Signal-to-noise ratio, dB: the active speech level (ITU-T P.56) over the level of the
    noise."""

    kind: ClassVar[str] = "white noise"
    unit: ClassVar[str] = "dB"

    @property
    def level(self) -> float:
        """Signal-to-noise ratio, dB."""
        return self.snr_db


class Babble(Settings):
    """Babble noise: the sum of utterances of other speakers of the corpus."""

    noise: Literal["babble"]

    snr_db: float = Field(ge=-30.0, le=200.0)
    """Signal-to-noise ratio, dB: the active speech level (ITU-T P.56) over the level of the
    babble."""

    talkers: int = Field(default=5, ge=1, le=100)
    """Number of talkers, never the speaker of the utterance."""

    kind: ClassVar[str] = "babble"
    unit: ClassVar[str] = "dB"

    @property
    def level(self) -> float:
        """Signal-to-noise ratio, dB."""
        return self.snr_db


class Reverberation(Settings):
    """Synthetic room: direct sound and an exponentially decaying tail of equal energy."""

    reverberation_seconds: float = Field(ge=0.05, le=10.0)
    """Reverberation time RT60, in which the tail decays by 60 dB."""

    kind: ClassVar[str] = "reverberation"
    unit: ClassVar[str] = "s"

    @property
    def level(self) -> float:
        """RT60, seconds."""
        return self.reverberation_seconds


class Band(Settings):
    """A transmission channel."""

    band: Literal["telephone"]
    """telephone: 300 to 3,400 Hz, 8 kHz, and the mu-law of ITU-T G.711."""

    kind: ClassVar[str] = "telephone"
    unit: ClassVar[str] = ""
    level: ClassVar[float | None] = None


_NEEDS = "needs noise (white or babble, with snr_db), reverberation_seconds, or band (telephone)"


def _which(value: Any) -> str | None:
    keys = value if isinstance(value, dict) else dict(value) if isinstance(value, Settings) else {}
    if "noise" in keys:
        return str(keys["noise"])
    return next((key for key in ("reverberation_seconds", "band") if key in keys), None)


ConditionSettings = Annotated[
    Annotated[WhiteNoise, Tag("white")]
    | Annotated[Babble, Tag("babble")]
    | Annotated[Reverberation, Tag("reverberation_seconds")]
    | Annotated[Band, Tag("band")],
    Discriminator(_which, custom_error_type="no_condition", custom_error_message=_NEEDS),
]

DEFAULT_CONDITIONS: dict[str, dict[str, Any]] = {
    **{f"white_{snr}": {"noise": "white", "snr_db": snr} for snr in (20, 10, 0)},
    **{f"babble_{snr}": {"noise": "babble", "snr_db": snr} for snr in (20, 10, 0)},
    "room_300": {"reverberation_seconds": 0.3},
    "room_800": {"reverberation_seconds": 0.8},
    "telephone": {"band": "telephone"},
}
"""Conditions of a study that names none."""


class RobustnessSettings(Settings):
    """Test of trained models on perturbed test audio."""

    experiments: list[Name] | Literal["all"] = Field(default_factory=list)
    """Experiments that are tested; all: every experiment that reads audio; empty: no test."""

    sizes: list[StrictInt | StrictStr] | None = Field(default=None, min_length=1)
    """Training sizes at which they are tested; null: the largest of each experiment."""

    conditions: dict[Name, ConditionSettings] = Field(
        default_factory=lambda: dict(DEFAULT_CONDITIONS), validate_default=True, min_length=1
    )
    """Perturbations of the test audio by name. By default white noise and babble at 20, 10 and 0
    dB, rooms of 0.3 and 0.8 s, and a telephone."""

    @field_validator("conditions")
    @classmethod
    def _check_names(cls, conditions: dict[str, Any]) -> dict[str, Any]:
        if CLEAN in conditions:
            raise ValueError(f"{CLEAN} is the name of the unperturbed audio; rename the condition")
        return conditions


def labels_of_size(size: str, classes: int) -> float:
    """Return the number of labels of a training size.

    Parameters
    ----------
    size : str
        A training size as in file names.
    classes : int
        Number of classes.

    Returns
    -------
    float
        Infinity for all.

    Examples
    --------
    >>> labels_of_size("500", 4), labels_of_size("200-per-class", 4), labels_of_size("all", 4)
    (500.0, 800.0, inf)
    """
    if size == "all":
        return float("inf")
    number, _, each = size.partition("-")
    return float(number) * (classes if each else 1)
