"""The tables of slices: scores of groups of the tested utterances, and gaps between groups."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, compress

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from emoscale.evaluation.speakers import (
    Answers,
    Draws,
    count_answers,
    draw_speakers,
    drawn_unweighted_accuracy,
    interval,
    unweighted_accuracy,
)
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import schema_field
from emoscale.training.metrics import Floats

_CELL = [
    schema_field("experiment", pa.string(), "representation and model, by the study's name"),
    schema_field("size", pa.string(), "training size as asked for: each experiment's largest"),
    schema_field(
        "slice",
        pa.string(),
        "what utterances are grouped by: sex, speaker, session, style, text (are its words in the "
        "fold's training texts), duration, agreement (share of the raters' votes for the label), "
        "noise (estimated signal-to-noise ratio), corpus",
    ),
    schema_field("group", pa.string(), "unknown: the corpus does not say"),
]
FEWEST_SPEAKERS = 5
"""With fewer, there is no interval: all that can be drawn from n speakers lies between them, and
the truth does so in about 1 - 2^(1 - n) of all cases at most, which is 88 % for four."""

_ENDS = f"of the 95 % interval over speakers and repeats; null: under {FEWEST_SPEAKERS} speakers"

SLICES = pa.schema(
    [
        *_CELL,
        schema_field("utterances", pa.int32(), "tested ones in the group, over all folds"),
        schema_field("speakers", pa.int32(), "who spoke them"),
        schema_field("classes", pa.int32(), "classes that the group has utterances of"),
        schema_field(
            "ua", pa.float64(), "unweighted accuracy over these classes, mean over repeats"
        ),
        schema_field("ua_low", pa.float64(), f"lower end {_ENDS}", null=True),
        schema_field("ua_high", pa.float64(), f"upper end {_ENDS}", null=True),
        schema_field("wa", pa.float64(), "accuracy, mean over repeats, 0 to 1"),
    ]
)
"""A row an experiment, slice and group; a slice with one group only is left out."""

SLICE_GAPS = pa.schema(
    [
        *_CELL,
        schema_field("other", pa.string(), "the group that it is compared with"),
        schema_field("classes", pa.int32(), "classes that both groups have: the gap is over these"),
        schema_field("gap", pa.float64(), "UA of `group` less UA of `other`"),
        schema_field("gap_low", pa.float64(), f"lower end {_ENDS}, paired by speaker", null=True),
        schema_field("gap_high", pa.float64(), f"upper end {_ENDS}, paired by speaker", null=True),
        schema_field(
            "excluded_draws",
            pa.float64(),
            "share of the draws of speakers in which one of the groups had none, 0 to 1",
        ),
    ]
)
"""A row an experiment, slice and pair of groups; single speakers are not compared."""


def slice_tables(
    predictions: pl.DataFrame,
    groups: pl.DataFrame,
    speaker_of: pl.DataFrame,
    classes: list[str],
    seed: int,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Scores of each group (schema `SLICES`), and gaps of each pair (schema `SLICE_GAPS`).

    `predictions` has `experiment, size, fold, utterance, repeat, label, predicted`, of the sizes
    that are wanted; `groups` is `groups_of_tests`; `speaker_of` has `utterance, speaker`. A group's
    interval draws its own speakers. A gap's draws all of the experiment's, so that groups that
    share speakers are paired; its width is that of the group with fewer speakers. Of groups with
    fewer than `FEWEST_SPEAKERS` there is none.
    """
    scores: list[dict[str, object]] = []
    gaps: list[dict[str, object]] = []
    for (experiment, size), own in predictions.group_by("experiment", "size", maintain_order=True):
        everyone = sorted(own.join(speaker_of, on="utterance")["speaker"].unique())
        draws = draw_speakers(everyone, seed)
        joined = own.join(groups, on=["fold", "utterance"], maintain_order="left")
        for name in dict.fromkeys(groups["slice"]):
            sliced = joined.filter(pl.col("slice") == name)
            answers = {
                group: count_answers(part, speaker_of, classes)
                for group, part in _groups_in_order(sliced)
            }
            cell = {"experiment": experiment, "size": size, "slice": name}
            scores += [
                {**cell, "group": group, **_score(each, seed)} for group, each in answers.items()
            ]
            if name == "speaker":
                continue
            for group, other in combinations(answers, 2):
                gap = _gap(answers[group], answers[other], draws)
                if gap is not None:
                    gaps.append({**cell, "group": group, "other": other, **gap})
    return dataframe_of(scores, SLICES), dataframe_of(gaps, SLICE_GAPS)


def _groups_in_order(sliced: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    ordered = sliced.select("place", "group").unique().sort("place")
    for group in ordered["group"]:
        yield group, sliced.filter(pl.col("group") == group)


def _score(answers: Answers, seed: int) -> dict[str, object]:
    drawn = drawn_unweighted_accuracy(answers, draw_speakers(answers.speakers, seed))
    low, high = _interval(drawn, len(answers.speakers))
    return {
        "utterances": int(answers.there.sum()),
        "speakers": len(answers.speakers),
        "classes": int((answers.there.sum(axis=0) > 0).sum()),
        "ua": unweighted_accuracy(answers),
        "ua_low": low,
        "ua_high": high,
        "wa": float(answers.right.sum() / (answers.there.sum() * answers.repeats)),
    }


def _gap(one: Answers, other: Answers, draws: Draws) -> dict[str, object] | None:
    """Of two groups; None where they have no class in common."""
    common = (one.there.sum(axis=0) > 0) & (other.there.sum(axis=0) > 0)
    if not common.any():
        return None
    one, other = _of_classes(one, common), _of_classes(other, common)
    pair = [(each, _weights(each, draws)) for each in (one, other)]
    usable = np.all([weights @ each.there.sum(axis=1) > 0 for each, weights in pair], axis=0)
    # Both from the same draws: of speakers, and of repeats.
    drawn = [
        drawn_unweighted_accuracy(each, Draws(each.speakers, weights[usable], draws.seed))
        for each, weights in pair
    ]
    fewer = min(len(one.speakers), len(other.speakers))
    low, high = _interval(drawn[0] - drawn[1], fewer)
    return {
        "classes": int(common.sum()),
        "gap": unweighted_accuracy(one) - unweighted_accuracy(other),
        "gap_low": low,
        "gap_high": high,
        "excluded_draws": float(1 - usable.mean()),
    }


def _of_classes(answers: Answers, wanted: NDArray[np.bool_]) -> Answers:
    """Without the utterances of other classes, and without speakers who then have none."""
    confusions = answers.confusions * wanted[:, None]
    there = confusions[0].sum(axis=(1, 2)) > 0
    return Answers(
        tuple(compress(answers.speakers, there)),
        confusions[:, there],
        tuple(compress(answers.folds, there)),  # of answers without folds, none again
        answers.orders,
    )


def _weights(answers: Answers, draws: Draws) -> Floats:
    """[draws, speakers of the answers]: how often each was drawn."""
    place = {name: number for number, name in enumerate(draws.speakers)}
    return draws.speaker_weights[:, [place[name] for name in answers.speakers]]


def _interval(values: Floats, speakers: int) -> tuple[float | None, float | None]:
    return interval(values, speakers) if speakers >= FEWEST_SPEAKERS else (None, None)
