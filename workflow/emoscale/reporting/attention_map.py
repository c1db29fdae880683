"""Where in the speech the tokens of one utterance look."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import altair as alt
import numpy as np
import polars as pl
from numpy.typing import NDArray

from emoscale.reporting.figures import COLOURS, save

_MOST_COLUMNS = 120
_ROW_PIXELS = 20


def draw_attention(
    utterance: str,
    tokens: Sequence[str],
    attention: NDArray[np.floating],
    frame_rate: float,
    seconds: NDArray[np.floating] | None,
    *paths: Path,
) -> None:
    """A row a token: how its attention is spread over the utterance, mean over heads.

    `attention` is [heads, tokens, frames] (see `AlignedFusion.attention_of`), `frame_rate` in
    frames a second. `seconds` [tokens, 2] is when each token is spoken, not a number where that is
    unknown; a line around that part of a row shows it. The cells of a row sum to 1, each of one or
    more frames. The drawing is written to each of `paths` (see `figures.save`).
    """
    heads, _, frames = attention.shape
    frames_a_cell = -(-frames // _MOST_COLUMNS)
    duration = frames / frame_rate
    rows = list(range(len(tokens)))
    # Rows are numbered, as a token may come twice; the axis says the tokens themselves.
    y = alt.Y("row:O", title=None, scale=alt.Scale(domain=rows)).axis(
        labelExpr=f"{json.dumps(list(tokens))}[datum.value]",
        labelLimit=200,
        labelPadding=6,
        ticks=False,
        domain=False,
    )
    x = alt.X("start:Q", title="seconds").scale(domain=[0.0, duration], nice=False)
    x = x.axis(grid=False, labelFlush=False)
    cells = (
        alt.Chart(_cells(attention.mean(axis=0), tokens, frames_a_cell, frame_rate))
        .mark_rect()
        .encode(
            x=x,
            x2="end:Q",
            y=y,
            color=alt.Color(
                "share:Q",
                title=["share of the", "token's attention"],
                scale=alt.Scale(domainMin=0, scheme="blues"),
            ).legend(format=".1%"),
            tooltip=[
                alt.Tooltip("token:N"),
                alt.Tooltip("start:Q", title="from, seconds", format=".2f"),
                alt.Tooltip("end:Q", title="to, seconds", format=".2f"),
                alt.Tooltip("share:Q", title="share of its attention", format=".1%"),
            ],
        )
    )
    times = _times_of_words(seconds, duration)
    words = (
        alt.Chart(times)
        .mark_rect(fillOpacity=0, stroke=COLOURS[1], strokeWidth=1.5)
        .encode(x=x, x2="end:Q", y=y)
    )
    chart = alt.layer(cells, words).properties(
        width=640,
        height=_ROW_PIXELS * len(tokens),
        title=alt.TitleParams(
            f"Where the tokens of {utterance} look in the speech",
            subtitle=[
                f"mean over {heads} heads; a cell is {1000 * frames_a_cell / frame_rate:.0f} ms",
                *(["outlined: when the token's word is spoken"] if len(times) else []),
            ],
            anchor="start",
        ),
    )
    with alt.data_transformers.enable("default", max_rows=None):  # long texts have many cells
        save(chart, *paths)


def _cells(
    attention: NDArray[np.floating], tokens: Sequence[str], frames_a_cell: int, frame_rate: float
) -> pl.DataFrame:
    """Attention [tokens, frames] summed over the frames of each cell, a row a cell."""
    frames = attention.shape[1]
    starts = np.arange(0, frames, frames_a_cell)
    ends = np.append(starts[1:], frames)
    shares = np.add.reduceat(attention.astype(np.float64), starts, axis=1)
    return pl.DataFrame(
        {
            "row": np.repeat(np.arange(len(tokens)), len(starts)),
            "token": np.repeat(np.array(tokens, dtype=object), len(starts)).tolist(),
            "start": np.tile(starts / frame_rate, len(tokens)),
            "end": np.tile(ends / frame_rate, len(tokens)),
            "share": shares.ravel(),
        }
    )


def _times_of_words(seconds: NDArray[np.floating] | None, duration: float) -> pl.DataFrame:
    """The known times of tokens, as far as they lie within the utterance."""
    times = np.empty((0, 2)) if seconds is None else seconds.astype(np.float64)
    (rows,) = np.nonzero(~np.isnan(times).any(axis=1))
    start, end = times[rows].clip(0.0, duration).T
    return pl.DataFrame({"row": rows, "start": start, "end": end})
