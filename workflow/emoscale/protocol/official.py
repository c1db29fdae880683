"""Folds of the official split of a published corpus."""

from __future__ import annotations

import polars as pl

from emoscale.config.protocol import ProtocolSettings
from emoscale.runtime.errors import ProtocolError

IS_TEST_SPLIT = pl.col("split").str.starts_with("test")
"""Expression: the utterance is in a test split: test, test1, test2 …"""


def tested_splits(labelled: pl.DataFrame, settings: ProtocolSettings) -> list[str]:
    """Return the test splits, one per fold.

    A test split whose labels are withheld has no utterance of the study, and so is none of them.

    Parameters
    ----------
    labelled : DataFrame
        The utterances of the study.
    settings : ProtocolSettings
        The protocol of the study.

    Returns
    -------
    list of str
        `test_units`, else the test splits by their numbers.

    Raises
    ------
    ProtocolError
        If the corpus has no official split, or others than the settings state.
    """
    without = labelled.filter(pl.col("split").is_null())
    if len(without):
        raise ProtocolError(
            f"{len(without):,} of {len(labelled):,} utterances of the study have no official split "
            f"(the first: {without['utterance'][0]}); use another protocol.fold_unit, or add them "
            "to labels.exclude"
        )
    names = sorted(labelled.filter(IS_TEST_SPLIT)["split"].unique(), key=lambda x: (len(x), x))
    if not names:
        raise ProtocolError(
            "no official test split has utterances of the study's classes; use another "
            "protocol.fold_unit"
        )
    listed = f"those with utterances of the study's classes are {', '.join(names)}"
    for name in settings.test_units or ():
        if name not in names:
            raise ProtocolError(
                f"protocol.test_units lists {name}, which is not a test split: {listed}; correct "
                "it, or predict a split without labels with scripts/predict.py"
            )
    tested = settings.test_units or names
    if len(tested) != settings.folds:
        raise ProtocolError(
            f"protocol.folds is {settings.folds}, and the corpus has {len(names)} official test "
            f"splits: {listed}; set it to {len(names)}, or name the tested ones in "
            "protocol.test_units"
        )
    return tested


def roles_of_splits(labelled: pl.DataFrame, settings: ProtocolSettings) -> list[pl.Series]:
    """Return the roles of the official split in each fold.

    Parameters
    ----------
    labelled : DataFrame
        The utterances of the study.
    settings : ProtocolSettings
        The protocol of the study.

    Returns
    -------
    list of Series
        Role of each row of `labelled`, one series per fold; null: in a test split that the fold
        does not test.

    Raises
    ------
    ProtocolError
        If the corpus does not have the splits that the settings state.
    """
    tested = tested_splits(labelled, settings)
    has_development = bool((labelled["split"] == "dev").any())
    if has_development != (settings.development == "official"):
        raise ProtocolError(
            f"protocol.development is {settings.development} and the official split has "
            + ("a dev split; set it to official" if has_development else "no dev split; use ")
            + ("" if has_development else "speakers, random or none")
        )
    split = pl.col("split")
    return [
        labelled.select(
            role=pl.when(split == name)
            .then(pl.lit("test"))
            .when(split.is_in(["train", "dev"]))
            .then(split)
        )["role"]
        for name in tested
    ]
