"""What test audio is put through, to see what a trained model loses by it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, StrictInt, StrictStr, Tag, field_validator

from emoscale.config.settings import Name, Settings

CLEAN = "clean"
"""The condition without any change, which every other is compared with."""


class WhiteNoise(Settings):
    """Gaussian noise, equally strong at all frequencies."""

    noise: Literal["white"]

    snr_db: float = Field(ge=-30.0, le=200.0)
    """Active speech level (ITU-T P.56) over the noise's, dB."""

    kind: ClassVar[str] = "white noise"
    unit: ClassVar[str] = "dB"

    @property
    def level(self) -> float:
        """Signal-to-noise ratio, dB."""
        return self.snr_db


class Babble(Settings):
    """Others talking: utterances of the corpus's other speakers, one over the other."""

    noise: Literal["babble"]

    snr_db: float = Field(ge=-30.0, le=200.0)
    """Active speech level (ITU-T P.56) over the babble's, dB."""

    talkers: int = Field(default=5, ge=1, le=100)
    """How many talk; never the speaker of the utterance."""

    kind: ClassVar[str] = "babble"
    unit: ClassVar[str] = "dB"

    @property
    def level(self) -> float:
        """Signal-to-noise ratio, dB."""
        return self.snr_db


class Reverberation(Settings):
    """A room: the direct sound, and a tail of equal energy that dies away."""

    reverberation_seconds: float = Field(ge=0.05, le=10.0)
    """RT60: the time in which the tail falls by 60 dB."""

    kind: ClassVar[str] = "reverberation"
    unit: ClassVar[str] = "s"

    @property
    def level(self) -> float:
        """RT60, seconds."""
        return self.reverberation_seconds


class Band(Settings):
    """A narrow channel."""

    band: Literal["telephone"]
    """telephone: 300 to 3,400 Hz, 8 kHz, and the mu-law of ITU-T G.711."""

    kind: ClassVar[str] = "telephone"
    unit: ClassVar[str] = ""
    level: ClassVar[float | None] = None


_NEEDS = "needs noise (white or babble, with snr_db), reverberation_seconds, or band (telephone)"


def _which(value: Any) -> str | None:
    given = value if isinstance(value, dict) else dict(value) if isinstance(value, Settings) else {}
    if "noise" in given:
        return str(given["noise"])
    return next((key for key in ("reverberation_seconds", "band") if key in given), None)


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
"""What is tested where a study does not say."""


class RobustnessSettings(Settings):
    """Test audio that is changed, through the models that learned from it as it was."""

    experiments: list[Name] | Literal["all"] = Field(default_factory=list)
    """Which experiments are tested so; all: all that read audio; none: nothing is done."""

    sizes: list[StrictInt | StrictStr] | None = Field(default=None, min_length=1)
    """At which of their training sizes; null: each experiment's largest."""

    conditions: dict[Name, ConditionSettings] = Field(
        default_factory=lambda: dict(DEFAULT_CONDITIONS), validate_default=True, min_length=1
    )
    """What the audio is put through, each under a name of its own."""

    @field_validator("conditions")
    @classmethod
    def _clean_is_another(cls, conditions: dict[str, Any]) -> dict[str, Any]:
        if CLEAN in conditions:
            raise ValueError(f"{CLEAN} is the audio as it is; give the condition another name")
        return conditions


def labels_of_size(size: str, classes: int) -> float:
    """How many labels a training size asks for; all is more than any number.

    >>> labels_of_size("500", 4), labels_of_size("200-per-class", 4), labels_of_size("all", 4)
    (500.0, 800.0, inf)
    """
    if size == "all":
        return float("inf")
    number, _, each = size.partition("-")
    return float(number) * (classes if each else 1)
