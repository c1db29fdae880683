"""Audit report of a corpus: one HTML page that needs no network and fits a phone."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import altair as alt
import numpy as np
import polars as pl

from emoscale.audit.confounders import CONFOUNDERS
from emoscale.audit.corpus_audit import Audit
from emoscale.audit.finding import ERROR, NOTE, WARNING
from emoscale.reporting.figures import COLOURS
from emoscale.runtime.files import write_text

_MAXIMUM_FINDINGS = 30  # per kind; the table has all
_BINS = 30
_FIGURE_PIXELS = 250
_BAR_PIXELS = 60

_HEADINGS = {
    ERROR: ("Errors", "The protocol is invalid: nothing is trained until these are corrected."),
    WARNING: ("Warnings", "These weaken the evidence; they are shown with every score."),
    NOTE: ("Notes", "These have no effect on the study."),
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
.error { border-color: #b3261e; background: #fdecea }
.warning { border-color: #b86e00; background: #fff6e8 }
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
    """Write the page: errors, warnings, notes, counts and figures.

    Parameters
    ----------
    path : Path
        The page to write.
    audit : Audit
        Findings of the audit.
    utterances : DataFrame
        The utterance table.
    acoustics : DataFrame
        Acoustic measures per utterance, with the columns of `ACOUSTICS`.
    corpus : str
        Name of the corpus.
    """
    labelled = utterances.drop_nulls("label").join(acoustics, on="utterance")
    sections = [
        f"<h1>Audit of the corpus: {escape(corpus)}</h1>",
        *_introduction(utterances, labelled, corpus),
        f'<p class="verdict">{_verdict(audit.findings)}</p>',
        *_findings(audit.findings),
        *_counts(labelled),
        *_majority_baselines(audit, labelled["label"].n_unique()),
        *_figures(labelled),
        *_excluded(utterances),
    ]
    write_text(
        path,
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Audit of {escape(corpus)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(sections)
        + "\n</body>\n</html>\n",
    )


def _introduction(utterances: pl.DataFrame, labelled: pl.DataFrame, corpus: str) -> Iterable[str]:
    if "synthetic" in corpus:
        yield (
            '<p class="synthetic">This corpus is synthetic: its speech is generated. The findings '
            "show that the audit works; they are no evidence about human speech.</p>"
        )
    hours = float(labelled["seconds"].sum()) / 3600
    yield (
        f"<p>{len(labelled):,} of {len(utterances):,} usable utterances are in the study: "
        f"{hours:.1f} hours, {labelled['speaker'].n_unique()} speakers, "
        f"{labelled['label'].n_unique()} classes.</p>"
    )


def _verdict(findings: pl.DataFrame) -> str:
    counts = [len(findings.filter(severity=severity)) for severity in (ERROR, WARNING, NOTE)]
    errors = (
        "No errors"
        if not counts[0]
        else f"{_format_count(counts[0], 'error')} to correct before anything is trained"
    )
    warnings = "no warnings" if not counts[1] else _format_count(counts[1], "warning")
    return f"{errors}; {warnings}; {_format_count(counts[2], 'note')}."


def _findings(findings: pl.DataFrame) -> Iterable[str]:
    for severity, (title, meaning) in _HEADINGS.items():
        selected = findings.filter(severity=severity)
        if not len(selected):
            continue
        yield f'<h2>{title}</h2><p class="faint">{meaning}</p>'
        for (name,), rows in selected.group_by("finding", maintain_order=True):
            details = rows["detail"].to_list()
            sentences = "".join(
                f"<p>{escape(_with_full_stop(detail))}</p>"
                for detail in details[:_MAXIMUM_FINDINGS]
            )
            if len(details) > _MAXIMUM_FINDINGS:
                more = len(details) - _MAXIMUM_FINDINGS
                sentences += f'<p class="faint">{more:,} more in audit.csv</p>'
            heading = escape(_capitalise(str(name)))
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
        largest = max(len(rows) for _, rows in groups)
        columns = classes if column != "label" else []
        head = [column if column != "label" else "class", "utterances", *columns]
        head += ["minutes", "duration, s", "level, dBFS", "SNR, dB"]
        table = [
            [
                escape(str(name)),
                _count_with_bar(len(rows), largest),
                *(f"{len(rows.filter(label=label)):,}" for label in columns),
                f"{float(rows['seconds'].sum()) / 60:,.1f}",
                _format_median(rows["seconds"], 2),
                _format_median(rows["rms_dbfs"], 1),
                _format_median(rows["snr_db"], 1),
            ]
            for (name,), rows in groups
        ]
        yield f"<h2>{heading}</h2>"
        if column == "label":
            yield (
                '<p class="faint">Duration, level and SNR are medians over utterances. Level: RMS '
                "level in dB of full scale (dBFS). SNR: estimated signal-to-noise ratio.</p>"
            )
        yield _table(head, table, bars=True)


def _count_with_bar(count: int, largest: int) -> str:
    width = _BAR_PIXELS * count / largest
    bar = f'<span class="bar" style="width:{width:.0f}px"></span>'
    return f'<span class="count">{count:,}</span>{bar}'


def _majority_baselines(audit: Audit, classes: int) -> Iterable[str]:
    yield "<h2>Labels predicted without audio</h2>"
    yield (
        '<p class="faint">UA (unweighted accuracy) of predicting the most frequent class of each '
        "value, for example of each speaker, counted on the same labels. Permuted: mean UA with "
        f"permuted labels. Chance is {1 / classes:.0%}.</p>"
    )
    if not audit.majority_baselines:
        yield "<p>Not computed: none of these attributes varies in this corpus.</p>"
        return
    rows = [
        [
            escape(CONFOUNDERS[column]),
            f"{baseline.unweighted_accuracy:.1%}",
            f"{baseline.permuted_accuracy:.1%}",
            f"{baseline.p_value:.4f}",
        ]
        for column, baseline in audit.majority_baselines.items()
    ]
    yield _table(["known attribute", "UA", "UA, permuted", "p"], rows)


def _figures(labelled: pl.DataFrame) -> Iterable[str]:
    yield '<h2>Duration, level and noise</h2><div class="figures">'
    for column, axis_title in (
        ("seconds", "duration, seconds"),
        ("rms_dbfs", "RMS level, dB of full scale"),
        ("snr_db", "estimated signal-to-noise ratio, dB"),
        ("leading_silence_seconds", "silence before speech, seconds"),
    ):
        values = labelled[column].drop_nulls()
        if len(values):
            yield _histogram(values, axis_title)
    yield "</div>"
    yield (
        '<p class="faint">The noise power is estimated from the quietest tenth of the 25 ms '
        "frames, so the ratio is too low for an utterance without pauses. Silence: frames 40 dB or "
        "more below the loudest frame. All measures are in acoustics.parquet.</p>"
    )


def _excluded(utterances: pl.DataFrame) -> Iterable[str]:
    """Yield a table of the corpus's labels of utterances that are not in the study."""
    excluded = utterances.filter(pl.col("label").is_null())
    if not len(excluded):
        return
    counts = excluded.group_by("emotion").len().sort("len", "emotion", descending=[True, False])
    yield "<h2>Utterances outside the study</h2>"
    rows = [[escape(str(name)), f"{count:,}"] for name, count in counts.iter_rows()]
    yield _table(["label of the corpus", "utterances"], rows)


