"""The tables of slices: scores of groups of the test utterances, and gaps between groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, compress

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from emoscale.evaluation.speakers import (
    PredictionCounts,
    SpeakerBootstrap,
    bootstrap_speakers,
    bootstrap_unweighted_accuracy,
    confidence_interval,
    count_predictions,
    unweighted_accuracy,
)
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import schema_field
from emoscale.training.metrics import Floats

MINIMUM_SPEAKERS = 5
"""Least number of speakers for an interval. A bootstrap cannot reach beyond the range of its n
values, which contains the true value in at most about 1 - 2^(1 - n) of all cases: 88 % for four."""

_INTERVAL = (
    "95 % interval, bootstrap over speakers and trainings; null: fewer than "
    f"{MINIMUM_SPEAKERS} speakers"
)

_GROUP_FIELDS = [
    schema_field("experiment", pa.string(), "name of the experiment (representation, model)"),
    schema_field("size", pa.string(), "training size: the experiment's largest"),
    schema_field(
        "slice",
        pa.string(),
        "property that groups the utterances: sex, speaker, session, style, text (whether the "
        "transcript occurs in the fold's training pool), duration, agreement (fraction of the "
        "raters' votes for the label), noise (estimated signal-to-noise ratio), corpus, "
        "split (the official split of the release)",
    ),
    schema_field("group", pa.string(), "value of the property; unknown: not in the corpus"),
]

SLICES = pa.schema(
    [
        *_GROUP_FIELDS,
        schema_field("utterances", pa.int32(), "test utterances of the group, over all folds"),
        schema_field("speakers", pa.int32(), "speakers of these utterances"),
        schema_field("classes", pa.int32(), "number of classes in the group"),
        schema_field(
            "ua",
            pa.float64(),
            "unweighted accuracy (UA) over these classes, mean over repeats, 0 to 1",
        ),
        schema_field("ua_low", pa.float64(), f"lower end of its {_INTERVAL}", null=True),
        schema_field("ua_high", pa.float64(), f"upper end of its {_INTERVAL}", null=True),
        schema_field("wa", pa.float64(), "accuracy (WA), mean over repeats, 0 to 1"),
    ]
)
"""One row per experiment, slice and group; slices of a single group are left out."""

SLICE_GAPS = pa.schema(
    [
        *_GROUP_FIELDS,
        schema_field("other", pa.string(), "group that it is compared with"),
        schema_field(
            "classes", pa.int32(), "number of classes in both groups, over which the gap is taken"
        ),
        schema_field("gap", pa.float64(), "UA of `group` minus UA of `other`"),
        schema_field(
            "gap_low", pa.float64(), f"lower end of its {_INTERVAL}; paired by speaker", null=True
        ),
        schema_field(
            "gap_high", pa.float64(), f"upper end of its {_INTERVAL}; paired by speaker", null=True
        ),
        schema_field(
            "excluded_draws",
            pa.float64(),
            "fraction of bootstrap samples without any speaker of one of the groups, 0 to 1",
        ),
    ]
)
"""One row per experiment, slice and pair of groups; single speakers are not compared, and sessions
only if they have `MINIMUM_SPEAKERS`."""


def slice_tables(
    predictions: pl.DataFrame,
    groups: pl.DataFrame,
    speaker_of: pl.DataFrame,
    classes: list[str],
    seed: int,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Compute the scores of each group, and the gap of each pair of groups.

    The interval of a group resamples the speakers of the group. The interval of a gap resamples all
    speakers of the experiment, so that groups that share speakers are paired; its percentiles are
    expanded for the group with fewer speakers. Groups with fewer than `MINIMUM_SPEAKERS` have no
    interval.

    Parameters
    ----------
    predictions : DataFrame
        Columns `experiment, size, fold, utterance, repeat, label, predicted`, of the training sizes
        to evaluate.
    groups : DataFrame
        Table of `group_test_utterances`.
    speaker_of : DataFrame
        Columns `utterance, speaker`.
    classes : list of str
        Class names.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    tuple of DataFrame
        Scores (schema `SLICES`) and gaps (schema `SLICE_GAPS`).
    """
    scores: list[dict[str, object]] = []
    gaps: list[dict[str, object]] = []
    for (experiment, size), predictions_of_cell in predictions.group_by(
        "experiment", "size", maintain_order=True
    ):
        all_counts = count_predictions(predictions_of_cell, speaker_of, classes)
        bootstrap = bootstrap_speakers(all_counts.speakers, seed, folds=all_counts.fold_names)
        fold_of = dict(zip(all_counts.speakers, all_counts.folds, strict=True))
        joined = (
            predictions_of_cell.join(groups, on=["fold", "utterance"], maintain_order="left")
            .join(speaker_of.select("utterance", "speaker"), on="utterance", maintain_order="left")
            # A group may lack one of several folds that test a speaker; its trainings are the same.
            .with_columns(fold=pl.col("speaker").replace_strict(fold_of))
            .drop("speaker")
        )
        for name in dict.fromkeys(groups["slice"]):
            sliced = joined.filter(pl.col("slice") == name)
            counts = {
                group: count_predictions(table, speaker_of, classes)
                for group, table in _groups_in_order(sliced)
            }
            key = {"experiment": experiment, "size": size, "slice": name}
            scores += [
                {**key, "group": group, **group_score(counts_of_group, seed)}
                for group, counts_of_group in counts.items()
            ]
            if name == "speaker":
                continue
            if name == "session":  # there may be hundreds, of one speaker each
                counts = {
                    group: each
                    for group, each in counts.items()
                    if len(each.speakers) >= MINIMUM_SPEAKERS
                }
            for group, other in combinations(counts, 2):
                gap = _gap(counts[group], counts[other], bootstrap)
                if gap is not None:
                    gaps.append({**key, "group": group, "other": other, **gap})
    return dataframe_of(scores, SLICES), dataframe_of(gaps, SLICE_GAPS)


