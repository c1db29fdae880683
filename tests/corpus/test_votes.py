"""Vote shares of the classes."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoscale.config.corpus import LabelSettings
from emoscale.corpus.votes import add_vote_shares

CLASSES = {"anger": ["ang"], "happiness": ["hap", "exc"], "neutral": ["neu"]}
VOTES = pl.List(pl.Struct({"rater": pl.String, "label": pl.String}))

Ballots = Mapping[str, list[str]]


def shares_of(*utterances: Ballots | None) -> list[dict[str, float] | None]:
    """Vote shares of utterances with these ballots."""
    votes = [
        None
        if ballots is None
        else [{"rater": rater, "label": label} for rater in ballots for label in ballots[rater]]
        for ballots in utterances
    ]
    table = pl.DataFrame({"votes": pl.Series(votes, dtype=VOTES), "corpus": ["one"] * len(votes)})
    result = add_vote_shares(table, LabelSettings(classes=CLASSES))
    assert result.drop("vote_shares").equals(table)
    return [
        None if shares is None else {each["label"]: each["share"] for each in shares}
        for shares in result["vote_shares"].to_list()
    ]


@pytest.mark.parametrize(
    ("ballots", "shares"),
    [
        ({"E1": ["neu"], "E2": ["neu"], "E3": ["neu"]}, {"neutral": 1.0}),
        ({"E1": ["neu"], "E2": ["ang"], "E3": ["neu"]}, {"anger": 1 / 3, "neutral": 2 / 3}),
        ({"E1": ["hap"], "E2": ["exc"]}, {"happiness": 1.0}),
        # a rater with two labels still has one vote
        ({"E1": ["ang", "neu"], "E2": ["neu"]}, {"anger": 0.25, "neutral": 0.75}),
        ({"E1": ["hap", "exc"], "E2": ["neu"]}, {"happiness": 0.5, "neutral": 0.5}),
        # half of E1's vote is outside the study: 1/2 of the remaining 3/2 votes
        ({"E1": ["ang", "fru"], "E2": ["neu"]}, {"anger": 1 / 3, "neutral": 2 / 3}),
        ({"E1": ["ang"], "E2": ["fru"], "E3": ["Neutral state"]}, {"anger": 1.0}),
        # a label that a rater chooses twice counts once
        ({"E1": ["ang", "ang", "neu"]}, {"anger": 0.5, "neutral": 0.5}),
        # the speaker's self-report counts like the others
        ({"E1": ["neu"], "F1": ["ang"]}, {"anger": 0.5, "neutral": 0.5}),
        ({"E1": ["fru"], "E2": ["oth"]}, None),
        ({}, None),
        (None, None),
    ],
)
def test_shares_by_hand(ballots: Ballots | None, shares: dict[str, float] | None) -> None:
    (result,) = shares_of(ballots)
    assert result == (shares if shares is None else pytest.approx(shares))


@given(
    st.dictionaries(
        st.sampled_from(["E1", "E2", "E3", "F1"]),
        st.lists(st.sampled_from(["neu", "ang", "hap", "exc", "fru", "xyz"]), max_size=4),
    )
)
def test_shares_sum_to_one_and_do_not_depend_on_the_order_of_votes(
    ballots: dict[str, list[str]],
) -> None:
    reversed_ballots = {rater: ballots[rater][::-1] for rater in reversed(ballots)}
    one, other = shares_of(ballots, reversed_ballots)
    assert one == (other if other is None else pytest.approx(other))
    if one is None:
        assert not {"neu", "ang", "hap", "exc"} & {v for labels in ballots.values() for v in labels}
    else:
        assert sum(one.values()) == pytest.approx(1.0)
        assert min(one.values()) > 0.0


def test_a_corpus_without_votes_has_no_shares() -> None:
    assert shares_of(None, None) == [None, None]
