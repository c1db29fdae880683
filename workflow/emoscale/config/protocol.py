"""Settings of the protocol: folds, development sets, training orders and training sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, StrictInt, StrictStr, field_validator, model_validator

from emoscale.config.settings import Settings, UserPath

_SIZE = re.compile(r"^(?:(?P<total>[1-9]\d{0,6})|(?P<each>[1-9]\d{0,6})-per-class|all)$")


class ProtocolSettings(Settings):
    """Folds, development sets and training orders, shared by all experiments of a study."""

    renamed: ClassVar[Mapping[str, str]] = {
        "tested": "test_units",
        "leave_out_unmatched": "ignore_unmatched",
        "development_share": "development_fraction",
    }

    fold_unit: Literal[
        "session", "speakers", "stratified", "file", "corpus", "corpus_pairs", "official"
    ]
    """What one fold tests. session: one session. speakers: a group of speakers, the groups balanced
    in size and sex; with as many folds as speakers, one speaker. stratified: a group of speakers,
    the groups balanced in the classes. corpus: one of several corpora, after training on all
    others. corpus_pairs: a group of speakers of every corpus, after training on one corpus without
    its group; over all folds, each corpus is tested by models of each corpus, also of itself. file:
    given by `fold_file`. official: a test split of the published corpus (test, test1, test2 …),
    with its train split as training data; every score reports speakers on both sides."""

    folds: int = Field(ge=1, le=100)
    """Number of folds; with `session`, `corpus` and `official`, the number of units that are
    tested; with `corpus_pairs`, the number of corpora times the groups of speakers in each."""

    test_units: list[StrictStr] | None = Field(default=None, min_length=1)
    """Sessions, corpora or official test splits that are tested, one per fold: [emodb]. The other
    sessions and corpora are training data in every fold. null: all are tested in turn."""

    fold_file: UserPath | None = None
    """With `fold_unit: file`: a table with the columns `utterance` and `fold` (each fold tests its
    utterances), or `utterance`, `fold` and `role` (train, dev or test) with one row per utterance
    and fold, or `utterance` and `role` for a single fold."""

    ignore_unmatched: bool = False
    """With `fold_unit: file`: whether utterances that are missing in the table or in the corpus are
    ignored, and their number reported with the scores. Otherwise they are an error."""

    allow_shared_speakers: bool = False
    """With `fold_unit: file`: whether a speaker may have several roles, as in some published folds;
    every score then reports it. Otherwise it is an error."""

    text_disjoint: bool = False
    """Whether no text occurs in two roles. Utterances with the words of a test utterance are
    removed from training and development, and those with the words of a development utterance from
    training (except with `development: random`, where speakers are shared anyway). Utterances
    without a transcript stay."""

    development: Literal["unit", "session", "speakers", "random", "file", "official", "none"] = (
        "unit"
    )
    """The development set. unit: the unit of the next fold (session, speakers or corpus). session:
    another whole session. speakers: `development_speakers` whole speakers. random: a fraction of
    the training utterances, so it shares speakers with training (for comparison with published
    protocols; every score reports it). file: the utterances with the role dev in `fold_file`.
    official: the dev split of the published corpus. none: there is none, and training needs
    `early_stopping: false`."""

    development_fraction: float = Field(default=0.2, gt=0.0, lt=0.9)
    """With `development: random`: fraction of each class's training utterances."""

    development_speakers: int = Field(default=2, ge=1, le=1000)
    """With `development: speakers`: number of speakers, alternating women and men, with as little
    overlap between folds as possible."""

    repeats: int = Field(default=3, ge=1, le=100)
    """Trainings per experiment, fold and size, with different initialisations and, unless
    `seeds_per_order` is larger than 1, different training orders."""

    seeds_per_order: int = Field(default=1, ge=1, le=100)
    """Number of repeats that share a training order (and, with `shuffle_labels`, a permutation).
    With 2 or more, and 2 or more orders, the tables separate the variance of training orders from
    that of initialisations."""

    shuffle_labels: bool = False
    """Negative control: permute the labels of training and development utterances, so that scores
    must be at chance level."""

    @model_validator(mode="after")
    def _check_seeds_per_order(self) -> ProtocolSettings:
        if self.repeats % self.seeds_per_order:
            raise ValueError(
                f"repeats is {self.repeats}, which is no multiple of seeds_per_order "
                f"({self.seeds_per_order}); change one of them"
            )
        return self

    def order_of(self, repeat: int) -> int:
        """Return the number of a repeat's training order.

        Parameters
        ----------
        repeat : int
            Index of the repeat, from 0.

        Returns
        -------
        int
            From 0.
        """
        return repeat // self.seeds_per_order

    @model_validator(mode="after")
    def _check_test_units(self) -> ProtocolSettings:
        tested = self.test_units or []
        if tested and self.fold_unit not in ("session", "corpus", "official"):
            raise ValueError(
                "test_units needs fold_unit: session, corpus or official; set it, or remove "
                "test_units"
            )
        twice = sorted({name for name in tested if tested.count(name) > 1})
        if twice:
            raise ValueError(f"test_units lists {twice[0]} twice; keep one")
        if tested and len(tested) != self.folds:
            raise ValueError(
                f"test_units lists {len(tested)} units and folds is {self.folds}; set folds to "
                f"{len(tested)}"
            )
        if self.folds == 1 and not tested and self.fold_unit not in ("file", "official"):
            raise ValueError(
                "folds is 1, so no training data is left; set it to 2 or more, or name the session "
                "or corpus to test in test_units"
            )
        return self

    @model_validator(mode="after")
    def _check_fold_file(self) -> ProtocolSettings:
        if self.fold_unit == "file":
            if self.fold_file is None:
                raise ValueError(
                    "fold_unit is file and fold_file is missing; give the path of the table"
                )
            return self
        for name in ("fold_file", "ignore_unmatched", "allow_shared_speakers"):
            if getattr(self, name):
                raise ValueError(f"{name} has an effect only with fold_unit: file; remove it")
        if self.development == "file":
            raise ValueError(
                "development: file needs fold_unit: file, whose table has the role dev"
            )
        return self

    @model_validator(mode="after")
    def _check_official_split(self) -> ProtocolSettings:
        if self.development == "official" and self.fold_unit != "official":
            raise ValueError("development: official needs fold_unit: official; set both or neither")
        if self.development == "unit" and self.fold_unit == "official":
            raise ValueError(
                "development: unit is the unit of the next fold, which would be another test "
                "split; use official, or where the corpus has no dev split speakers, random or none"
            )
        return self

    @property
    def speakers_may_be_shared(self) -> bool:
        """Whether a speaker may be tested and trained on, which every score then reports."""
        return self.allow_shared_speakers or self.fold_unit == "official"


class SeededProtocolSettings(ProtocolSettings):
    """The protocol with the seed of the study: all that a fold depends on."""

    seed: int = Field(ge=0, lt=2**63)
    """Seed of the training orders."""


def check_size(size: int | str) -> str:
    """Return a training size as it appears in file names.

    Parameters
    ----------
    size : int or str
        Such as 500, "125-per-class" or "all".

    Returns
    -------
    str
        '500', '125-per-class' or 'all'.

    Raises
    ------
    ValueError
        For anything else.
    """
    text = str(size)
    if isinstance(size, bool) or not _SIZE.match(text):
        raise ValueError(
            f"training size {size!r} is not understood; write a total (500), "
            "a number per class (125-per-class) or all"
        )
    return text


class SizesSettings(Settings):
    """Training sizes of a study."""

    sizes: list[StrictInt | StrictStr] = Field(min_length=1)
    """Totals (500), numbers per class (125-per-class) or all."""

    @field_validator("sizes")
    @classmethod
    def _check_sizes(cls, sizes: list[int | str]) -> list[int | str]:
        names = [check_size(size) for size in sizes]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"training size {twice[0]} is listed twice; keep one")
        return list(names)
