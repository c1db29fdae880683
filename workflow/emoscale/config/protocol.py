"""Who is tested, who chooses the epoch, and how many labels are learned from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, StrictInt, StrictStr, field_validator, model_validator

from emoscale.config.settings import Settings, UserPath

_SIZE = re.compile(r"^(?:(?P<total>[1-9]\d{0,6})|(?P<each>[1-9]\d{0,6})-per-class|all)$")


class ProtocolSettings(Settings):
    """Folds, development sets and training orders; the same for every experiment of a study."""

    renamed: ClassVar[Mapping[str, str]] = {
        "tested": "test_units",
        "leave_out_unmatched": "ignore_unmatched",
        "development_share": "development_fraction",
    }

    fold_unit: Literal["session", "speakers", "stratified", "file", "corpus"]
    """session: a fold tests one session. speakers: a group of speakers, even in number and sex;
    with as many folds as speakers, one speaker. stratified: a group of speakers, the groups as
    alike in the shares of the classes as can be. corpus: one corpus of several. file: what
    `fold_file` says."""

    folds: int = Field(ge=1, le=100)
    """Number of folds; with `session` and `corpus`, the number of those that are tested."""

    test_units: list[StrictStr] | None = Field(default=None, min_length=1)
    """The sessions, or corpora, that are tested, a fold each, the others being learned from in
    every fold: [emodb]. Null: each is tested in its turn."""

    fold_file: UserPath | None = None
    """With `file`: a table (CSV, or TSV by its ending) with the columns `utterance` and `fold` (a
    fold tests those that stand with it), or with `role` (train, dev or test) as well, a row an
    utterance and fold; with `role` alone there is one fold."""

    ignore_unmatched: bool = False
    """With `file`: whether utterances that the table, or the corpus, does not have are left out;
    how many is said beside the scores. Otherwise they are an error."""

    allow_shared_speakers: bool = False
    """With `file`: whether a speaker may have several roles, as in some published folds; every
    score then says so. Otherwise it is an error."""

    text_disjoint: bool = False
    """Whether no text is in two roles: training and development lose what has the words of a test
    utterance, and training what has those of a development utterance (unless development is random
    and so shares speakers, too). Utterances without words stay."""

    development: Literal["unit", "session", "speakers", "random", "file", "none"] = "unit"
    """unit: the epoch is chosen on a whole other unit: the next fold's session, speakers or corpus.
    session: on a whole other session, whatever the folds are. speakers: on `development_speakers`
    whole other speakers. random: on a share of the training utterances, whose speakers are then
    known from training (for comparison with published protocols; every score says so). file: on
    what has the role dev in `fold_file`. none: all of them are learned from, and trainings have a
    fixed length."""

    development_fraction: float = Field(default=0.2, gt=0.0, lt=0.9)
    """With `random`: share of each class's training utterances."""

    development_speakers: int = Field(default=2, ge=1, le=1000)
    """With `speakers`: how many, women and men in turn, others in each fold as far as they go."""

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

    @model_validator(mode="after")
    def _what_is_tested_is_said_once(self) -> ProtocolSettings:
        tested = self.test_units or []
        if tested and self.fold_unit not in ("session", "corpus"):
            raise ValueError(
                "test_units names sessions or corpora, so fold_unit must be session or corpus; remove "
                "test_units, or set fold_unit"
            )
        twice = sorted({name for name in tested if tested.count(name) > 1})
        if twice:
            raise ValueError(f"test_units lists {twice[0]} twice; keep one")
        if tested and len(tested) != self.folds:
            raise ValueError(
                f"test_units lists {len(tested)} and folds is {self.folds}; make folds {len(tested)}"
            )
        if self.folds == 1 and not tested and self.fold_unit != "file":
            raise ValueError(
                "folds is 1, so nothing would be left to train on; make it 2 or more, or name the "
                "session or corpus that is tested (test_units)"
            )
        return self

    @model_validator(mode="after")
    def _a_fold_file_goes_with_file(self) -> ProtocolSettings:
        if self.fold_unit == "file":
            if self.fold_file is None:
                raise ValueError("fold_unit is file and fold_file is missing; name the table")
            return self
        for name in ("fold_file", "ignore_unmatched", "allow_shared_speakers"):
            if getattr(self, name):
                raise ValueError(f"{name} means something only with fold_unit: file; remove it")
        if self.development == "file":
            raise ValueError(
                "development: file takes the role dev from a table; it needs fold_unit: file"
            )
        return self


class SeededProtocolSettings(ProtocolSettings):
    """The protocol with the study's seed: what a fold depends on."""

    seed: int = Field(ge=0, lt=2**63)
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
