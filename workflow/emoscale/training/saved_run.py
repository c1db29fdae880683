"""A finished cell, read from its folder: what it was trained on, and what it predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError, safe_open

from emoscale.config.models import ModelSettings
from emoscale.config.parsing import parse_settings
from emoscale.config.prediction import PredictionSettings
from emoscale.config.representations import RepresentationSettings
from emoscale.config.settings import Name
from emoscale.evaluation.runs import read_run_record
from emoscale.models.contract import InputShape
from emoscale.models.decision import Decision
from emoscale.models.registry import build_model
from emoscale.runtime.errors import ConfigurationError, DamagedFileError, StoreError, reason_of
from emoscale.runtime.provenance import file_sha256
from emoscale.training.fitted import Weights, probabilities_from
from emoscale.training.material import Material

_WAY_OUT = "the run is damaged, or another version's: train it again"


class _Part(BaseModel):
    """Of what `run.json` holds, what is needed here; the rest is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class SavedRepresentation(_Part):
    """One input of the model: how its features were made."""

    name: Name
    """What the study calls it."""

    settings: RepresentationSettings
    """As the study states them: weights by their names, or places."""

    layer: int | None
    """The one that is read, where the representation has several and one was chosen."""

    weights: str
    """Where its pre-trained weights come from, in a phrase; empty without any."""

    checkpoint_sha256: str
    """Digest of those weights; empty without any."""


class _Shape(_Part):
    dimension: int = Field(ge=1, le=10_000_000)
    layers: int | None = Field(ge=1, le=1_000)
    frame_rate: float | None


class _Repeat(_Part):
    repeat: int = Field(ge=0)
    model: ModelSettings
    precision: Literal["float32", "bfloat16"]


class _Origin(_Part):
    features_sha256: list[str]


class _Run(_Part):
    experiment: Name
    fold: Name
    size: str
    classes: list[str] = Field(min_length=2)
    inputs: list[_Shape] = Field(min_length=1)
    representations: list[SavedRepresentation] = Field(min_length=1)
    repeats: list[_Repeat] = Field(min_length=1)
    prediction: PredictionSettings
    origin: _Origin
    files: dict[str, str]


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
    experiment: str
    fold: str
    size: str
    classes: list[str]
    shapes: list[InputShape]
    """Of each input."""

    representations: list[SavedRepresentation]
    """Of each input; the order is the model's."""

    features_sha256: list[str]
    """Digest of the features of each input that the cell was trained on."""

    prediction: PredictionSettings
    repeats: list[SavedRepeat]

    @property
    def name(self) -> str:
        """Which cell it is: experiment/fold/size."""
        return f"{self.experiment}/{self.fold}/{self.size}"

    @property
    def weights(self) -> str:
        """Where the pre-trained weights of all inputs come from; empty without any."""
        return "; ".join(filter(None, (each.weights for each in self.representations)))

    def repeat(self, number: int) -> SavedRepeat:
        """The repeat of that number; raises `StoreError` where there is none."""
        for each in self.repeats:
            if each.number == number:
                return each
        there = ", ".join(str(each.number) for each in self.repeats)
        raise StoreError(f"{self.folder}: there is no repeat {number} (there: {there})")

    def probabilities(
        self, material: Material, places: torch.Tensor, repeats: Sequence[SavedRepeat]
    ) -> NDArray[np.float64]:
        """Class probabilities [utterances, classes] of the material's utterances at `places`.

        Of several repeats it is their mean.
        """
        each = [
            probabilities_from(
                repeat.model,
                self.shapes,
                len(self.classes),
                repeat.weights,
                material,
                places,
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
    run = _read_json(folder / "run.json")
    if len(run.inputs) != len(run.representations):
        raise StoreError(
            f"{folder / 'run.json'}: {len(run.inputs)} inputs and {len(run.representations)} "
            f"representations; {_WAY_OUT}"
        )
    shapes = [InputShape(each.dimension, each.layers, each.frame_rate) for each in run.inputs]
    path = folder / "model.safetensors"
    _check_digest(path, run.files.get(path.name, ""))
    tensors = _read_weights(path)
    repeats = []
    for each in run.repeats:
        prefix = f"repeat_{each.repeat}."
        weights = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        _check_weights(path, each, shapes, len(run.classes), weights)
        repeats.append(SavedRepeat(each.repeat, each.model, each.precision, weights))
    return SavedRun(
        folder,
        run.experiment,
        run.fold,
        run.size,
        run.classes,
        shapes,
        run.representations,
        run.origin.features_sha256,
        run.prediction,
        repeats,
    )


def _read_json(path: Path) -> _Run:
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(
            f"{path} does not exist: name the folder of a training, such as "
            "results/demo/runs/mfcc/fold1/all"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} cannot be read ({reason_of(error)}); {_WAY_OUT}") from None
    try:
        run: _Run = parse_settings(_Run, text, str(path))
    except ConfigurationError as error:
        read_run_record(path)  # what is no JSON at all is damaged; another version's is not
        raise StoreError(f"{error}; {_WAY_OUT}") from None
    return run


def _check_digest(path: Path, stated: str) -> None:
    """Raise `DamagedFileError` where the weights are not those that `run.json` states."""
    record = path.with_name("run.json")
    if not path.exists():
        detail = f"names {path.name}, which is not there"
        raise DamagedFileError(record, detail, lambda: _check_digest(path, stated))
    try:
        found = file_sha256(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror}); {_WAY_OUT}") from None
    if found != stated:
        detail = "is not what its run.json says was written"
        raise DamagedFileError(path, detail, lambda: _check_digest(path, stated), [record])


def _read_weights(path: Path) -> Weights:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist; {_WAY_OUT}") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read ({reason_of(error)}); {_WAY_OUT}") from None


def _check_weights(
    path: Path, repeat: _Repeat, shapes: Sequence[InputShape], classes: int, weights: Weights
) -> None:
    """Raise `StoreError` where the weights are not those of the settings."""
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
