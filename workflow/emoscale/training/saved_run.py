"""A finished cell, read from its folder: what it was trained on, and what it predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from emoscale.models.contract import InputShape
from emoscale.models.decision import Decision
from emoscale.models.registry import build_model
from emoscale.runtime.errors import StoreError, reason_of
from emoscale.training.cell_features import CellFeatures
from emoscale.training.run_record import (
    RECORD,
    WEIGHTS,
    InputRecord,
    RepeatRecord,
    RunRecord,
    check_file_of_run,
    read_run_record,
)
from emoscale.training.tasks import Weights, probabilities_from

_WAY_OUT = "the run is damaged, or another version's: train it again"


@dataclass(frozen=True)
class SavedRepeat:
    """One trained model of the cell."""

    number: int
    """From 0."""

    model: Any
    """Its settings; of a search, those that were chosen."""

    precision: str
    """Of its products."""

    weights: Weights
    """A network's state, or an estimator's arrays."""


@dataclass(frozen=True)
class SavedRun:
    """All repeats of a cell, and how the features that they read are made."""

    folder: Path
    record: RunRecord
    repeats: list[SavedRepeat]

    @property
    def name(self) -> str:
        """Which cell it is: experiment/fold/size."""
        return str(self.record.name)

    @property
    def classes(self) -> list[str]:
        """In the order of the probabilities."""
        return self.record.classes

    @property
    def inputs(self) -> list[InputRecord]:
        """What the model reads, in its order."""
        return self.record.inputs

    @property
    def shapes(self) -> list[InputShape]:
        """Of each input."""
        return [each.shape for each in self.inputs]

    @property
    def weights(self) -> str:
        """Where the pre-trained weights of all inputs come from; empty without any."""
        return "; ".join(each.pretrained_weights for each in self.inputs if each.pretrained_weights)

    def repeat(self, number: int) -> SavedRepeat:
        """The repeat of that number; raises `StoreError` where there is none."""
        for each in self.repeats:
            if each.number == number:
                return each
        there = ", ".join(str(each.number) for each in self.repeats)
        raise StoreError(f"{self.folder}: there is no repeat {number} (there: {there})")

    def probabilities(
        self, features: CellFeatures, indices: torch.Tensor, repeats: Sequence[SavedRepeat]
    ) -> NDArray[np.float64]:
        """Class probabilities [utterances, classes] of the cell's utterances at `indices`.

        Of several repeats it is their mean.
        """
        each = [
            probabilities_from(
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
        mean: NDArray[np.float64] = np.mean(each, axis=0)
        return mean


def read_run(folder: Path | str) -> SavedRun:
    """Read a run's folder (`<study>/runs/<experiment>/<fold>/<size>`).

    Raises `StoreError` where a file of it is missing, damaged or not the other's.
    """
    folder = Path(folder)
    if not (folder / RECORD).is_file():
        raise StoreError(
            f"{folder / RECORD} does not exist: name the folder of a training, such as "
            "results/demo/runs/mfcc/fold1/all"
        )
    record, path = read_run_record(folder / RECORD), folder / WEIGHTS
    check_file_of_run(path, record)
    tensors = _read_weights(path)
    repeats = []
    for each in record.repeats:
        prefix = f"repeat_{each.repeat}."
        weights = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        _check_weights(path, each, record, weights)
        repeats.append(SavedRepeat(each.repeat, each.model, each.precision, weights))
    return SavedRun(folder, record, repeats)


def _read_weights(path: Path) -> Weights:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist; {_WAY_OUT}") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read ({reason_of(error)}); {_WAY_OUT}") from None


def _check_weights(path: Path, repeat: RepeatRecord, record: RunRecord, weights: Weights) -> None:
    """Raise `StoreError` where the weights are not those of the settings."""
    shapes, classes = [each.shape for each in record.inputs], len(record.classes)
    if repeat.model.kind == "estimator":
        known = [field.name for field in fields(Decision)]
        optional = {"support", "gamma"}
        right = set(known) - optional <= set(weights) <= set(known)
        right = right and _is_decision(
            {name: value.numpy() for name, value in weights.items()}, shapes[0].dimension, classes
        )
    else:
        with torch.device("meta"):  # shapes only: settings may ask for more than there is room for
            wanted = build_model(repeat.model, shapes, classes).state_dict()
        right = {k: (v.shape, v.dtype) for k, v in wanted.items()} == {
            k: (v.shape, v.dtype) for k, v in weights.items()
        }
    if not right:
        raise StoreError(
            f"{path}: repeat {repeat.repeat} has other weights than run.json says; {_WAY_OUT}"
        )


def _is_decision(arrays: dict[str, NDArray[Any]], dimension: int, classes: int) -> bool:
    """Whether an estimator's arrays fit together, the input and the classes, and are finite."""
    shape = {name: array.shape for name, array in arrays.items()}
    present = arrays["present"]
    k = present.size
    pairs, width = k * (k - 1) // 2, arrays["mean"].size
    machine = arrays.get("support", np.empty(0)).ndim == 2
    rows, columns = (pairs, len(arrays["support"])) if machine else (k, width)
    return (
        all(np.isfinite(array).all() and array.dtype.kind in "fi" for array in arrays.values())
        and present.dtype.kind == "i"
        and present.ndim == 1
        and 0 < k == len(np.unique(present))
        and 0 <= present.min() <= present.max() < classes
        and ("support" in arrays) == ("gamma" in arrays) == machine
        and width in (dimension, 2 * dimension)
        and shape["mean"] == shape["scale"] == (width,)
        and shape["weights"] == (rows, columns)
        and shape["intercepts"] == (rows,)
        and shape["temperature"] == (1,)
        and (not machine or (shape["gamma"] == (1,) and shape["support"] == (columns, width)))
    )
