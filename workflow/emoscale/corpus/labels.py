"""Mapping of the corpus's labels to the classes of the study."""

from __future__ import annotations

import polars as pl

from emoscale.config.corpus import CORPUS_SEPARATOR, LabelSettings
from emoscale.runtime.errors import CorpusError


def add_labels(recordings: pl.DataFrame, settings: LabelSettings) -> pl.DataFrame:
    """Add the column `label`: the class of the study, null for utterances outside the study.

    Parameters
    ----------
    recordings : DataFrame
        Table of recordings (`tables.schemas.RECORDINGS`).
    settings : LabelSettings
        Classes, styles and excluded utterances of the study.

    Returns
    -------
    DataFrame
        `recordings` with the column `label`.

    Raises
    ------
    CorpusError
        If a class or one of its labels has no utterance, or an excluded utterance is not in the
        corpus.
    """
    _check_excluded(recordings, settings.exclude)
    class_of = {name: settings.class_of(name) for name in recordings["corpus"].unique()}
    rows = recordings.select("corpus", "emotion").iter_rows()
    labels = [class_of[corpus].get(emotion) for corpus, emotion in rows]
    _check_labels(recordings, settings)
    label = pl.lit(pl.Series(labels, dtype=pl.String))
    if settings.styles is not None:
        label = pl.when(pl.col("style").is_in(settings.styles)).then(label)
    if settings.exclude:
        label = pl.when(~pl.col("utterance").is_in(settings.exclude)).then(label)
    labelled = recordings.with_columns(label=label)
    counts = dict(labelled.group_by("label").len().iter_rows())
    for name, emotions in settings.classes.items():
        if not counts.get(name):
            available = ", ".join(sorted(recordings["emotion"].unique()))
            styles = f" in the styles {', '.join(settings.styles)}" if settings.styles else ""
            raise CorpusError(
                f"class {name} (labels {', '.join(emotions)}) has no utterance{styles}; "
                f"the corpus has the labels {available}; correct labels.classes"
            )
    return labelled


def _check_labels(recordings: pl.DataFrame, settings: LabelSettings) -> None:
    """Check that every label of a class occurs: a misspelt one would silently lose utterances."""
    available = {*recordings["emotion"]}
    specific = {
        f"{corpus}{CORPUS_SEPARATOR}{emotion}"
        for corpus, emotion in recordings.select("corpus", "emotion").unique().iter_rows()
    }
    for name, labels in settings.classes.items():
        for label in labels:
            if label not in available | specific:
                known = sorted(specific if CORPUS_SEPARATOR in label else available)
                raise CorpusError(
                    f"class {name}: no utterance has the label {label} (available: "
                    f"{', '.join(known)}); correct labels.classes, or remove the label"
                )


def _check_excluded(recordings: pl.DataFrame, excluded: list[str]) -> None:
    if not excluded:
        return
    unknown = sorted(set(excluded) - set(recordings["utterance"]))
    if unknown:
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        raise CorpusError(
            f"labels.exclude: {unknown[0]}{more} is not a usable utterance of the corpus; correct "
            "its spelling or remove it"
        )
