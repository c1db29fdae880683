"""The development set, where it is not the next unit: a session, speakers, or a random share."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl

from emoscale.runtime.errors import ProtocolError


def session_development(dealt: pl.DataFrame) -> pl.DataFrame:
    """A whole session becomes the development set: the next, by name, that is not tested.

    Where a fold tests one session that is the one of `development: unit`. Raises `ProtocolError`
    where utterances have no session, or every session is tested in part, or none is left to train
    on.
    """
    without = dealt.filter(pl.col("session").is_null())
    if len(without):
        raise ProtocolError(
            f"{without['utterance'][0]} has no session, so protocol.development cannot be session; "
            "use speakers, random or none"
        )
    tested = set(dealt.filter(pl.col("role") == "test")["session"])
    names = sorted(dealt["session"].unique())
    last = max((names.index(name) for name in tested), default=-1)
    free = [name for name in names[last + 1 :] + names[: last + 1] if name not in tested]
    moved = _moved(dealt, pl.col("session") == free[0]) if free else dealt
    if not free or "train" not in moved["role"]:
        raise ProtocolError(
            f"protocol.development is session and {len(free)} of {len(names)} sessions have no "
            "tested utterance: nothing is left to choose on, or to train on; use development: "
            "speakers, random or none"
        )
    return moved


def speaker_development(folds: list[pl.DataFrame], count: int, seed: int) -> pl.DataFrame:
    """Whole training speakers of the last of `folds` become its development set.

    `folds` are those up to it, before they have a development set: speakers that were chosen least
    often go first, so that folds have other speakers as far as they go. The sexes take turns, and
    `seed` chooses between equals. Raises `ProtocolError` where no speaker would be left to train
    on.
    """
    uses: Counter[str] = Counter()
    known: set[frozenset[str]] = set()
    chosen: list[str] = []
    for number, dealt in enumerate(folds):
        chosen = _least_used(dealt, count, uses, known, np.random.default_rng([seed, 44, number]))
        uses.update(chosen)
        known.add(frozenset(chosen))
    return _moved(folds[-1], pl.col("speaker").is_in(chosen))


def random_development(
    dealt: pl.DataFrame, share: float, generator: np.random.Generator
) -> pl.DataFrame:
    """A random `share` of each class's training utterances becomes the development set."""
    chosen: list[str] = []
    training = dealt.filter(pl.col("role") == "train")
    for label in sorted(training["label"].unique()):
        keys = training.filter(pl.col("label") == label)["utterance"].to_list()
        count = max(1, round(share * len(keys)))
        chosen += [keys[index] for index in generator.permutation(len(keys))[:count]]
    return _moved(dealt, pl.col("utterance").is_in(chosen))


def _least_used(
    dealt: pl.DataFrame,
    count: int,
    uses: Counter[str],
    known: set[frozenset[str]],
    generator: np.random.Generator,
) -> list[str]:
    """The speakers that a fold chooses, the last of them so that the set is new where it can."""
    tested = dealt.filter(pl.col("role") == "test")["speaker"].unique().to_list()
    people = (
        dealt.filter((pl.col("role") == "train") & ~pl.col("speaker").is_in(tested))
        .group_by("speaker")
        .agg(pl.col("sex").first().fill_null("unknown"))
        .sort("speaker")
    )
    if len(people) <= count:
        raise ProtocolError(
            f"protocol.development_speakers is {count} and a fold has {len(people)} speakers that "
            "are not tested: nothing is left to train on; make it smaller, or use development: "
            "random or none"
        )
    sex_of = dict(people.iter_rows())
    names = list(sex_of)
    speakers = [names[place] for place in generator.permutation(len(names))]
    chosen: list[str] = []
    for left in range(count, 0, -1):
        free = [speaker for speaker in speakers if speaker not in chosen]
        per_sex = Counter(sex_of[speaker] for speaker in chosen)
        fewest = min(per_sex[sex_of[speaker]] for speaker in free)
        fit = [speaker for speaker in free if per_sex[sex_of[speaker]] == fewest]
        fit.sort(key=lambda speaker: uses[speaker])
        new = [speaker for speaker in fit if left > 1 or {*chosen, speaker} not in known]
        chosen.append((new or fit)[0])
    return chosen


def _moved(dealt: pl.DataFrame, chosen: pl.Expr) -> pl.DataFrame:
    """The training utterances among the chosen become development utterances."""
    moved = pl.when(chosen & (pl.col("role") == "train")).then(pl.lit("dev"))
    return dealt.with_columns(role=moved.otherwise(pl.col("role")))


def roles_by_unit(
    units: pl.Series, count: int, tested: list[int], development: str, plural: str
) -> list[pl.Series]:
    """Each fold's roles of utterances of `count` units, from 0; null where an utterance has none.

    A fold tests one unit; with the development `unit` the next unit chooses, after the last the
    first. Raises `ProtocolError`, calling units by their `plural`, where nothing is left to train
    on.
    """
    if development == "unit" and count < 3:
        raise ProtocolError(
            f"protocol.development is unit and there are {count} {plural}: nothing is left to "
            "train on; use more of them, or development: speakers, random or none"
        )
    folds = []
    for number in tested:
        roles = dict.fromkeys(range(count), "train") | {number: "test"}
        if development == "unit":
            roles[(number + 1) % count] = "dev"
        folds.append(units.replace_strict(roles, return_dtype=pl.String))
    return folds