def group_score(counts: PredictionCounts, seed: int) -> dict[str, object]:
    """Compute the scores of a group of test utterances, with the interval of UA.

    Parameters
    ----------
    counts : PredictionCounts
        Confusion counts of the group.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    dict of str to object
        Columns `utterances, speakers, classes, ua, ua_low, ua_high, wa` of `SLICES`; the ends of
        the interval are None for fewer than `MINIMUM_SPEAKERS`.
    """
    bootstrap = bootstrap_speakers(counts.speakers, seed, folds=counts.fold_names)
    bootstrap_ua = bootstrap_unweighted_accuracy(counts, bootstrap)
    low, high = _interval(bootstrap_ua, len(counts.speakers))
    return {
        "utterances": int(counts.support.sum()),
        "speakers": len(counts.speakers),
        "classes": int((counts.support.sum(axis=0) > 0).sum()),
        "ua": unweighted_accuracy(counts),
        "ua_low": low,
        "ua_high": high,
        "wa": float(counts.correct.sum() / (counts.support.sum() * counts.repeats)),
    }


def _groups_in_order(sliced: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    ordered = sliced.select("position", "group").unique().sort("position")
    for group in ordered["group"]:
        yield group, sliced.filter(pl.col("group") == group)


def _gap(
    counts: PredictionCounts, other_counts: PredictionCounts, bootstrap: SpeakerBootstrap
) -> dict[str, object] | None:
    """Compute the gap between two groups; None if they have no class in common."""
    common = (counts.support.sum(axis=0) > 0) & (other_counts.support.sum(axis=0) > 0)
    if not common.any():
        return None
    pair = [_select_classes(group, common) for group in (counts, other_counts)]
    weights = [_speaker_weights(group, bootstrap) for group in pair]
    usable = np.all(
        [
            speaker_weights @ group.support.sum(axis=1) > 0
            for group, speaker_weights in zip(pair, weights, strict=True)
        ],
        axis=0,
    )
    # Both groups use the same bootstrap samples of speakers and of trainings.
    bootstrap_ua = [
        bootstrap_unweighted_accuracy(
            group,
            replace(bootstrap, speakers=group.speakers, speaker_weights=speaker_weights[usable]),
        )
        for group, speaker_weights in zip(pair, weights, strict=True)
    ]
    fewer = min(len(group.speakers) for group in pair)
    low, high = _interval(bootstrap_ua[0] - bootstrap_ua[1], fewer)
    return {
        "classes": int(common.sum()),
        "gap": unweighted_accuracy(pair[0]) - unweighted_accuracy(pair[1]),
        "gap_low": low,
        "gap_high": high,
        "excluded_draws": float(1 - usable.mean()),
    }


def _select_classes(counts: PredictionCounts, selected: NDArray[np.bool_]) -> PredictionCounts:
    """Drop the utterances of other classes, and speakers without any other utterance."""
    confusions = counts.confusions * selected[:, None]
    has_utterances = confusions[0].sum(axis=(1, 2)) > 0
    return PredictionCounts(
        tuple(compress(counts.speakers, has_utterances)),
        confusions[:, has_utterances],
        tuple(compress(counts.folds, has_utterances)),  # stays empty if there are no folds
        counts.orders,
    )


def _speaker_weights(counts: PredictionCounts, bootstrap: SpeakerBootstrap) -> Floats:
    """Return the bootstrap weights [samples, speakers] of the speakers of `counts`."""
    index_of = {name: index for index, name in enumerate(bootstrap.speakers)}
    return bootstrap.speaker_weights[:, [index_of[name] for name in counts.speakers]]


def _interval(values: Floats, speakers: int) -> tuple[float | None, float | None]:
    return confidence_interval(values, speakers) if speakers >= MINIMUM_SPEAKERS else (None, None)
