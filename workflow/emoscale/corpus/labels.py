"""Which of the corpus's labels are the study's classes."""

from __future__ import annotations

import polars as pl

from emoscale.config.corpus import OF_CORPUS, LabelSettings
from emoscale.runtime.errors import CorpusError


def give_labels(recordings: pl.DataFrame, settings: LabelSettings) -> pl.DataFrame:
    """Recordings with the column `label`: the study's class, or null outside of it.

    Raises `CorpusError` when a class has no utterance at all, a label that is written for one
    corpus (emodb:anger) is none of its labels, or an excluded utterance is none of the corpus's.
    """
    _check_excluded(recordings, settings.exclude)
    class_of = {name: settings.class_of(name) for name in recordings["corpus"].unique()}
    rows = recordings.select("corpus", "emotion").iter_rows()
    labels = [class_of[corpus].get(emotion) for corpus, emotion in rows]
    _check_labels_of_one_corpus(recordings, settings)
    label = pl.lit(pl.Series(labels, dtype=pl.String))
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


def _check_labels_of_one_corpus(recordings: pl.DataFrame, settings: LabelSettings) -> None:
    """What has the form emodb:anger is easily misspelt, and nothing else would notice."""
    there = {*recordings["emotion"]}
    there |= {
        f"{corpus}{OF_CORPUS}{emotion}"
        for corpus, emotion in recordings.select("corpus", "emotion").unique().iter_rows()
    }
    for name, labels in settings.classes.items():
        for label in labels:
            if OF_CORPUS in label and label not in there:
                own = [known for known in sorted(there) if OF_CORPUS in known]
                raise CorpusError(
                    f"class {name}: no utterance has the label {label} (there: {', '.join(own)}); "
                    "mend labels.classes"
                )


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
