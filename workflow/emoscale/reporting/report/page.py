"""The report page: one HTML file with all results of a study, which loads nothing."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from pathlib import Path

import altair as alt
import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from emoscale.reporting.report.answer import study_answer, study_question
from emoscale.reporting.report.formatting import format_count, format_interval, format_percent
from emoscale.reporting.report.glossary import GLOSSARY
from emoscale.reporting.report.protocol import corpus_section, protocol_section
from emoscale.reporting.report.provenance import provenance_section
from emoscale.reporting.report.results import (
    first_figure_chart,
    first_figure_experiments,
    result_sections,
)
from emoscale.reporting.report.study import Study, column_maximum
from emoscale.reporting.report.views import FigureView, Section, figure_view
from emoscale.runtime.files import write_text

_FOLDER = Path(__file__).resolve().parent


def write_report(study: Study, path: Path) -> None:
    """Write the report page of a study atomically.

    Parameters
    ----------
    study : Study
        The study.
    path : Path
        The HTML file.
    """
    write_text(path, report_page(study))


def report_page(study: Study) -> str:
    """Return the report page of a study as HTML.

    A content security policy forbids all connections, and all scripts except the two of the page,
    which it identifies by their digests. Vega draws the charts with its expression interpreter,
    so that no code is evaluated.

    Parameters
    ----------
    study : Study
        The study.

    Returns
    -------
    str
        The page.
    """
    vega_script, page_script = _vega_script(), _read_asset("page.js")
    environment = Environment(
        loader=PackageLoader("emoscale.reporting.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["code"] = _mark_code
    return environment.get_template("page.html").render(
        study=study,
        policy=_content_security_policy(vega_script, page_script),
        style=Markup(_read_asset("page.css")),
        vega_script=Markup(vega_script),
        page_script=Markup(page_script),
        question=study_question(study),
        answer=study_answer(study),
        tiles=_tiles(study),
        banner=_banner(study),
        figure=_first_figure(study),
        sections=_sections(study),
        glossary=GLOSSARY,
    )


def _mark_code(text: str | Markup) -> Markup:
    """Return text as markup, with `backquoted` names as code."""
    return Markup(re.sub(r"`([^`<>]+)`", r"<code>\1</code>", str(escape(text))))


def _sections(study: Study) -> list[Section]:
    return [
        protocol_section(study),
        corpus_section(study),
        *result_sections(study),
        provenance_section(study),
    ]


def _first_figure(study: Study) -> FigureView:
    """Return the learning curves next to the answer."""
    view = figure_view("first", first_figure_chart(study))
    selected, total = len(first_figure_experiments(study)), len(study.ranking)
    if selected == total:
        return view
    selection = (
        f"{selected} of {total} experiments: the best, preferably those with several sizes; the "
        "figure below has all."
    )
    return dataclasses.replace(view, explanation=f"{view.explanation} {selection}")


def _banner(study: Study) -> list[str]:
    """Return what a reader must know before any number: synthetic speech, random weights."""
    sentences = []
    if study.synthetic:
        utterances = study.rows("utterances")
        if utterances is not None and utterances["corpus"].n_unique() > 1:
            sentences.append(
                "The speech of one of the corpora is generated. Scores that depend on it are no "
                "evidence about recognising human emotion."
            )
        else:
            sentences.append(
                "The speech of this corpus is generated. The scores show that the workflow works; "
                "they are no evidence about recognising human emotion."
            )
    if study.random_weights:
        sentences.append(
            f"The networks of {format_count(len(study.random_weights), 'experiment')} have random, "
            f"untrained weights ({_listed(study.random_weights)}): their scores are those of "
            "random features."
        )
    return sentences


def _listed(names: list[str], maximum: int = 20) -> str:
    more = len(names) - maximum
    return ", ".join(names[:maximum]) + (f" and {more} more" if more > 0 else "")


def _tiles(study: Study) -> list[tuple[str, str, str]]:
    """Return the most important numbers: title, number and detail."""
    scores, best = study.scores, study.ranking.row(0, named=True)
    speakers = _test_speakers(study)
    tested = f"{column_maximum(scores, 'test_utterances'):,} test utterances"
    repeats = format_count(column_maximum(scores, "repeats"), "repeat")
    return [
        (
            "UA of the best",
            format_percent(best["ua"]),
            format_interval(best, "ua") or best["experiment"],
        ),
        ("Chance", format_percent(best["chance_ua"]), "UA by chance"),
        ("Labels", f"{max(scores['training_utterances_mean']):,.0f}", "largest training size"),
        ("Test speakers", f"{speakers}" if speakers else "unknown", tested),
        (
            "Trainings",
            f"{_trainings(study):,}",
            f"{column_maximum(scores, 'folds')} folds, {repeats}",
        ),
    ]


def _test_speakers(study: Study) -> int:
    folds = study.checks.get("folds", {}).values()
    return len({name for fold in folds for name in fold["speakers"].get("test", [])})


def _trainings(study: Study) -> int:
    runs = study.rows("runs")
    scores = study.scores
    return int((scores["folds"] * scores["repeats"]).sum()) if runs is None else len(runs)


def _read_asset(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _vega_script() -> str:
    """Return Vega, Vega-Lite and Vega-Embed in the version that altair writes for."""
    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    script: str = vl_convert.javascript_bundle(vl_version=version)  # type: ignore[call-arg]
    # These would end the script element, or hide its end.
    assert "</script" not in script.lower()
    assert "<!--" not in script
    return script


def _content_security_policy(*scripts: str) -> str:
    digests = (
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts
    )
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; connect-src 'none'; base-uri 'none'; form-action 'none'"
    )
