"""The audit of a corpus as one page that opens offline, on a phone too."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import altair as alt
import numpy as np
import polars as pl

from emoscale.audit.finding import BREAKS, NOTE, WEAKENS
from emoscale.audit.findings import Audit
from emoscale.audit.people import GUESSED_BY
from emoscale.reporting.figures import COLOURS
from emoscale.runtime.files import write_text

_MOST_FINDINGS = 30  # of a kind; the table has all
_BINS = 30
_FIGURE_PIXELS = 250
_BAR_PIXELS = 60

_HEADINGS = {
    BREAKS: ("Breaks the protocol", "Nothing is trained before this is mended."),
    WEAKENS: ("Weakens the scores", "These sentences stand beside every score."),
    NOTE: ("Notes", "Worth knowing; they change nothing."),
}

_STYLE = """
:root { color-scheme: light }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; margin: 0 auto; padding: 1rem;
  max-width: 66rem; background: #fff }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0 }
h2 { font-size: 1.2rem; margin: 2rem 0 .25rem }
p { margin: .4rem 0 }
.faint { color: #595959; font-size: .9rem }
.synthetic { background: #fff4d6; border: 1px solid #e69f00; padding: .5rem .75rem }
.finding { border-left: .3rem solid #767676; padding: .35rem .75rem; margin: .5rem 0;
  background: #f6f6f6; overflow-wrap: anywhere }
.finding p { margin: 0 }
.breaks { border-color: #b3261e; background: #fdecea }
.weakens { border-color: #b86e00; background: #fff6e8 }
.verdict { font-size: 1.1rem; font-weight: 600 }
.scroll { overflow: auto; max-height: 32rem }
table { border-collapse: collapse; font-size: .9rem }
th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid #ddd;
  white-space: nowrap; font-variant-numeric: tabular-nums }
th { position: sticky; top: 0; background: #fff }
th:first-child, td:first-child { text-align: left }
.bar { display: inline-block; height: .7rem; background: #0072b2; vertical-align: middle;
  margin-left: .4rem }
.count { display: inline-block; min-width: 2.5rem; text-align: right }
td.left, th.left { text-align: left }
td:first-child { white-space: normal; min-width: 4rem; overflow-wrap: anywhere }
.figures { display: flex; flex-wrap: wrap; gap: 1rem }
.figures svg { max-width: 100%; height: auto }
"""


def write_audit_page(
    path: Path,
    audit: Audit,
    utterances: pl.DataFrame,
    acoustics: pl.DataFrame,
    corpus: str,
) -> None:
    """Write the page: what breaks, what weakens, notes, counts and figures.

    `utterances` is the utterance table, `acoustics` has the columns of `ACOUSTICS`; `corpus` is
    what the corpus is called.
    """
    labelled = utterances.drop_nulls("label").join(acoustics, on="utterance")
    parts = [
        f"<h1>Audit of the corpus: {escape(corpus)}</h1>",
        *_opening(utterances, labelled, corpus),
        f'<p class="verdict">{_verdict(audit.findings)}</p>',
        *_findings(audit.findings),
        *_counts(labelled),
        *_guesses(audit, labelled["label"].n_unique()),
        *_figures(labelled),
        *_outside(utterances),
    ]
    write_text(
        path,
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Audit of {escape(corpus)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n",
    )


def _opening(utterances: pl.DataFrame, labelled: pl.DataFrame, corpus: str) -> Iterable[str]:
    if "synthetic" in corpus:
        yield (
            '<p class="synthetic">This corpus is synthetic: its speech is generated. What is '
            "found here says that the audit works, and nothing about people's speech.</p>"
        )
    hours = float(labelled["seconds"].sum()) / 3600
    yield (
        f"<p>{len(labelled):,} of {len(utterances):,} usable utterances are in the study: "
        f"{hours:.1f} hours, {labelled['speaker'].n_unique()} speakers, "
        f"{labelled['label'].n_unique()} classes.</p>"
    )


def _verdict(findings: pl.DataFrame) -> str:
    counts = [len(findings.filter(severity=severity)) for severity in (BREAKS, WEAKENS, NOTE)]
    breaks = (
        "Nothing breaks the protocol"
        if not counts[0]
        else f"{_counted(counts[0], 'finding')} must be mended before anything is trained"
    )
    weakens = (
        "nothing weakens the scores"
        if not counts[1]
        else f"{_counted(counts[1], 'finding')} to read the scores with"
    )
    return f"{breaks}; {weakens}; {_counted(counts[2], 'note')}."


def _findings(findings: pl.DataFrame) -> Iterable[str]:
    for severity, (title, meaning) in _HEADINGS.items():
        own = findings.filter(severity=severity)
        if not len(own):
            continue
        yield f'<h2>{title}</h2><p class="faint">{meaning}</p>'
        for (name,), rows in own.group_by("finding", maintain_order=True):
            details = rows["detail"].to_list()
            sentences = "".join(
                f"<p>{escape(_as_sentence(detail))}</p>" for detail in details[:_MOST_FINDINGS]
            )
            if len(details) > _MOST_FINDINGS:
                more = len(details) - _MOST_FINDINGS
                sentences += f'<p class="faint">and {more:,} more in audit.csv</p>'
            heading = escape(_capital(str(name)))
            yield f'<div class="finding {severity}"><b>{heading}</b>{sentences}</div>'


def _counts(labelled: pl.DataFrame) -> Iterable[str]:
    classes = sorted(labelled["label"].unique())
    for column, heading in (
        ("label", "By class"),
        ("session", "By session"),
        ("sex", "By sex"),
        ("style", "By style"),
        ("speaker", "By speaker"),
    ):
        known = labelled.with_columns(pl.col(column).fill_null("not stated"))
        if known[column].n_unique() < 2 and column != "label":
            continue
        groups = sorted(known.group_by(column), key=lambda item: str(item[0]))
        most = max(len(rows) for _, rows in groups)
        split = classes if column != "label" else []
        head = [column if column != "label" else "class", "utterances", *split]
        head += ["minutes", "seconds", "level", "SNR"]
        table = [
            [
                escape(str(name)),
                f'<span class="count">{len(rows):,}</span>'
                f'<span class="bar" style="width:{_BAR_PIXELS * len(rows) / most:.0f}px"></span>',
                *(f"{len(rows.filter(label=label)):,}" for label in split),
                f"{float(rows['seconds'].sum()) / 60:,.1f}",
                _number(rows["seconds"], 2),
                _number(rows["rms_dbfs"], 1),
                _number(rows["snr_db"], 1),
            ]
            for (name,), rows in groups
        ]
        yield f"<h2>{heading}</h2>"
        if column == "label":
            yield (
                '<p class="faint">Medians of an utterance\'s duration in seconds, its level in dB '
                "of full scale (RMS) and its estimated signal-to-noise ratio in dB.</p>"
            )
        yield _table(head, table, bars=True)


def _guesses(audit: Audit, classes: int) -> Iterable[str]:
    yield "<h2>What tells the label without listening</h2>"
    yield (
        '<p class="faint">UA of guessing each one\'s most frequent class, on the very labels that '
        "were counted; by accident: the mean where labels are permuted. Chance is "
        f"{1 / classes:.0%}.</p>"
    )
    if not audit.guesses:
        yield "<p>Nothing varies that could.</p>"
        return
    rows = [
        [
            escape(GUESSED_BY[column]),
            f"{guess.unweighted_accuracy:.1%}",
            f"{guess.by_accident:.1%}",
            f"{guess.p_value:.4f}",
        ]
        for column, guess in audit.guesses.items()
    ]
    yield _table(["known", "UA", "by accident", "p"], rows)


def _figures(labelled: pl.DataFrame) -> Iterable[str]:
    yield '<h2>How long, how loud, how noisy</h2><div class="figures">'
    for column, words in (
        ("seconds", "duration, seconds"),
        ("rms_dbfs", "level, dB of full scale (RMS)"),
        ("snr_db", "estimated signal-to-noise ratio, dB"),
        ("leading_silence_seconds", "silence before speech, seconds"),
    ):
        values = labelled[column].drop_nulls()
        if len(values):
            yield _histogram(values, words)
    yield "</div>"
    yield (
        '<p class="faint">The noise is read from the quietest tenth of the 25 ms frames, so an '
        "utterance without any pause looks noisier than it is. Silence is 40 dB below the loudest "
        "frame. All measures are in acoustics.parquet.</p>"
    )


def _outside(utterances: pl.DataFrame) -> Iterable[str]:
    """The corpus's own labels of what the study leaves out."""
    outside = utterances.filter(pl.col("label").is_null())
    if not len(outside):
        return
    counts = outside.group_by("emotion").len().sort("len", "emotion", descending=[True, False])
    yield "<h2>Outside the study</h2>"
    rows = [[escape(str(name)), f"{count:,}"] for name, count in counts.iter_rows()]
    yield _table(["the corpus's label", "utterances"], rows)


def _histogram(values: pl.Series, words: str) -> str:
    counts, edges = np.histogram(values.to_numpy(), bins=_BINS)
    data = pl.DataFrame({"from": edges[:-1], "to": edges[1:], "utterances": counts})
    chart = (
        alt.Chart(data)
        .mark_rect(color=COLOURS[0], stroke="white", strokeWidth=0.5)
        .encode(
            x=alt.X("from:Q", title=words)
            .scale(zero=False, nice=True)
            .axis(tickCount=4, labelOverlap=True),
            x2="to:Q",
            y=alt.Y("utterances:Q", title="utterances").scale(zero=True),
            y2=alt.datum(0),
        )
        .properties(width=_FIGURE_PIXELS, height=130)
        .configure_axis(labelFontSize=12, titleFontSize=12)
    )
    drawing = io.StringIO()
    chart.save(drawing, format="svg")
    label = escape(f"Histogram: {words}")
    return drawing.getvalue().replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], bars: bool = False) -> str:
    """A table of cells that are HTML already; with `bars`, the second column has one in each."""
    place = ["", ' class="left"' if bars else "", *[""] * len(head)]
    titles = "".join(
        f"<th{at}>{escape(title)}</th>" for title, at in zip(head, place, strict=False)
    )
    body = "".join(
        f"<tr>{''.join(f'<td{at}>{cell}</td>' for cell, at in zip(row, place, strict=False))}</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{titles}</tr>{body}</table></div>'


def _number(values: pl.Series, digits: int) -> str:
    """The median, or a dash where there is none."""
    median = values.median()
    return "–" if median is None else f"{float(median):.{digits}f}"  # type: ignore[arg-type]


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _as_sentence(detail: str) -> str:
    return detail + ("" if detail.endswith(".") else ".")
