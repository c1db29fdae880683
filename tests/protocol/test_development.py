"""Development sets of whole sessions and of whole speakers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import polars as pl
import pytest

from emoscale.config.protocol import ProtocolSettings
from emoscale.protocol.orders import make_fold
from emoscale.runtime.errors import ProtocolError
from tests.protocol.small_corpora import folds_of, of_role, several_corpora


def protocol(**settings: Any) -> ProtocolSettings:
    return ProtocolSettings.model_validate({"repeats": 1, **settings})


def test_with_session_folds_the_other_session_is_the_next_unit() -> None:
    table = several_corpora()
    for tested in (None, ["b:s2"], ["c:s2", "a:s1"]):
        chosen = {"fold_unit": "session", "folds": len(tested or range(6)), "test_units": tested}
        one = folds_of(table, protocol(**chosen, development="session"))
        other = folds_of(table, protocol(**chosen, development="unit"))
        assert all(one[name].equals(other[name]) for name in other)


def test_a_whole_session_is_the_development_set_if_folds_test_speakers() -> None:
    table = several_corpora()
    for unit in ("speakers", "stratified"):
        settings = protocol(fold_unit=unit, folds=12, development="session")
        for fold in folds_of(table, settings).values():
            joined = fold.join(table.select("utterance", "session"), on="utterance")
            (session,) = of_role(joined, "dev", "session")
            assert session not in of_role(joined, "test", "session")
            assert set(joined.filter(pl.col("session") == session)["role"]) == {"dev"}


def test_leave_one_speaker_out() -> None:
    """As many folds as speakers; the next speaker is the development set."""
    table = several_corpora().filter(pl.col("corpus") == "a")
    folds = folds_of(table, protocol(fold_unit="speakers", folds=8))
    for role in ("test", "dev"):
        chosen = [of_role(fold, role, "speaker") for fold in folds.values()]
        assert all(len(speakers) == 1 for speakers in chosen)
        assert set.union(*chosen) == set(table["speaker"])


def test_impossible_development_sessions() -> None:
    table = several_corpora()
    settings = protocol(fold_unit="speakers", folds=2, development="session")
    with pytest.raises(ProtocolError, match=r"is session and 0 of 6 sessions have no test utter"):
        make_fold(table, settings, 0, 1)
    without_session = table.with_columns(session=pl.lit(None, dtype=pl.String))
    with pytest.raises(ProtocolError, match=r"has no session, so protocol.development cannot be"):
        make_fold(without_session, settings, 0, 1)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_development_speakers_rotate_over_the_folds(count: int) -> None:
    table = several_corpora()
    settings = protocol(
        fold_unit="session", folds=6, development="speakers", development_speakers=count
    )
    folds = folds_of(table, settings)
    chosen = [of_role(fold, "dev", "speaker") for fold in folds.values()]
    for fold, speakers in zip(folds.values(), chosen, strict=True):
        assert len(speakers) == count
        assert set(fold.filter(pl.col("speaker").is_in(speakers))["role"]) == {"dev"}
        sexes = Counter(speaker[-2] for speaker in speakers)
        assert abs(sexes["F"] - sexes["M"]) <= 1
    assert len({frozenset(speakers) for speakers in chosen}) == 6
    uses = Counter(speaker for speakers in chosen for speaker in speakers)
    if count <= 2:
        assert max(uses.values()) == 1  # 12 women and 12 men suffice for 6 folds
    assert chosen == [
        of_role(fold, "dev", "speaker") for fold in folds_of(table, settings).values()
    ]
    others = [of_role(fold, "dev", "speaker") for fold in folds_of(table, settings, 2).values()]
    assert chosen != others


def test_pairs_differ_as_long_as_others_are_available() -> None:
    """Ten speakers, as in EMO-DB and IEMOCAP: 24 pairs of untested speakers, 10 folds."""
    table = several_corpora()
    ten = sorted(table["speaker"].unique())
    ten = [*[name for name in ten if name[-2] == "F"][:5], *[n for n in ten if n[-2] == "M"][:5]]
    table = table.filter(pl.col("speaker").is_in(ten))
    settings = protocol(fold_unit="speakers", folds=10, development="speakers")
    chosen = [
        frozenset(of_role(fold, "dev", "speaker")) for fold in folds_of(table, settings).values()
    ]
    assert len(set(chosen)) == 10
    uses = Counter(speaker for speakers in chosen for speaker in speakers)
    assert max(uses.values()) - min(uses.values()) <= 2


def test_speakers_of_unknown_sex_may_be_development_speakers() -> None:
    table = several_corpora().with_columns(sex=pl.lit(None, dtype=pl.String))
    settings = protocol(fold_unit="corpus", folds=3, development="speakers")
    assert len(of_role(make_fold(table, settings, 0, 1), "dev", "speaker")) == 2


def test_more_development_speakers_than_available() -> None:
    settings = protocol(
        fold_unit="corpus", folds=3, development="speakers", development_speakers=16
    )
    with pytest.raises(
        ProtocolError, match=r"development_speakers is 16 and a fold has 16 speakers"
    ):
        make_fold(several_corpora(), settings, 0, 1)
