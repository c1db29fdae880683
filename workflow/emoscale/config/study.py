"""Settings of a study, and the part of them that each step of the workflow depends on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, StrictInt, StrictStr, model_validator

from emoscale.config.checkpoints import CheckpointSettings, PredictionSettings
from emoscale.config.configuration_file import line_of_key
from emoscale.config.consistency import check_consistency
from emoscale.config.corpus import AudioChecks, CorpusSettings, LabelSettings
from emoscale.config.evidence import EvidenceSettings, StudyEvidence, TrainedExperiment
from emoscale.config.models import ModelSettings
from emoscale.config.parsing import parse_settings
from emoscale.config.pretraining import PretrainingSettings
from emoscale.config.protocol import ProtocolSettings
from emoscale.config.representations import RepresentationSettings, modality_of
from emoscale.config.robustness import RobustnessSettings, labels_of_size
from emoscale.config.settings import (
    Name,
    OutputFolder,
    Reference,
    Settings,
    UserPath,
    is_layered,
    reference_parts,
)
from emoscale.config.training import ESTIMATOR_TRAINING, TrainingSettings
from emoscale.config.twins import untrained_twins
from emoscale.runtime.provenance import canonical_json


class Experiment(Settings):
    """One experiment, which is one learning curve: representations, a model, and its training."""

    representations: list[Reference] = Field(min_length=1)
    """Names under `representations`, as many as the model has inputs. With a layer, such as
    wavlm/6, only that layer is read."""

    model: Name
    """A name under `models`."""

    sizes: list[StrictInt | StrictStr] | None = Field(default=None, min_length=1)
    """Training sizes of this experiment, from `sizes` of the study; null: all of them."""

    training: dict[str, Any] = Field(default_factory=dict)
    """Settings that override `training` of the study."""

    search: dict[str, list[Any]] = Field(default_factory=dict)
    """Grid search on the development set, separately for each fold, size and repeat:
    `{training.learning_rate: [1e-3, 1e-4], model.dropout: [0.0, 0.2]}`."""


class Execution(Settings):
    """Device, cache and downloads; a change reruns nothing."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a CUDA GPU where available, else the CPU. cuda: a GPU is required. Steps that use it,
    with auto if Snakemake's machine has one, request the resource `gpu`; estimators use the CPU."""

    checkpoint_cache: UserPath = "~/.cache/emoscale"
    """Folder of downloaded checkpoints, shared by all studies."""

    offline: bool = False
    """Whether downloads are forbidden; a checkpoint that is not in the cache is then an error."""

    pretraining_processes: int = Field(default=1, ge=1, le=64)
    """Processes that share a pre-training: with GPUs one per GPU, otherwise one per core."""

    fairseq_python: UserPath | None = None
    """Python interpreter of an environment with fairseq, for `backend: fairseq`
    (envs/fairseq.yaml)."""


