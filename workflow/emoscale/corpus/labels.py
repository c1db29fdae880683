"""Which of the corpus's labels are the study's classes."""

from __future__ import annotations

import polars as pl

from emoscale.config.corpus import LabelSettings
from emoscale.errors import CorpusError


def give_labels(recordings: pl.DataFrame, settings: LabelSettings) -> pl.DataFrame:
    """Recordings with the column `label`: the study's class, or null outside of it.

    Raises `CorpusError` when a class has no utterance at all, or an excluded utterance is none of
    the corpus's.
    """
    _check_excluded(recordings, settings.exclude)
    label = pl.col("emotion").replace_strict(
        settings.class_of(), default=None, return_dtype=pl.String
    )
    if settings.styles is not None:
        label = pl.when(pl.col("style").is_in(settings.styles)).then(label)
    if settings.exclude:
        label = pl.when(~pl.col("utterance").is_in(settings.exclude)).then(label)
    labelled = recordings.with_columns(label=label)
    counts = dict(labelled.group_by("label").len().iter_rows())
    for name, emotions in settings.classes.items():
        if not counts.get(name):
            there = ", ".join(sorted(recordings["emotion"].unique()))
            styles = f" in the styles {', '.join(settings.styles)}" if settings.styles else ""
            raise CorpusError(
                f"class {name} (labels {', '.join(emotions)}) has no utterance{styles}; "
                f"the corpus has the labels {there}; mend labels.classes"
            )
    return labelled


def _check_excluded(recordings: pl.DataFrame, excluded: list[str]) -> None:
    if not excluded:
        return
    unknown = sorted(set(excluded) - set(recordings["utterance"]))
    if unknown:
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        raise CorpusError(
            f"labels.exclude: {unknown[0]}{more} is none of the corpus's usable utterances; mend "
            "its spelling or remove it"
        )
