"""Who is tested, who chooses the epoch, and how many labels are learned from."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, StrictInt, StrictStr, field_validator, model_validator

from emoscale.config.settings import Settings

_SIZE = re.compile(r"^(?:(?P<total>[1-9]\d{0,6})|(?P<each>[1-9]\d{0,6})-per-class|all)$")


class ProtocolSettings(Settings):
    """Folds, development sets and training orders; the same for every experiment of a study."""

    fold_unit: Literal["session", "speakers"]
    """session: a fold tests one session. speakers: a fold tests a group of speakers."""

    folds: int = Field(ge=2, le=100)
    """Number of folds; with `session`, the number of sessions that the corpus has."""

    development: Literal["unit", "random", "none"] = "unit"
    """unit: the epoch is chosen on a whole other session or speaker group. random: on a share of
    the training utterances, whose speakers are then known from training (for comparison with
    published protocols; every score says so). none: all of them are learned from, and trainings
    have a fixed length."""

    development_share: float = Field(default=0.2, gt=0.0, lt=0.9)
    """With `random`: share of each class's training utterances."""

    repeats: int = Field(default=3, ge=1, le=100)
    """Trainings a fold and size, each with an initialisation of its own."""

    seeds_per_order: int = Field(default=1, ge=1, le=100)
    """Repeats that share a training order (and, with `shuffle_labels`, a permutation). With 2 or
    more, and 2 or more orders, the tables say how much of the variance over trainings comes from
    orders and how much from initialisations."""

    shuffle_labels: bool = False
    """Negative control: labels of training and development utterances are permuted, so that every
    score must fall to chance; the tables say so."""

    @model_validator(mode="after")
    def _orders_are_whole(self) -> ProtocolSettings:
        if self.repeats % self.seeds_per_order:
            raise ValueError(
                f"repeats is {self.repeats} and seeds_per_order {self.seeds_per_order}, so an "
                "order would have fewer seeds than the others; make repeats a multiple of "
                "seeds_per_order"
            )
        return self

    def order_of(self, repeat: int) -> int:
        """Number of the training order that a repeat has, from 0."""
        return repeat // self.seeds_per_order


class SeededProtocolSettings(ProtocolSettings):
    """The protocol with the study's seed: what a fold depends on."""

    seed: int = Field(ge=0)
    """Seed of the training orders."""


def check_size(size: int | str) -> str:
    """A training size as it appears in file names: '500', '125-per-class' or 'all'."""
    text = str(size)
    if isinstance(size, bool) or not _SIZE.match(text):
        raise ValueError(
            f"training size {size!r} is not understood; write a total (500), "
            "a number a class (125-per-class) or all"
        )
    return text


class SizesSettings(Settings):
    """The amounts of training data at which each experiment is trained."""

    sizes: list[StrictInt | StrictStr] = Field(min_length=1)
    """Totals (500), numbers a class (125-per-class) or all."""

    @field_validator("sizes")
    @classmethod
    def _understood_and_single(cls, sizes: list[int | str]) -> list[int | str]:
        names = [check_size(size) for size in sizes]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"training size {twice[0]} is listed twice; keep one")
        return list(names)