class Study(Settings):
    """The configuration of a study."""

    study: Name
    """Name of the study; its results are in `<results>/<study>/`."""

    results: OutputFolder = "results"
    """Folder of all results."""

    seed: int = Field(default=1, ge=0, lt=2**63)
    """Seed of folds, training orders and initialisations."""

    corpus: CorpusSettings
    """The corpus."""

    shards: int = Field(default=8, ge=1, le=1000)
    """Number of parts that the corpus is split into; features are extracted shard by shard."""

    audio: AudioChecks = AudioChecks()
    """Checks of each recording."""

    labels: LabelSettings
    """The classes."""

    representations: dict[Name, RepresentationSettings] = Field(min_length=1)
    """The representations of speech, by name."""

    checkpoints: dict[Name, CheckpointSettings] = Field(default_factory=dict)
    """Checkpoints of pre-trained weights, by the names that representations use."""

    protocol: ProtocolSettings
    """Folds, development sets and training orders."""

    sizes: list[StrictInt | StrictStr] = Field(min_length=1)
    """Training sizes: totals (500), numbers per class (125-per-class) or all."""

    models: dict[Name, ModelSettings] = Field(min_length=1)
    """The classifiers, by name."""

    training: TrainingSettings = TrainingSettings()
    """The training of all experiments; an experiment may override it."""

    experiments: dict[Name, Experiment] = Field(min_length=1)
    """The experiments, by name; each is one learning curve."""

    robustness: RobustnessSettings = RobustnessSettings()
    """Test of trained models on perturbed audio."""

    evidence: EvidenceSettings = EvidenceSettings()
    """Analysis of the finished learning curves."""

    execution: Execution = Execution()
    """Device, cache and downloads."""

    @model_validator(mode="after")
    def _check_consistency(self) -> Study:
        check_consistency(self)
        return self

    @property
    def folder(self) -> str:
        """Folder of the results."""
        return f"{self.results}/{self.study}"

    def size_names(self) -> list[str]:
        """Return the training sizes as they appear in file names."""
        return [str(size) for size in self.sizes]

    def sizes_of(self, experiment: str) -> list[str]:
        """Return the training sizes of an experiment.

        Parameters
        ----------
        experiment : str
            Name of the experiment.

        Returns
        -------
        list of str
            As they appear in file names.
        """
        sizes = self.experiments[experiment].sizes
        return self.size_names() if sizes is None else [str(size) for size in sizes]

    def audio_of(self, experiment: str) -> list[str]:
        """Return the representations of audio that an experiment reads.

        Parameters
        ----------
        experiment : str
            Name of the experiment.

        Returns
        -------
        list of str
            Names; representations from outside the project count as audio.
        """
        references = self.experiments[experiment].representations
        names = dict.fromkeys(reference_parts(reference)[0] for reference in references)
        return [name for name in names if modality_of(self.representations[name].kind) != "text"]

    def robustness_sizes(self) -> dict[str, list[str]]:
        """Return the training sizes of the robustness test, by experiment."""
        experiments = self.robustness.experiments
        if experiments == "all":
            experiments = [name for name in self.experiments if self.audio_of(name)]
        sizes = self.robustness.sizes
        return {
            name: [str(size) for size in sizes] if sizes is not None else [self._largest_size(name)]
            for name in experiments
        }

    def _largest_size(self, experiment: str) -> str:
        classes = len(self.labels.classes)
        return max(self.sizes_of(experiment), key=lambda size: labels_of_size(size, classes))

    def fold_names(self) -> list[str]:
        """Return the folds as they appear in file names."""
        return [f"fold{number}" for number in range(1, self.protocol.folds + 1)]

    def shard_names(self) -> list[str]:
        """Return the shards as they appear in file names."""
        digits = max(2, len(str(self.shards - 1)))
        return [f"{number:0{digits}d}" for number in range(self.shards)]

    def training_of(self, experiment: str) -> TrainingSettings:
        """Return the training settings of an experiment.

        Parameters
        ----------
        experiment : str
            Name of the experiment.

        Returns
        -------
        TrainingSettings
            Those of the study, with the overrides of the experiment.
        """
        overrides = self.experiments[experiment].training
        merged = {**self.training.model_dump(), **overrides}
        where = f"experiments.{experiment}.training"
        training: TrainingSettings = parse_settings(TrainingSettings, merged, where)
        return training

    # Canonical JSON of exactly the settings that a step depends on.

    def corpus_settings(self) -> str:
        """Return the settings of reading the corpus as JSON, without the name for people."""
        return canonical_json(self.corpus.model_dump(mode="json", exclude={"name"}))

    def audio_settings(self) -> str:
        """Return the settings of checking recordings, as JSON."""
        return canonical_json(self.audio.model_dump(mode="json"))

    def labels_settings(self) -> str:
        """Return the settings of the classes, as JSON."""
        return canonical_json(self.labels.model_dump(mode="json"))

    def audit_settings(self) -> str:
        """Return the settings of the audit, as JSON."""
        units = {"session": "session", "corpus": "corpus", "file": "file", "official": "file"}
        return canonical_json(
            {
                "unit": units.get(self.protocol.fold_unit, "speaker"),
                "test_units": self.protocol.test_units or [],
                "exclude": self.labels.exclude,
            }
        )

    def representation_settings(self, name: str) -> str:
        """Return the settings of extracting one representation.

        Parameters
        ----------
        name : str
            Name of the representation.

        Returns
        -------
        str
            Canonical JSON.
        """
        return canonical_json(self.representations[name].model_dump(mode="json"))

    def checkpoints_of(self, name: str) -> list[str]:
        """Return the names under `checkpoints` that a representation uses.

        Parameters
        ----------
        name : str
            Name of the representation.

        Returns
        -------
        list of str
            Names.
        """
        settings = self.representations[name]
        values = [getattr(settings, key) for key in getattr(settings, "checkpoint_keys", ())]
        return [value for value in values if value in self.checkpoints]

    def checkpoint_settings(self, name: str) -> str:
        """Return the settings of one checkpoint.

        Parameters
        ----------
        name : str
            Name of the checkpoint.

        Returns
        -------
        str
            Canonical JSON.
        """
        return canonical_json(self.checkpoints[name].model_dump(mode="json"))

    def pretraining_of(self, name: str) -> PretrainingSettings | None:
        """Return the settings of a checkpoint that the study pre-trains.

        Parameters
        ----------
        name : str
            Name of the checkpoint.

        Returns
        -------
        PretrainingSettings or None
            None if the checkpoint is fetched, or there is none of this name.
        """
        settings = self.checkpoints.get(name)
        return settings if isinstance(settings, PretrainingSettings) else None

    def speech_of(self, name: str) -> list[str]:
        """Return the checkpoints whose unlabelled speech a checkpoint has been trained on.

        Parameters
        ----------
        name : str
            Name of the checkpoint.

        Returns
        -------
        list of str
            The checkpoint, if the study pre-trains it on speech, and those that it continues from.
        """
        settings = self.pretraining_of(name)
        if settings is None:
            return []
        earlier = self.speech_of(settings.continue_from) if settings.continue_from else []
        return [*earlier, *([name] if settings.steps else [])]

    def protocol_settings(self) -> str:
        """Return the settings of folds and training orders, as JSON."""
        return canonical_json({**self.protocol.model_dump(mode="json"), "seed": self.seed})

    def sizes_settings(self) -> str:
        """Return the training sizes, as JSON."""
        return canonical_json({"sizes": self.size_names()})

    def report_settings(self) -> str:
        """Return the settings that the report shows, as JSON."""
        parts = {"labels": self.labels_settings(), "protocol": self.protocol_settings()}
        sections: dict[str, Any] = {name: json.loads(part) for name, part in parts.items()}
        twins = untrained_twins(self)
        return canonical_json({**sections, **({"untrained_twins": twins} if twins else {})})

    def training_settings(self, experiment: str) -> str:
        """Return the settings of the trainings of one experiment.

        Parameters
        ----------
        experiment : str
            Name of the experiment.

        Returns
        -------
        str
            Canonical JSON.
        """
        model: Any = self.models[self.experiments[experiment].model]
        training = self.training_of(experiment).model_dump(mode="json")
        if model.kind == "estimator":
            training = {key: training[key] for key in ESTIMATOR_TRAINING}
        return canonical_json(
            {
                "model": model.model_dump(mode="json"),
                "training": training,
                "search": self.experiments[experiment].search,
                "layers": [
                    reference_parts(reference)[1]
                    for reference in self.experiments[experiment].representations
                ],
                "seed": self.seed,
            }
        )

    def condition_settings(self, name: str) -> str:
        """Return the settings of one perturbation.

        Parameters
        ----------
        name : str
            Name of the condition.

        Returns
        -------
        str
            Canonical JSON.
        """
        return canonical_json(self.robustness.conditions[name].model_dump(mode="json"))

    def conditions_settings(self) -> str:
        """Return the settings of all perturbations, as JSON."""
        conditions = self.robustness.conditions
        return canonical_json({k: v.model_dump(mode="json") for k, v in conditions.items()})

    def evidence_settings(self) -> str:
        """Return the settings of the analysis of learning curves, as JSON."""
        experiments = {
            name: TrainedExperiment(
                representations=[
                    self._as_read(reference) for reference in experiment.representations
                ],
                model=self.models[experiment.model].model_dump(mode="json"),
                normalisation=self.training_of(name).normalisation,
            )
            for name, experiment in self.experiments.items()
        }
        evidence = StudyEvidence(
            **self.evidence.model_dump(),
            seed=self.seed,
            classes=sorted(self.labels.classes),
            protocol=self.protocol.model_dump(mode="json"),
            experiments=experiments,
        )
        return canonical_json(evidence.model_dump(mode="json"))

    def _as_read(self, reference: str) -> dict[str, Any]:
        """Return the settings of a representation, with the layer that an experiment reads."""
        name, layer = reference_parts(reference)
        settings = self.representations[name]
        read = settings.model_dump(mode="json")
        if layer is not None:
            read["layer"] = layer
        elif is_layered(settings):
            read["layer"] = "several"
        return read

    def prediction_settings(self, experiment: str) -> str:
        """Return the settings of predicting new recordings, for the record of a run.

        Parameters
        ----------
        experiment : str
            Name of the experiment.

        Returns
        -------
        str
            Canonical JSON.
        """
        references = self.experiments[experiment].representations
        representations = {reference_parts(reference)[0] for reference in references}
        names = {name for each in representations for name in self.checkpoints_of(each)}
        prediction = PredictionSettings(
            audio=self.audio,
            checkpoints={
                name: settings
                for name, settings in self.checkpoints.items()
                if name in names and not isinstance(settings, PretrainingSettings)
            },
            pretrained={
                name: f"checkpoints/{name}/{settings.weights}"
                for name, settings in self.checkpoints.items()
                if name in names and isinstance(settings, PretrainingSettings)
            },
            checkpoint_cache=self.execution.checkpoint_cache,
        )
        return canonical_json(prediction.model_dump(mode="json"))


def parse_study(config: Mapping[str, Any], files: Sequence[Path | str] = ()) -> Study:
    """Validate the configuration of a study.

    Parameters
    ----------
    config : Mapping
        The configuration, as Snakemake merges it from files and command-line options.
    files : sequence of Path or str
        The files that it was read from: error messages then name the line.

    Returns
    -------
    Study
        The validated study.

    Raises
    ------
    ConfigurationError
        With a sentence for each mistake.
    """
    study: Study = parse_settings(
        Study, config, "the configuration", lambda keys: line_of_key(files, keys)
    )
    return study
