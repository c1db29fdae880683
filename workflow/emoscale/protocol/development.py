"""Development sets other than the next unit: a session, whole speakers, or a random fraction."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl

from emoscale.runtime.errors import ProtocolError


def session_development(assigned: pl.DataFrame) -> pl.DataFrame:
    """Make a whole session the development set: the next, by name, without test utterances.

    If a fold tests one session, this is the session of `development: unit`.

    Parameters
    ----------
    assigned : DataFrame
        Labelled utterances with the columns `role` and `session`.

    Returns
    -------
    DataFrame
        The same utterances; those of the session have the role dev.

    Raises
    ------
    ProtocolError
        If an utterance has no session, every session has test utterances, or nothing would be left
        to train on.
    """
    without_session = assigned.filter(pl.col("session").is_null())
    if len(without_session):
        raise ProtocolError(
            f"{without_session['utterance'][0]} has no session, so protocol.development cannot be "
            "session; use speakers, random or none"
        )
    tested = set(assigned.filter(pl.col("role") == "test")["session"])
    names = sorted(assigned["session"].unique())
    last = max((names.index(name) for name in tested), default=-1)
    untested = [name for name in names[last + 1 :] + names[: last + 1] if name not in tested]
    result = assigned
    if untested:
        result = _move_to_development(assigned, pl.col("session") == untested[0])
    if not untested or "train" not in result["role"]:
        raise ProtocolError(
            f"protocol.development is session and {len(untested)} of {len(names)} sessions have no "
            "test utterance, which leaves no development or no training set; use development: "
            "speakers, random or none"
        )
    return result


def speaker_development(folds: list[pl.DataFrame], count: int, seed: int) -> pl.DataFrame:
    """Make whole training speakers of the last of `folds` its development set.

    Speakers that earlier folds selected least often are preferred, so that folds have different
    development speakers as far as possible. The sexes alternate; ties are broken at random.

    Parameters
    ----------
    folds : list of DataFrame
        The folds up to and including this one, before they have a development set; labelled
        utterances with the columns `role`, `speaker` and `sex`.
    count : int
        Number of development speakers.
    seed : int
        Seed of the study.

    Returns
    -------
    DataFrame
        The last fold; the utterances of the selected speakers have the role dev.

    Raises
    ------
    ProtocolError
        If no speaker would be left to train on.
    """
    uses: Counter[str] = Counter()
    earlier_sets: set[frozenset[str]] = set()
    selected: list[str] = []
    for number, assigned in enumerate(folds):
        generator = np.random.default_rng([seed, 44, number])
        selected = _select_speakers(assigned, count, uses, earlier_sets, generator)
        uses.update(selected)
        earlier_sets.add(frozenset(selected))
    return _move_to_development(folds[-1], pl.col("speaker").is_in(selected))


def random_development(
    assigned: pl.DataFrame, fraction: float, generator: np.random.Generator
) -> pl.DataFrame:
    """Make a random fraction of each class's training utterances the development set.

    Parameters
    ----------
    assigned : DataFrame
        Labelled utterances with the column `role`.
    fraction : float
        Fraction of the training utterances, 0 to 1; at least one utterance per class is selected.
    generator : Generator
        Source of randomness.

    Returns
    -------
    DataFrame
        The same utterances; the selected ones have the role dev.
    """
    selected: list[str] = []
    training = assigned.filter(pl.col("role") == "train")
    for label in sorted(training["label"].unique()):
        keys = training.filter(pl.col("label") == label)["utterance"].to_list()
        count = max(1, round(fraction * len(keys)))
        selected += [keys[index] for index in generator.permutation(len(keys))[:count]]
    return _move_to_development(assigned, pl.col("utterance").is_in(selected))


def roles_by_unit(
    units: pl.Series, count: int, tested: list[int], development: str, plural: str
) -> list[pl.Series]:
    """Return the roles of the utterances in each fold, where each fold tests one unit.

    With the development `unit`, the unit after the tested one is the development set; the first
    follows the last.

    Parameters
    ----------
    units : Series
        Unit number of each utterance, from 0; null if it has none.
    count : int
        Number of units.
    tested : list of int
        The unit that each fold tests.
    development : str
        The development setting of the protocol.
    plural : str
        What the units are called in error messages.

    Returns
    -------
    list of Series
        Role of each utterance, one series per fold; null if the utterance has no unit.

    Raises
    ------
    ProtocolError
        If nothing would be left to train on.
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


def _select_speakers(
    assigned: pl.DataFrame,
    count: int,
    uses: Counter[str],
    earlier_sets: set[frozenset[str]],
    generator: np.random.Generator,
) -> list[str]:
    """Select development speakers; if possible, not a set that an earlier fold selected."""
    tested = assigned.filter(pl.col("role") == "test")["speaker"].unique().to_list()
    people = (
        assigned.filter((pl.col("role") == "train") & ~pl.col("speaker").is_in(tested))
        .group_by("speaker")
        .agg(pl.col("sex").first().fill_null("unknown"))
        .sort("speaker")
    )
    if len(people) <= count:
        raise ProtocolError(
            f"protocol.development_speakers is {count} and a fold has {len(people)} speakers that "
            "are not tested: nothing is left to train on; lower it, or use development: random or "
            "none"
        )
    sex_of = dict(people.iter_rows())
    names = list(sex_of)
    speakers = [names[index] for index in generator.permutation(len(names))]
    selected: list[str] = []
    for remaining in range(count, 0, -1):
        available = [speaker for speaker in speakers if speaker not in selected]
        per_sex = Counter(sex_of[speaker] for speaker in selected)
        fewest = min(per_sex[sex_of[speaker]] for speaker in available)
        candidates = [speaker for speaker in available if per_sex[sex_of[speaker]] == fewest]
        candidates.sort(key=lambda speaker: uses[speaker])
        new = [
            speaker
            for speaker in candidates
            if remaining > 1 or {*selected, speaker} not in earlier_sets
        ]
        selected.append((new or candidates)[0])
    return selected


def _move_to_development(assigned: pl.DataFrame, selected: pl.Expr) -> pl.DataFrame:
    """Give the role dev to the selected training utterances."""
    role = pl.when(selected & (pl.col("role") == "train")).then(pl.lit("dev"))
    return assigned.with_columns(role=role.otherwise(pl.col("role")))