def _histogram(values: pl.Series, axis_title: str) -> str:
    counts, edges = np.histogram(values.to_numpy(), bins=_BINS)
    data = pl.DataFrame({"from": edges[:-1], "to": edges[1:], "utterances": counts})
    chart = (
        alt.Chart(data)
        .mark_rect(color=COLOURS[0], stroke="white", strokeWidth=0.5)
        .encode(
            x=alt.X("from:Q", title=axis_title)
            .scale(zero=False, nice=True)
            .axis(tickCount=4, labelOverlap=True),
            x2="to:Q",
            y=alt.Y("utterances:Q", title="utterances").scale(zero=True),
            y2=alt.datum(0),
        )
        .properties(width=_FIGURE_PIXELS, height=130)
        .configure_axis(labelFontSize=12, titleFontSize=12)
    )
    svg = io.StringIO()
    chart.save(svg, format="svg")
    label = escape(f"Histogram: {axis_title}")
    return svg.getvalue().replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], bars: bool = False) -> str:
    """Return an HTML table of cells that are already HTML; `bars`: the second column has bars."""
    attributes = ["", ' class="left"' if bars else "", *[""] * len(head)]
    titles = "".join(
        f"<th{attribute}>{escape(title)}</th>"
        for title, attribute in zip(head, attributes, strict=False)
    )
    body = "".join(f"<tr>{_row(cells, attributes)}</tr>" for cells in rows)
    return f'<div class="scroll"><table><tr>{titles}</tr>{body}</table></div>'


def _row(cells: Sequence[str], attributes: Sequence[str]) -> str:
    return "".join(
        f"<td{attribute}>{cell}</td>" for cell, attribute in zip(cells, attributes, strict=False)
    )


def _format_median(values: pl.Series, digits: int) -> str:
    """Return the median, or a dash for an empty column."""
    median = values.median()
    return "–" if median is None else f"{float(median):.{digits}f}"  # type: ignore[arg-type]


def _format_count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _capitalise(text: str) -> str:
    return text[:1].upper() + text[1:]


def _with_full_stop(detail: str) -> str:
    return detail + ("" if detail.endswith(".") else ".")
