"""Confounders: how well the label can be predicted from a property such as the speaker alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from emoscale.audit.finding import NOTE, WARNING, Finding

CONFOUNDERS = {
    "speaker": "the speaker",
    "session": "the session",
    "sex": "the speaker's sex",
    "style": "the style",
    "sample_rate": "the file's sample rate",
    "channels": "the file's number of channels",
}
"""Properties that may predict the label, by column, with their names in texts."""

PERMUTATIONS = 1999

SIGNIFICANCE_LEVEL = 0.005
"""p-value below which a property predicts the label better than permuted labels."""

WARNING_ADJUSTED_ACCURACY = 0.1
"""Adjusted accuracy from which a significant property is a warning instead of a note."""


@dataclass(frozen=True)
class MajorityBaseline:
    """Prediction of the most frequent class of each value of a property."""

    unweighted_accuracy: float
    """Mean recall of the classes, 0 to 1, on the labels that the classes were counted on."""

    permuted_accuracy: float
    """Mean of the same accuracy where labels are permuted; above chance if labels are few."""

    p_value: float
    """p-value of the permutation test: fraction of permutations with at least this accuracy."""

    @property
    def adjusted_accuracy(self) -> float:
        """Accuracy rescaled so that permuted labels score 0 and perfect predictions 1."""
        headroom = 1 - self.permuted_accuracy
        if headroom <= 0:
            return 0.0
        return max(0.0, (self.unweighted_accuracy - self.permuted_accuracy) / headroom)


def majority_baseline(column: str, labelled: pl.DataFrame) -> MajorityBaseline | None:
    """Evaluate the majority-class baseline of one property, with a permutation test.

    Parameters
    ----------
    column : str
        Column of the property.
    labelled : DataFrame
        Utterances with a `label`.

    Returns
    -------
    MajorityBaseline or None
        None if the property is constant or has missing values.
    """
    known = labelled.drop_nulls(column)
    if len(known) < len(labelled) or known[column].n_unique() < 2:
        return None
    groups, labels = _encode(known[column]), _encode(known["label"])
    accuracy = _unweighted_accuracy(groups, labels)
    generator = np.random.default_rng(61)
    permuted = np.array(
        [_unweighted_accuracy(groups, generator.permutation(labels)) for _ in range(PERMUTATIONS)]
    )
    at_least = int(np.sum(permuted >= accuracy - 1e-12))
    return MajorityBaseline(accuracy, float(permuted.mean()), (1 + at_least) / (1 + PERMUTATIONS))


def majority_baselines(labelled: pl.DataFrame) -> dict[str, MajorityBaseline]:
    """Evaluate the majority-class baseline of each of the `CONFOUNDERS` that varies.

    Parameters
    ----------
    labelled : DataFrame
        Utterance table, utterances of the study only.

    Returns
    -------
    dict
        Baseline by column.
    """
    baselines = {column: majority_baseline(column, labelled) for column in CONFOUNDERS}
    return {column: baseline for column, baseline in baselines.items() if baseline is not None}


def majority_baseline_accuracy(column: str, labelled: pl.DataFrame) -> float:
    """Compute the unweighted accuracy of predicting each group's most frequent class.

    Parameters
    ----------
    column : str
        Column whose values are the groups.
    labelled : DataFrame
        Utterances with a `label`.

    Returns
    -------
    float
        Unweighted accuracy, 0 to 1, on the same labels; ties go to the first class.
    """
    return _unweighted_accuracy(_encode(labelled[column]), _encode(labelled["label"]))


def findings_about_confounders(
    baselines: dict[str, MajorityBaseline], chance: float
) -> Iterator[Finding]:
    """Find properties of speakers and recordings that predict the label.

    Parameters
    ----------
    baselines : dict
        Majority-class baseline by column, see `majority_baselines`.
    chance : float
        Unweighted accuracy at chance level.

    Yields
    ------
    Finding
        Warnings and notes.
    """
    for column, baseline in baselines.items():
        if baseline.p_value >= SIGNIFICANCE_LEVEL:
            continue
        detail = (
            f"{CONFOUNDERS[column]} alone predicts the label with a UA of "
            f"{baseline.unweighted_accuracy:.0%} ({baseline.permuted_accuracy:.0%} with permuted "
            f"labels, p = {baseline.p_value:.4f}, chance {chance:.0%})"
        )
        severity = WARNING if baseline.adjusted_accuracy >= WARNING_ADJUSTED_ACCURACY else NOTE
        yield Finding(
            f"labels follow {CONFOUNDERS[column]}",
            severity,
            column,
            detail,
            value=baseline.unweighted_accuracy,
        )


def _encode(values: pl.Series) -> NDArray[np.int64]:
    """Encode values as their indices in the sorted list of distinct values."""
    return values.cast(pl.String).rank("dense").to_numpy().astype(np.int64) - 1


def _unweighted_accuracy(groups: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    rows, classes = int(groups.max()) + 1, int(labels.max()) + 1
    counts = np.bincount(groups * classes + labels, minlength=rows * classes)
    counts = counts.reshape(rows, classes)
    predicted = counts.argmax(axis=1)
    correct = np.bincount(predicted, counts[np.arange(rows), predicted], classes)
    return float(np.mean(correct / counts.sum(axis=0)))
