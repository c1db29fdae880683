"""The record of a run, `run.json`: what a cell was trained from, how, and what came of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from emoscale.config.checkpoints import PredictionSettings
from emoscale.config.models import ModelSettings
from emoscale.config.parsing import parse_settings
from emoscale.config.representations import RepresentationSettings
from emoscale.config.settings import Name
from emoscale.config.training import CellSettings
from emoscale.models.contract import InputShape
from emoscale.runtime.errors import ConfigurationError, DamagedFileError, StoreError, reason_of
from emoscale.runtime.files import write_json
from emoscale.runtime.provenance import canonical_json, file_sha256

RECORD = "run.json"
"""The record's name in the run's folder."""

PREDICTIONS, HISTORY, WEIGHTS = "predictions.parquet", "history.parquet", "model.safetensors"
"""The run's other files, whose digests the record carries."""

_WAY_OUT = "another version wrote it, or it is damaged: remove it and run again"


@dataclass(frozen=True)
class CellName:
    """Which cell it is; its results are in `<runs>/<experiment>/<fold>/<size>/`."""

    experiment: str
    fold: str
    size: str

    def folder(self, runs: Path) -> Path:
        """The cell's folder."""
        return runs / self.experiment / self.fold / self.size

    def __str__(self) -> str:
        return f"{self.experiment}/{self.fold}/{self.size}"


class _Part(BaseModel):
    """What a version adds is passed over by those before it; a value does not change later."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class InputRecord(_Part):
    """One input of the model: which features it reads, and how they were made."""

    name: Name
    """What the study calls the representation."""

    settings: RepresentationSettings
    """As the study states them: weights by their names or paths."""

    layer: int | None
    """The one that is read, where the representation has several and one was chosen."""

    pretrained_weights: str
    """Where its pre-trained weights come from, in a phrase; empty without any."""

    dimension: int = Field(ge=1, le=10_000_000)
    layers: int | None = Field(ge=1, le=1_000)
    frame_rate: float | None

    tokens_without_time: float | None
    """Of a text's tokens in this cell, the share of those whose word has no time."""

    features_sha256: str
    corpus_sha256: str
    """Digest of the corpus's rows that the features were made from."""

    checkpoint_sha256: str
    """Digest of the pre-trained weights; empty without any."""

    @property
    def reference(self) -> str:
        """The representation, and its layer where one is read: wavlm/6."""
        return self.name if self.layer is None else f"{self.name}/{self.layer}"

    @property
    def shape(self) -> InputShape:
        """As a model sees it."""
        return InputShape(self.dimension, self.layers, self.frame_rate)


class LayerShares(_Part):
    """How much of each layer a trained model takes; the weights sum to 1."""

    representation: Name
    layers: list[int]
    weights: list[float]

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        if len(self.layers) != len(self.weights):
            raise ValueError(f"{len(self.layers)} layers and {len(self.weights)} weights")
        return self


class TrialRecord(_Part):
    """One training: a point of the searched grid, and what came of it."""

    choices: dict[str, Any]
    """The searched settings; none where nothing was searched."""

    development_ua: float | None
    """Of the kept weights, as is the loss; null: no development set."""

    development_loss: float | None
    steps: int
    best_step: int
    stop_reason: str
    seconds: float
    execution: str
    """How it was computed."""


class RepeatRecord(_Part):
    """One repeat: what it learned from, its trials, and the model that was chosen of them."""

    repeat: int = Field(ge=0)
    training_utterances: int
    training_counts: dict[str, int]
    """Of each class, by the labels that were learned."""

    training_speakers: int
    training_utterances_without_votes: int | None
    """Null where the majority's labels were learned."""

    trials: list[TrialRecord] = Field(min_length=1)
    chosen_trial: int = Field(ge=0)
    model: ModelSettings
    """Of the chosen trial, as all that follows."""

    precision: Literal["float32", "bfloat16"]
    layer_weights: list[LayerShares]

    @property
    def chosen(self) -> TrialRecord:
        """The trial whose weights and predictions are kept."""
        return self.trials[self.chosen_trial]

    @model_validator(mode="after")
    def _chosen_is_there(self) -> Self:
        if self.chosen_trial >= len(self.trials):
            raise ValueError(f"there is no trial {self.chosen_trial}")
        return self


class RunRecord(_Part):
    """A cell's trainings."""

    experiment: Name
    fold: Name
    size: str
    classes: list[str] = Field(min_length=2)
    settings: CellSettings
    inputs: list[InputRecord] = Field(min_length=1)
    """In the model's order."""

    chunked_utterances: int
    """Of the cell's utterances, those too long for a network to see as a whole."""

    repeats: list[RepeatRecord] = Field(min_length=1)
    development_utterances: int
    test_utterances: int
    prediction: PredictionSettings
    """What predicting new recordings needs besides; nothing of it changes a training."""

    device: str
    threads: int
    seconds: float
    """Of all its trainings, whichever job they were done by."""

    peak_memory_megabytes: float
    settings_sha256: str
    code_sha256: str
    protocol_sha256: str
    versions: dict[str, str]
    files: dict[str, str]
    """Digests of the run's other files, by their names."""

    @property
    def name(self) -> CellName:
        """Which cell it is."""
        return CellName(self.experiment, self.fold, self.size)

    @property
    def settings_text(self) -> str:
        """The settings as canonical JSON, whose digest is `settings_sha256`."""
        return settings_text(self.settings)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        numbers = [each.repeat for each in self.repeats]
        if len(set(numbers)) < len(numbers):
            raise ValueError("two repeats have the same number")
        for each in self.repeats:
            if set(each.training_counts) != set(self.classes):
                raise ValueError(
                    f"repeat {each.repeat} does not count the utterances of each class"
                )
        return self


def settings_text(settings: CellSettings) -> str:
    """The settings as canonical JSON."""
    return canonical_json(settings.model_dump(mode="json"))


def write_run_record(record: RunRecord, folder: Path) -> None:
    """Write the record into the run's folder, atomically."""
    write_json(folder / RECORD, record.model_dump(mode="json"))


def read_run_record(path: Path) -> RunRecord:
    """Read a `run.json`.

    Raises `StoreError` where it is missing or another version's, and `DamagedFileError` where it is
    no JSON object at all.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(f"{path} does not exist; run the training that makes it") from None
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read ({error.strerror}); mend that and run again"
        ) from None
    except UnicodeDecodeError as error:
        raise DamagedFileError(path, f"is not UTF-8 ({reason_of(error)})") from None
    try:
        is_object = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(path, f"is not JSON ({reason_of(error)})") from None
    if not is_object:
        raise DamagedFileError(path, "is no record of a run")
    try:
        record: RunRecord = parse_settings(RunRecord, text, str(path))
    except ConfigurationError as error:
        raise StoreError(f"{error}; {_WAY_OUT}") from None
    return record


def check_file_of_run(path: Path, record: RunRecord) -> None:
    """Raise `DamagedFileError` where a file of a run's folder is not what its record says.

    Raises `StoreError` where the file is missing or
    cannot be read.
    """
    if not path.exists():
        written = path.with_name(RECORD)
        detail = f"names {path.name}, which is not there"
        raise DamagedFileError(written, detail)
    try:
        found = file_sha256(path)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read ({error.strerror}); mend that and run again"
        ) from None
    if record.files.get(path.name) != found:
        detail = f"is not what its {RECORD} says was written"
        raise DamagedFileError(path, detail, path.with_name(RECORD))
