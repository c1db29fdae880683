"""One file with all of a study: opens without a network, and may load nothing."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import altair as alt
import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from emoscale.reporting.report.answer import answer_of, question_of
from emoscale.reporting.report.glossary import GLOSSARY
from emoscale.reporting.report.protocol import corpus_section, protocol_section
from emoscale.reporting.report.provenance import provenance_section
from emoscale.reporting.report.results import (
    first_chart,
    first_figure_experiments,
    result_sections,
)
from emoscale.reporting.report.study import Study, highest
from emoscale.reporting.report.views import FigureView, Section, figure_of
from emoscale.reporting.report.words import count_words, interval_words, percent
from emoscale.runtime.files import write_text

_FOLDER = Path(__file__).resolve().parent


def write_report(study: Study, path: Path) -> None:
    """Write the page, atomically."""
    write_text(path, report_page(study))


def report_page(study: Study) -> str:
    """The page as HTML.

    A content security policy forbids it every connection and every program but its own, which are
    named by their digests; charts are drawn by Vega's interpreter, so nothing is evaluated either.
    """
    drawing, program = _drawing_program(), _own("page.js")
    environment = Environment(
        loader=PackageLoader("emoscale.reporting.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("page.html").render(
        study=study,
        policy=_policy(drawing, program),
        style=Markup(_own("page.css")),
        drawing=Markup(drawing),
        program=Markup(program),
        question=question_of(study),
        answer=answer_of(study),
        tiles=_tiles(study),
        banner=_banner(study),
        figure=_first_figure(study),
        sections=_sections(study),
        glossary=GLOSSARY,
    )


def _sections(study: Study) -> list[Section]:
    return [
        protocol_section(study),
        corpus_section(study),
        *result_sections(study),
        provenance_section(study),
    ]


def _first_figure(study: Study) -> FigureView:
    """The learning curves of the first screen."""
    view = figure_of("first", first_chart(study))
    drawn, there = len(first_figure_experiments(study)), len(study.largest)
    if drawn == there:
        return view
    chosen = f"Drawn: {drawn} of {there} experiments, the best and those with a curve; all below."
    return FigureView(view.key, view.title, f"{view.explanation} {chosen}", view.chart)


def _banner(study: Study) -> list[str]:
    """What must be known before any number is read."""
    told = []
    if study.synthetic:
        told.append(
            "The speech of this corpus is generated. The scores say that the workflow works; they "
            "say nothing about recognising emotion in people."
        )
    if study.random_weights:
        told.append(
            f"The networks of {count_words(len(study.random_weights), 'experiment')} have random, "
            f"untrained weights ({', '.join(study.random_weights)}): their scores are those of "
            "random features."
        )
    return told


def _tiles(study: Study) -> list[tuple[str, str, str]]:
    """Numbers for the eye: what, how much, and what belongs to it."""
    scores, best = study.scores, study.largest.row(0, named=True)
    speakers = _test_speakers(study)
    tested = f"{highest(scores, 'test_utterances'):,} utterances tested"
    repeats = count_words(highest(scores, "repeats"), "repeat")
    return [
        ("Best UA", percent(best["ua"]), interval_words(best, "ua") or best["experiment"]),
        ("Guessing", percent(best["chance_ua"]), "UA by chance"),
        ("Labels, at most", f"{max(scores['training_utterances_mean']):,.0f}", "to learn from"),
        ("Speakers", f"{speakers}" if speakers else "unknown", tested),
        ("Trainings", f"{_trainings(study):,}", f"{highest(scores, 'folds')} folds, {repeats}"),
    ]


def _test_speakers(study: Study) -> int:
    folds = study.checks.get("folds", {}).values()
    return len({name for fold in folds for name in fold["speakers"].get("test", [])})


def _trainings(study: Study) -> int:
    runs = study.rows("runs")
    scores = study.scores
    return int((scores["folds"] * scores["repeats"]).sum()) if runs is None else len(runs)


def _own(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _drawing_program() -> str:
    """Vega, Vega-Lite and Vega-Embed, of the version that altair writes for."""
    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    program: str = vl_convert.javascript_bundle(vl_version=version)  # type: ignore[call-arg]
    # These would end the element that the program stands in, or hide its end.
    assert "</script" not in program.lower()
    assert "<!--" not in program
    return program


def _policy(*programs: str) -> str:
    digests = (
        base64.b64encode(hashlib.sha256(program.encode()).digest()).decode() for program in programs
    )
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; connect-src 'none'; base-uri 'none'; form-action 'none'"
    )
