"""Attention map: the attention weights of each token over the speech of one utterance."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import altair as alt
import numpy as np
import polars as pl
from numpy.typing import NDArray

from emoscale.reporting.figures import COLOURS, save

_MAXIMUM_BINS = 120
_ROW_PIXELS = 20


def draw_attention(
    utterance: str,
    tokens: Sequence[str],
    attention: NDArray[np.floating],
    frame_rate: float,
    seconds: NDArray[np.floating] | None,
    *paths: Path,
) -> None:
    """Draw the attention weights of each token over time, averaged over the heads.

    The figure has one row per token. Neighbouring frames are summed to at most 120 time bins, so
    the weights of a row sum to 1. A frame around a part of a row marks when the token is spoken.

    Parameters
    ----------
    utterance : str
        Key of the utterance, for the title.
    tokens : sequence of str
        The tokens.
    attention : ndarray
        Attention weights ``[heads, tokens, frames]`` (see `AlignedFusion.attention_weights`).
    frame_rate : float
        Frames per second.
    seconds : ndarray or None
        Start and end of each token ``[tokens, 2]`` in seconds; NaN where unknown.
    *paths : Path
        Files to write, each in the format of its extension (see `figures.save`).
    """
    heads, _, frames = attention.shape
    frames_per_bin = -(-frames // _MAXIMUM_BINS)
    bin_milliseconds = 1000 * frames_per_bin / frame_rate
    duration = frames / frame_rate
    rows = list(range(len(tokens)))
    # Rows are numbered, because a token may occur twice; the axis labels are the tokens.
    y = alt.Y("row:O", title=None, scale=alt.Scale(domain=rows)).axis(
        labelExpr=f"{json.dumps(list(tokens))}[datum.value]",
        labelLimit=200,
        labelPadding=6,
        ticks=False,
        domain=False,
    )
    x = alt.X("start:Q", title="time, seconds").scale(domain=[0.0, duration], nice=False)
    x = x.axis(grid=False, labelFlush=False)
    bins = (
        alt.Chart(_time_bins(attention.mean(axis=0), tokens, frames_per_bin, frame_rate))
        .mark_rect()
        .encode(
            x=x,
            x2="end:Q",
            y=y,
            color=alt.Color(
                "weight:Q",
                title="attention weight",
                scale=alt.Scale(domainMin=0, scheme="blues"),
            ).legend(format=".1%"),
            tooltip=[
                alt.Tooltip("token:N"),
                alt.Tooltip("start:Q", title="from, seconds", format=".2f"),
                alt.Tooltip("end:Q", title="to, seconds", format=".2f"),
                alt.Tooltip("weight:Q", title="attention weight", format=".1%"),
            ],
        )
    )
    spoken_times = _spoken_times(seconds, duration)
    outlines = (
        alt.Chart(spoken_times)
        .mark_rect(fillOpacity=0, stroke=COLOURS[1], strokeWidth=1.5)
        .encode(x=x, x2="end:Q", y=y)
    )
    chart = alt.layer(bins, outlines).properties(
        width=640,
        height=_ROW_PIXELS * len(tokens),
        title=alt.TitleParams(
            f"Attention of the tokens of {utterance} over time",
            subtitle=[
                f"mean over {heads} heads; time bins of {bin_milliseconds:.0f} ms",
                *(["outlined: when the token's word is spoken"] if len(spoken_times) else []),
            ],
            anchor="start",
        ),
    )
    with alt.data_transformers.enable("default", max_rows=None):  # long texts have many bins
        save(chart, *paths)


def _time_bins(
    attention: NDArray[np.floating], tokens: Sequence[str], frames_per_bin: int, frame_rate: float
) -> pl.DataFrame:
    """Return attention weights [tokens, frames] summed per time bin, one row per bin."""
    frames = attention.shape[1]
    starts = np.arange(0, frames, frames_per_bin)
    ends = np.append(starts[1:], frames)
    weights = np.add.reduceat(attention.astype(np.float64), starts, axis=1)
    return pl.DataFrame(
        {
            "row": np.repeat(np.arange(len(tokens)), len(starts)),
            "token": np.repeat(np.array(tokens, dtype=object), len(starts)).tolist(),
            "start": np.tile(starts / frame_rate, len(tokens)),
            "end": np.tile(ends / frame_rate, len(tokens)),
            "weight": weights.ravel(),
        }
    )


def _spoken_times(seconds: NDArray[np.floating] | None, duration: float) -> pl.DataFrame:
    """Return the known times of tokens, clipped to the utterance."""
    times = np.empty((0, 2)) if seconds is None else seconds.astype(np.float64)
    (rows,) = np.nonzero(~np.isnan(times).any(axis=1))
    start, end = times[rows].clip(0.0, duration).T
    return pl.DataFrame({"row": rows, "start": start, "end": end})
