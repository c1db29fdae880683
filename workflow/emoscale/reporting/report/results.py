"""The sections on results: their tables, figures and texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import altair as alt
import polars as pl
from markupsafe import Markup

from emoscale.reporting.confusion import confusion_chart
from emoscale.reporting.corpus_pairs import corpus_pairs_chart
from emoscale.reporting.efficiency import efficiency_chart
from emoscale.reporting.figures import (
    PAIR_COLUMNS,
    is_of_pairs,
    of_experiments,
    shown_experiments,
)
from emoscale.reporting.forecast import forecast_chart
from emoscale.reporting.forest import forest_chart
from emoscale.reporting.layer_weights import layer_weights_chart
from emoscale.reporting.learning_curves import learning_curves_chart
from emoscale.reporting.pretraining import loss_chart, ranking_chart
from emoscale.reporting.report.study import Study
from emoscale.reporting.report.views import Section, TableView, figure_view, table_view
from emoscale.reporting.robustness import robustness_chart
from emoscale.reporting.slices import slices_chart


@dataclass(frozen=True)
class ResultTable:
    """A table of the study that a section shows."""

    name: str
    """Name of the table."""

    caption: str

    visible: list[str]
    """Columns that are visible at first."""

    collapsed: bool = False
    """Whether only the caption is visible at first, because the figure shows the same."""


@dataclass(frozen=True)
class ResultSection:
    """A section on results, which is on the page if its first table has rows."""

    title: str

    introduction: str

    absent: str
    """Why a study does not have this section."""

    tables: list[ResultTable]

    charts: tuple[Callable[[Study], alt.TopLevelMixin], ...] = ()

    fixed_layout: bool = False
    """Whether its figures scroll on a narrow screen, because their panels share axis labels or
    have text at fixed positions."""

    @property
    def key(self) -> str:
        """The name of the section on the page."""
        return self.tables[0].name.replace("_", "-")


def result_sections(study: Study) -> list[Section]:
    """Return the sections on results, in the order of the page.

    Parameters
    ----------
    study : Study
        The study.

    Returns
    -------
    list of Section
        The sections.
    """
    return [_section(study, section) for section in RESULT_SECTIONS]


def _section(study: Study, section: ResultSection) -> Section:
    if study.rows(section.tables[0].name) is None:
        return Section(section.key, section.title, absent=section.absent)
    paragraphs: list[str | Markup] = [section.introduction]
    charts = section.charts
    if section.key == "scores" and len(first_figure_experiments(study)) == len(study.ranking):
        paragraphs.append("The figure at the top of the page shows these learning curves.")
        charts = ()
    shown = shown_experiments(study.ranking["experiment"].to_list(), study.reference)
    if shown is not None and charts:
        paragraphs.append(
            f"The figure shows {len(shown)} of the {len(study.ranking)} experiments: the best, and "
            "the one that others are compared with."
        )
        study_of_figures = study.of_experiments(shown)
    else:
        study_of_figures = study
    return Section(
        section.key,
        section.title,
        paragraphs=paragraphs,
        figures=[
            figure_view(
                f"{section.key}-{number}" if number else section.key,
                chart(study_of_figures),
                fixed_layout=section.fixed_layout,
            )
            for number, chart in enumerate(charts)
        ],
        tables=[
            _table(study, table) for table in section.tables if study.rows(table.name) is not None
        ],
    )


_MOST_ROWS = 3000
"""Most rows of a table on the page: about 400 kB; tables of pairs grow with the square of the
experiments."""


def _table(study: Study, table: ResultTable) -> TableView:
    """Return the view of a table; a long one has the rows of the best experiments only.

    A long table of pairs has those with the best experiment or the reference.
    """
    content, caption = study.tables[table.name], table.caption
    rows = len(content.dataframe)
    if rows > _MOST_ROWS and "experiment" in content.dataframe.columns:
        ranking = study.ranking["experiment"].to_list()
        if is_of_pairs(content.dataframe):
            names = list(dict.fromkeys([ranking[0], study.reference or ranking[0]]))
            whose = " and ".join(names)
            selected = content.dataframe.filter(
                pl.any_horizontal(pl.col(column).is_in(names) for column in PAIR_COLUMNS)
            )
        else:
            names = shown_experiments(ranking, study.reference) or ranking
            whose = f"{len(names)} experiments, the best first"
            rank = {name: number for number, name in enumerate(names)}
            order = pl.col("experiment").replace_strict(rank, return_dtype=pl.Int64)
            selected = of_experiments(content.dataframe, names).sort(order, maintain_order=True)
        selected = selected.head(_MOST_ROWS)
        caption += (
            f". Shown are {len(selected):,} of {rows:,} rows, those of {whose}; the file has all"
        )
        content = replace(content, dataframe=selected)
    return table_view(
        content,
        caption,
        visible=table.visible,
        file=f"tables/{table.name}.csv",
        collapsed=table.collapsed,
    )


def first_figure_experiments(study: Study, maximum: int = 7) -> list[str]:
    """Return the experiments of the first figure.

    The best experiment is always included. Of the others, those with several sizes come first.

    Parameters
    ----------
    study : Study
        The study.
    maximum : int
        Number of experiments that one panel can distinguish.

    Returns
    -------
    list of str
        Names of experiments in the order of the study.
    """
    sizes = dict(study.scores.group_by("experiment").len().iter_rows())
    ranked = study.ranking["experiment"].to_list()
    best, *others = ranked
    selected = [best, *sorted(others, key=lambda name: sizes[name] == 1)][:maximum]
    return [
        name for name in study.scores["experiment"].unique(maintain_order=True) if name in selected
    ]


def first_figure_chart(study: Study) -> alt.TopLevelMixin:
    """Return the learning curves at the top of the page.

    Parameters
    ----------
    study : Study
        The study.

    Returns
    -------
    altair.TopLevelMixin
        The chart.
    """
    selected = first_figure_experiments(study)
    return _learning_curves(study.of_experiments(selected))


def _learning_curves(study: Study) -> alt.TopLevelMixin:
    return learning_curves_chart(study.scores, study.rows("ceiling"))


def _efficiency_chart(study: Study) -> alt.TopLevelMixin:
    table = study.tables["efficiency"]
    return efficiency_chart(
        table.dataframe,
        study.scores,
        table.metadata.get("reference", ""),
        table.metadata.get("left_out", ""),
    )


def _forest_chart(study: Study) -> alt.TopLevelMixin:
    table = study.tables["comparisons"]
    return forest_chart(table.dataframe, study.scores, table.metadata.get("reference", ""))


RESULT_SECTIONS = [
    ResultSection(
        "Learning curves and scores",
        "UA (unweighted accuracy) against the number of training labels. No test speaker is in the "
        "training set. The utterances of all folds are pooled; the scores are means over repeats "
        "(other training subsets, orders and initialisations).",
        "",
        [
            ResultTable(
                "scores",
                "Scores: one row per experiment and training size",
                [
                    *("experiment", "size", "training_utterances_mean", "ua", "wa"),
                    *("ua_repeat_std", "ua_fold_std", "ece"),
                ],
            )
        ],
        (_learning_curves,),
    ),
    ResultSection(
        "Human ceiling",
        "How well one more rater would do. Each vote is left out in turn and compared with the "
        "strict plurality of the other raters' votes for the same test utterance, and with the "
        "label of the study; the experiments are scored on the same votes, at their largest size. "
        "`is_ceiling` marks the comparison that fits the labels of the study. A label that is a "
        "result of the votes contains the vote that is compared with it, which favours the rater.",
        "The corpus has no votes of two raters or more, so the human ceiling is unknown.",
        [
            ResultTable(
                "ceiling",
                "One more rater, and the experiments on the same votes",
                [
                    *("experiment", "size", "target", "ua", "wa", "macro_f1", "difference"),
                    *("cross_entropy", "jensen_shannon", "fleiss_kappa", "krippendorff_alpha"),
                ],
            )
        ],
    ),
    ResultSection(
        "From corpus to corpus",
        "Every corpus, tested by models that are trained on each corpus: on the diagonal within a "
        "corpus, on speakers that are not trained on; elsewhere across corpora, where microphones, "
        "languages and the meaning of labels differ as well. The table `Labels` below states which "
        "labels of each corpus are which class.",
        "This study does not test every corpus by models of every corpus; see "
        "`protocol.fold_unit: corpus_pairs`.",
        [
            ResultTable(
                "corpus_pairs",
                "Scores: one row per experiment, size, training corpus and test corpus",
                [
                    *("experiment", "size", "training_corpus", "test_corpus"),
                    *("training_utterances_mean", "utterances", "speakers", "ua", "wa"),
                ],
            )
        ],
        (lambda study: corpus_pairs_chart(study.tables["corpus_pairs"].dataframe, study.scores),),
        fixed_layout=True,
    ),
    ResultSection(
        "Label efficiency",
        "How many labels an experiment needs for the UA that another reaches with more labels, "
        "interpolated on its learning curve. A factor of 8 means that one eighth of the labels is "
        "enough. If the learning curve does not cross that UA, the factor is a bound, as the "
        "column `bound` states.",
        "The study has no table of efficiency: it needs experiments that are trained at two or "
        "more sizes.",
        [
            ResultTable(
                "efficiency",
                "Labels needed for the same UA: one row per pair and size",
                [
                    *("experiment", "other", "other_size", "ua", "other_labels", "labels"),
                    *("factor", "bound"),
                ],
            )
        ],
        (_efficiency_chart,),
        fixed_layout=True,
    ),
    ResultSection(
        "Statistical comparisons",
        "One comparison a pair: the UA of both, averaged over the training sizes that both have, "
        "on the same test utterances. Confidence intervals and p-values are clustered by speaker, "
        "because utterances of one speaker are not independent. A winner is declared only if the "
        "difference is significant after Holm's correction for all pairs, or, if the "
        "configuration declares a reference, for the pairs with it. The comparisons at single "
        "sizes describe; they are not corrected.",
        "The study has no table of comparisons: it needs two experiments at one size.",
        [
            ResultTable(
                "comparisons",
                "Comparisons over the learning curves: one row per pair",
                [
                    *("experiment", "other", "sizes", "ua", "other_ua", "difference"),
                    *("p_holm", "winner", "effect_size"),
                ],
            ),
            ResultTable(
                "comparisons_by_size",
                "Differences at single sizes, not corrected: one row per pair and size",
                ["size", "experiment", "other", "ua", "other_ua", "difference", "p_value"],
                collapsed=True,
            ),
        ],
        (_forest_chart,),
        fixed_layout=True,
    ),
    ResultSection(
        "Confusion matrices",
        "Rows are the true classes and sum to 100 %; the diagonal is the recall of each class.",
        "The study has no table of confusions.",
        [
            ResultTable(
                "confusion",
                "Confusions: one row per true and predicted class",
                ["experiment", "size", "label", "predicted", "fraction", "utterances"],
                collapsed=True,
            )
        ],
        (lambda study: confusion_chart(study.tables["confusion"].dataframe, study.scores),),
    ),
    ResultSection(
        "Scores by group of utterances",
        "The same predictions, scored separately for each group of test utterances: an overall "
        "score can hide a lower score of one group. A gap is the difference between two groups of "
        "one experiment.",
        "The study has no table of slices (by sex, speaker, style and so on).",
        [
            ResultTable(
                "slices",
                "Scores: one row per experiment and group",
                [
                    *("experiment", "size", "slice", "group", "utterances", "speakers"),
                    *("ua", "wa"),
                ],
            ),
            ResultTable(
                "slice_gaps",
                "Gaps: one row per experiment and pair of groups",
                ["experiment", "size", "slice", "group", "other", "gap"],
            ),
        ],
        (lambda study: slices_chart(study.tables["slices"].dataframe, study.scores),),
        fixed_layout=True,
    ),
    ResultSection(
        "Layer weights",
        "The weights that the trained models have learned for the layers of a network. They are "
        "equal before training.",
        "No experiment of this study has layer weights: each uses one layer, or a representation "
        "without layers.",
        [
            ResultTable(
                "layer_weights",
                "Layer weights: one row per layer, fold and repeat",
                ["experiment", "representation", "layer", "size", "fold", "repeat", "weight"],
                collapsed=True,
            )
        ],
        (lambda study: layer_weights_chart(study.tables["layer_weights"].dataframe, study.scores),),
    ),
    ResultSection(
        "Pre-training on unlabelled speech",
        "What the networks learned that this study has pre-trained: from each frame, they predict "
        "later or hidden frames of the same recording, and rank the true frame above others. No "
        "label is used. Whether this saves labels, the learning curves tell.",
        "This study pre-trains no network; see `checkpoints` in the configuration.",
        [
            ResultTable(
                "pretraining",
                "Losses: one row per measurement",
                [
                    *("checkpoint", "step", "hours", "loss", "held_out_loss"),
                    *("ranks_first", "held_out_ranks_first", "chance"),
                ],
                collapsed=True,
            )
        ],
        (
            lambda study: loss_chart(study.tables["pretraining"].dataframe),
            lambda study: ranking_chart(study.tables["pretraining"].dataframe),
        ),
    ),
    ResultSection(
        "Robustness",
        "The same trained models on perturbed test audio: with noise, reverberation or a telephone "
        "band. The drop is the UA on clean audio minus the UA on perturbed audio.",
        "Robustness was not tested in this study; see `robustness` in the configuration.",
        [
            ResultTable(
                "robustness",
                "Scores: one row per experiment and condition",
                ["experiment", "size", "condition", "level", "ua", "drop"],
            )
        ],
        (lambda study: robustness_chart(study.tables["robustness"].dataframe, study.scores),),
        fixed_layout=True,
    ),
    ResultSection(
        "Forecast with more labels",
        "The extrapolation of each learning curve: the UA expected at larger sizes, and the number "
        "of labels needed for a target UA (rows of the kind `target`). Rows of the kind `held_out` "
        "check the forecast: the largest measured size is left out, and its UA should be within "
        "the interval. The column `summary` says where a curve may fall.",
        "The study has no table of forecasts: they need learning curves of several sizes.",
        [
            ResultTable(
                "forecast",
                "Forecasts: one row per experiment and size",
                ["experiment", "kind", "labels", "ua", "measured_ua", "covered", "summary"],
            )
        ],
        (lambda study: forecast_chart(study.tables["forecast"].dataframe, study.scores),),
    ),
    ResultSection(
        "Published results",
        "Published scores with their sources, next to the scores of this study if the protocol is "
        "comparable. The column `differences` names what differs.",
        "The study has no table of published results, which exist for some corpora only.",
        [
            ResultTable(
                "published",
                "Published results and results of this study",
                [
                    *("source", "system", "metric", "labels", "value", "our_value"),
                    *("experiment", "differences"),
                ],
            )
        ],
    ),
    ResultSection(
        "All trainings",
        "Counts, scores, time, memory and device of each training (one repeat of a cell). `All "
        "columns` also shows the digests of its inputs.",
        "The table of trainings is missing.",
        [
            ResultTable(
                "runs",
                "Trainings: one row per experiment, fold, size and repeat",
                [
                    *("experiment", "fold", "size", "repeat", "training_utterances", "ua", "wa"),
                    *("best_development_ua", "steps", "stop_reason", "seconds"),
                    *("peak_memory_megabytes", "device", "precision"),
                ],
            ),
            ResultTable(
                "trials",
                "Trials: one row per point of a search grid",
                [
                    *("experiment", "fold", "size", "repeat", "trial", "choices", "chosen"),
                    *("development_ua", "steps", "seconds"),
                ],
            ),
        ],
    ),
]
