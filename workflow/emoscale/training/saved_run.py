"""Run of a finished cell, read from its folder: record, trained models and their predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from emoscale.config.training import Normalisation
from emoscale.models.contract import InputShape
from emoscale.models.decision_function import FittedDecision
from emoscale.models.registry import build_model
from emoscale.runtime.errors import StoreError, error_summary
from emoscale.training.cell_features import CellFeatures
from emoscale.training.run_record import (
    RECORD,
    WEIGHTS,
    InputRecord,
    RepeatRecord,
    RunRecord,
    read_run_record,
    verify_run_file,
    weights_prefix,
)
from emoscale.training.tasks import Weights, predict_from_weights

_REMEDY = "the run is damaged or was written by another version: train it again"


@dataclass(frozen=True)
class SavedRepeat:
    """Trained model of one repeat."""

    number: int
    """Number of the repeat, from 0."""

    model: Any
    """Settings of the model; after a search, those of the selected trial."""

    precision: str
    """Type of matrix products: float32 or bfloat16."""

    weights: Weights
    """State dict of a network, or arrays of an estimator."""


@dataclass(frozen=True)
class SavedRun:
    """Record and trained models of a cell."""

    folder: Path
    record: RunRecord
    repeats: list[SavedRepeat]

    @property
    def name(self) -> str:
        """Name of the cell: experiment/fold/size."""
        return str(self.record.name)

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the probabilities."""
        return self.record.classes

    @property
    def inputs(self) -> list[InputRecord]:
        """Records of the model's inputs, in its order."""
        return self.record.inputs

    @property
    def shapes(self) -> list[InputShape]:
        """Shape of each input."""
        return [each.shape for each in self.inputs]

    @property
    def normalisation(self) -> Normalisation:
        """Whose statistics the features are normalised by."""
        return self.record.settings.training.normalisation

    @property
    def pretrained_weights(self) -> str:
        """Sources of the pre-trained weights of all inputs; empty without any."""
        return "; ".join(each.pretrained_weights for each in self.inputs if each.pretrained_weights)

    def repeat(self, number: int) -> SavedRepeat:
        """Return the trained model of a repeat.

        Parameters
        ----------
        number : int
            Number of the repeat.

        Returns
        -------
        SavedRepeat
            The repeat.

        Raises
        ------
        StoreError
            Where the run has no such repeat.
        """
        for repeat in self.repeats:
            if repeat.number == number:
                return repeat
        available = ", ".join(str(repeat.number) for repeat in self.repeats)
        raise StoreError(f"{self.folder}: has no repeat {number} (available: {available})")

    def probabilities(
        self, features: CellFeatures, indices: torch.Tensor, repeats: Sequence[SavedRepeat]
    ) -> NDArray[np.float64]:
        """Compute class probabilities, averaged over repeats.

        Parameters
        ----------
        features : CellFeatures
            Features of utterances.
        indices : Tensor
            Indices ``[utterances]`` of the utterances to predict.
        repeats : sequence of SavedRepeat
            The models to average.

        Returns
        -------
        ndarray
            Mean probabilities ``[utterances, classes]``.
        """
        by_repeat = [
            predict_from_weights(
                repeat.model,
                self.shapes,
                len(self.classes),
                repeat.weights,
                features,
                indices,
                repeat.precision,
            )
            for repeat in repeats
        ]
        mean: NDArray[np.float64] = np.mean(by_repeat, axis=0)
        return mean


def read_run(folder: Path | str) -> SavedRun:
    """Read record and weights of a run.

    Parameters
    ----------
    folder : Path or str
        Folder of the run, ``<study>/runs/<experiment>/<fold>/<size>``.

    Returns
    -------
    SavedRun
        The run.

    Raises
    ------
    StoreError
        Where a file is missing or damaged, or the weights do not fit the record.
    """
    folder = Path(folder)
    if not (folder / RECORD).is_file():
        raise StoreError(
            f"{folder / RECORD} does not exist: name the folder of a run, such as "
            "results/demo/runs/mfcc/fold1/all"
        )
    record, path = read_run_record(folder / RECORD), folder / WEIGHTS
    verify_run_file(path, record)
    tensors = _read_weights(path)
    repeats = []
    for repeat in record.repeats:
        prefix = weights_prefix(repeat.repeat)
        weights = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        _check_weights(path, repeat, record, weights)
        repeats.append(SavedRepeat(repeat.repeat, repeat.model, repeat.precision, weights))
    return SavedRun(folder, record, repeats)


def _read_weights(path: Path) -> Weights:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist; {_REMEDY}") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read ({error_summary(error)}); {_REMEDY}") from None


def _check_weights(path: Path, repeat: RepeatRecord, record: RunRecord, weights: Weights) -> None:
    """Raise `StoreError` where names, shapes or types of the weights do not fit the settings."""
    shapes, classes = [each.shape for each in record.inputs], len(record.classes)
    if repeat.model.kind == "estimator":
        known = [field.name for field in fields(FittedDecision)]
        optional = {"support", "gamma"}
        valid = set(known) - optional <= set(weights) <= set(known)
        valid = valid and _is_valid_estimator(
            {name: value.numpy() for name, value in weights.items()}, shapes[0].dimension, classes
        )
    else:
        with torch.device("meta"):  # no memory is allocated, however large the sizes in a record
            expected = build_model(repeat.model, shapes, classes).state_dict()
        valid = {k: (v.shape, v.dtype) for k, v in expected.items()} == {
            k: (v.shape, v.dtype) for k, v in weights.items()
        }
    if not valid:
        raise StoreError(
            f"{path}: the weights of repeat {repeat.repeat} do not fit the model in {RECORD}; "
            f"{_REMEDY}"
        )


def _is_valid_estimator(arrays: dict[str, NDArray[Any]], dimension: int, classes: int) -> bool:
    """Return whether an estimator's arrays are finite and of consistent shapes."""
    shape = {name: array.shape for name, array in arrays.items()}
    present = arrays["present"]
    k = present.size
    pairs, width = k * (k - 1) // 2, arrays["mean"].size
    has_kernel = arrays.get("support", np.empty(0)).ndim == 2
    rows, columns = (pairs, len(arrays["support"])) if has_kernel else (k, width)
    return (
        all(
            (np.isfinite(array).all() or name == "bound") and array.dtype.kind in "fi"
            for name, array in arrays.items()
        )
        and present.dtype.kind == "i"
        and present.ndim == 1
        and 0 < k == len(np.unique(present))
        and 0 <= present.min() <= present.max() < classes
        and ("support" in arrays) == ("gamma" in arrays) == has_kernel
        and width in (dimension, 2 * dimension)
        and shape["mean"] == shape["scale"] == (width,)
        and shape["weights"] == (rows, columns)
        and shape["intercepts"] == (rows,)
        and shape["temperature"] == (1,)
        and shape["bound"] == (1,)
        and arrays["bound"][0] > 0.0
        and (
            not has_kernel
            or (
                shape["gamma"] == (1,)
                and shape["support"] == (columns, width)
                and arrays["support"].dtype == np.float32  # earlier ones are standardised, float64
            )
        )
    )
