"""The sections that show tables of results: what each needs, says, draws and lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import altair as alt
import polars as pl
from markupsafe import Markup

from emoscale.reporting.confusion import confusion_chart
from emoscale.reporting.efficiency import efficiency_chart
from emoscale.reporting.forecast import forecast_chart
from emoscale.reporting.forest import forest_chart
from emoscale.reporting.layer_weights import layer_weights_chart
from emoscale.reporting.learning_curves import learning_curves_chart
from emoscale.reporting.report.study import Study
from emoscale.reporting.report.views import Section, figure_of, view_of
from emoscale.reporting.robustness import robustness_chart
from emoscale.reporting.slices import slices_chart


@dataclass(frozen=True)
class Listing:
    """A table of a study with its caption and the columns that are shown at first."""

    table: str
    caption: str
    shown: list[str]
    folded: bool = False
    """Whether the figure says it, and the rows are for who looks closer."""


@dataclass(frozen=True)
class Part:
    """A section of results; it is there when its first table has rows."""

    title: str
    lead: str
    absent: str
    listings: list[Listing]
    charts: tuple[Callable[[Study], alt.TopLevelMixin], ...] = ()
    rigid: bool = False
    """Whether its figures keep their form on a narrow screen and scroll there, because their panels
    share labels or have text at a place of its own."""


def result_sections(study: Study) -> list[Section]:
    """The sections of all results, in the order of the page."""
    return [_section(study, part) for part in PARTS]


def _section(study: Study, part: Part) -> Section:
    key = part.listings[0].table.replace("_", "-")
    if study.rows(part.listings[0].table) is None:
        return Section(key, part.title, absent=part.absent)
    paragraphs: list[str | Markup] = [part.lead]
    charts = part.charts
    if key == "scores" and len(first_figure_experiments(study)) == len(study.largest):
        paragraphs.append("The figure stands beside the answer.")
        charts = ()
    return Section(
        key,
        part.title,
        paragraphs=paragraphs,
        figures=[
            figure_of(f"{key}-{number}" if number else key, draw(study), rigid=part.rigid)
            for number, draw in enumerate(charts)
        ],
        tables=[
            view_of(
                study.tables[listing.table],
                listing.caption,
                shown=listing.shown,
                file=f"tables/{listing.table}.csv",
                folded=listing.folded,
            )
            for listing in part.listings
            if study.rows(listing.table) is not None
        ],
    )


def first_figure_experiments(study: Study, number: int = 7) -> list[str]:
    """The best experiments, as many as one panel tells apart, with a curve before a single point.

    The best of all is among them whatever it has. In the study's order.
    """
    sizes = dict(study.scores.group_by("experiment").len().iter_rows())
    ranked = study.largest["experiment"].to_list()
    best, *others = ranked
    chosen = [best, *sorted(others, key=lambda name: sizes[name] == 1)][:number]
    return [
        name for name in study.scores["experiment"].unique(maintain_order=True) if name in chosen
    ]


def first_chart(study: Study) -> alt.TopLevelMixin:
    """The learning curves that stand beside the answer."""
    chosen = first_figure_experiments(study)
    return learning_curves_chart(study.scores.filter(pl.col("experiment").is_in(chosen)))


def _efficiency_chart(study: Study) -> alt.TopLevelMixin:
    table = study.tables["efficiency"]
    about = table.about
    return efficiency_chart(
        table.frame, study.scores, about.get("reference", ""), about.get("left_out", "")
    )


PARTS = [
    Part(
        "Learning curves and scores",
        "UA against the number of labels that were learned from. Every score is of speakers that "
        "the training has not heard; utterances of all folds are pooled, and repeats (other "
        "training subsets, orders and initialisations) are averaged.",
        "",
        [
            Listing(
                "scores",
                "Scores, a row an experiment and training size",
                [
                    *("experiment", "size", "training_utterances_mean", "ua", "wa"),
                    *("ua_repeat_std", "ua_fold_std", "ece"),
                ],
            )
        ],
        (lambda study: learning_curves_chart(study.scores),),
    ),
    Part(
        "How many labels one saves over another",
        "How many labels an experiment needs for the UA that another reaches with more of them, "
        "read off its learning curve. A factor of 8 says: an eighth of the labels is enough. Where "
        "a curve ends before it is crossed, the factor is a bound, and the row says so.",
        "Efficiency is not part of this study: it compares experiments that were trained at two or "
        "more sizes, and there is no table of them.",
        [
            Listing(
                "efficiency",
                "Labels needed for the same UA, a row a pair and size",
                ["experiment", "other", "other_labels", "ua", "labels", "factor", "bound"],
            )
        ],
        (_efficiency_chart,),
        rigid=True,
    ),
    Part(
        "Which differences are beyond doubt",
        "Every pair of experiments at every size, on the same test utterances. Intervals and p "
        "come from whole speakers, because utterances of one are not independent. A winner is "
        "declared only after Holm's correction for all comparisons of the study.",
        "Comparisons are not part of this study: there are no two experiments at one size, or no "
        "table of them.",
        [
            Listing(
                "comparisons",
                "Comparisons, a row a pair and size",
                [
                    *("size", "experiment", "other", "ua", "other_ua", "difference"),
                    *("p_holm", "winner", "effect_size"),
                ],
            )
        ],
        (lambda study: forest_chart(study.tables["comparisons"].frame, study.scores),),
        rigid=True,
    ),
    Part(
        "Which class is taken for which",
        "Rows are the true classes and sum to 100 %: the diagonal is what was recognised.",
        "Confusion matrices are not part of this study: there is no table of them.",
        [
            Listing(
                "confusion",
                "Confusions, a row a true and a predicted class",
                ["experiment", "size", "label", "predicted", "fraction", "utterances"],
                folded=True,
            )
        ],
        (lambda study: confusion_chart(study.tables["confusion"].frame, study.scores),),
    ),
    Part(
        "For whom it works",
        "The same answers, counted by group: a mean can hide that one group is served worse. Gaps "
        "are between two groups of the same experiment.",
        "Slices (by sex, speaker, style and the like) are not part of this study: there is no "
        "table of them.",
        [
            Listing(
                "slices",
                "Scores by group",
                [
                    *("experiment", "size", "slice", "group", "utterances", "speakers"),
                    *("ua", "wa"),
                ],
            ),
            Listing(
                "slice_gaps",
                "Gaps between groups",
                ["experiment", "size", "slice", "group", "other", "gap"],
            ),
        ],
        (lambda study: slices_chart(study.tables["slices"].frame, study.scores),),
        rigid=True,
    ),
    Part(
        "Which layers the models take",
        "Where a network's layers are read with learned weights: how much of each the trained "
        "models take. Equal shares are where training starts.",
        "Layer weights: no experiment of this study weighs the layers of a network; each reads one "
        "layer, or a representation without layers.",
        [
            Listing(
                "layer_weights",
                "Layer weights, a row a layer, fold and repeat",
                ["experiment", "representation", "layer", "size", "fold", "repeat", "weight"],
                folded=True,
            )
        ],
        (lambda study: layer_weights_chart(study.tables["layer_weights"].frame, study.scores),),
    ),
    Part(
        "In noise, in rooms and on the telephone",
        "The same trained models on degraded test recordings; the drop is against the recordings "
        "as they are.",
        "Robustness is not part of this study; see `robustness` in the configuration.",
        [
            Listing(
                "robustness",
                "Scores under degradation",
                ["experiment", "size", "condition", "level", "ua", "drop"],
            )
        ],
        (lambda study: robustness_chart(study.tables["robustness"].frame, study.scores),),
        rigid=True,
    ),
    Part(
        "What more labels would bring",
        "Each learning curve, continued: the UA to expect at sizes nobody has labelled yet, and "
        "the labels a wanted UA would need. Rows called hidden check the forecast: the last "
        "measured point was hidden from it, and must lie inside the interval.",
        "A forecast is not part of this study: it needs learning curves of several sizes, and "
        "there is no table of it.",
        [
            Listing(
                "forecast",
                "Forecasts",
                ["experiment", "kind", "labels", "ua", "measured_ua", "covered"],
            )
        ],
        (lambda study: forecast_chart(study.tables["forecast"].frame, study.scores),),
    ),
    Part(
        "Beside published figures",
        "Published scores with their sources, and ours where the protocol matches; what differs is "
        "said in the row.",
        "Published figures stand beside studies of corpora that they exist for; this study has no "
        "table of them.",
        [
            Listing(
                "published",
                "Published and ours",
                [
                    *("source", "system", "metric", "labels", "value", "our_value"),
                    *("experiment", "differences"),
                ],
            )
        ],
    ),
    Part(
        "Every training",
        "A row a training: its counts, scores, time, memory and device. All columns show the "
        "digests of what it was made from, too.",
        "The table of trainings is missing.",
        [
            Listing(
                "runs",
                "Trainings",
                [
                    *("experiment", "fold", "size", "repeat", "training_utterances", "ua", "wa"),
                    *("best_development_ua", "steps", "stop_reason", "seconds"),
                    *("peak_memory_megabytes", "device", "precision"),
                ],
            ),
            Listing(
                "trials",
                "Points of searched grids",
                [
                    *("experiment", "fold", "size", "repeat", "trial", "choices", "chosen"),
                    *("development_ua", "steps", "seconds"),
                ],
            ),
        ],
    ),
]
