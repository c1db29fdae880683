"""A study: a corpus, a protocol and experiments; its slices are what the steps see."""

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
from emoscale.runtime.provenance import canonical_json


class Experiment(Settings):
    """One curve of the study: a representation, a model, and what its training does otherwise."""

    representations: list[Reference] = Field(min_length=1)
    """Names under `representations`; of one with several layers, a name and a layer: wavlm/6. How
    many a model reads, the model says."""

    model: Name
    """A name under `models`."""

    sizes: list[StrictInt | StrictStr] | None = Field(default=None, min_length=1)
    """Which of the study's sizes it is trained at; null: all of them."""

    training: dict[str, Any] = Field(default_factory=dict)
    """Overrides of the study's `training`, for this experiment only."""

    search: dict[str, list[Any]] = Field(default_factory=dict)
    """A grid of settings to choose from on the development set, in each fold, size and repeat anew:
    `{training.learning_rate: [1e-3, 1e-4], model.dropout: [0.0, 0.2]}`."""


class Execution(Settings):
    """Where things run; changes no result, so it makes nothing rerun."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a CUDA GPU when one is there. cuda: needs one; jobs then count the resource `gpu`."""

    checkpoint_cache: UserPath = "~/.cache/emoscale"
    """Folder of downloaded weights, shared by all studies."""

    offline: bool = False
    """Whether nothing is downloaded: what is not in the cache is an error."""

    fairseq_python: UserPath | None = None
    """The Python that has fairseq, for `backend: fairseq` (envs/fairseq.yaml)."""


class Study(Settings):
    """The whole configuration file."""

    study: Name
    """Name of the study; its results go to `<results>/<study>/`."""

    results: OutputFolder = "results"
    """Folder of all results."""

    seed: int = Field(default=1, ge=0, lt=2**63)
    """Seed of training orders and initialisations."""

    corpus: CorpusSettings
    """Which corpus."""

    shards: int = Field(default=8, ge=1, le=1000)
    """Parts the corpus is dealt to: features are extracted, and extracted again, a shard a job."""

    audio: AudioChecks = AudioChecks()
    """When a recording is fit to be used."""

    labels: LabelSettings
    """The study's classes."""

    representations: dict[Name, RepresentationSettings] = Field(min_length=1)
    """What is extracted from each utterance, each under a name of its own."""

    checkpoints: dict[Name, CheckpointSettings] = Field(default_factory=dict)
    """Pre-trained weights that are downloaded, under names that representations use."""

    protocol: ProtocolSettings
    """Folds, development sets and training orders."""

    sizes: list[StrictInt | StrictStr] = Field(min_length=1)
    """Amounts of training data: totals (500), numbers a class (125-per-class) or all."""

    models: dict[Name, ModelSettings] = Field(min_length=1)
    """The classifiers, each under a name of its own."""

    training: TrainingSettings = TrainingSettings()
    """How they are trained."""

    experiments: dict[Name, Experiment] = Field(min_length=1)
    """The curves of the study."""

    robustness: RobustnessSettings = RobustnessSettings()
    """Which trained models are also tested on changed audio, and on what."""

    evidence: EvidenceSettings = EvidenceSettings()
    """What is asked of the finished curves; trains nothing again."""

    execution: Execution = Execution()
    """Where things run."""

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Study:
        check_consistency(self)
        return self

    @property
    def folder(self) -> str:
        """Where this study's results are."""
        return f"{self.results}/{self.study}"

    def size_names(self) -> list[str]:
        """Training sizes as they appear in file names."""
        return [str(size) for size in self.sizes]

    def sizes_of(self, experiment: str) -> list[str]:
        """Sizes at which an experiment is trained."""
        own = self.experiments[experiment].sizes
        return self.size_names() if own is None else [str(size) for size in own]

    def audio_of(self, experiment: str) -> list[str]:
        """Representations that an experiment reads of audio; one from outside counts as such."""
        references = self.experiments[experiment].representations
        names = dict.fromkeys(reference_parts(reference)[0] for reference in references)
        return [name for name in names if modality_of(self.representations[name].kind) != "text"]

    def robustness_sizes(self) -> dict[str, list[str]]:
        """Which experiments are also tested on changed audio, at which training sizes."""
        asked = self.robustness.experiments
        if asked == "all":
            asked = [name for name in self.experiments if self.audio_of(name)]
        sizes = self.robustness.sizes
        return {
            name: [str(size) for size in sizes] if sizes is not None else [self._largest_size(name)]
            for name in asked
        }

    def _largest_size(self, experiment: str) -> str:
        classes = len(self.labels.classes)
        return max(self.sizes_of(experiment), key=lambda size: labels_of_size(size, classes))

    def fold_names(self) -> list[str]:
        """Folds as they appear in file names."""
        return [f"fold{number}" for number in range(1, self.protocol.folds + 1)]

    def shard_names(self) -> list[str]:
        """Shards as they appear in file names."""
        digits = max(2, len(str(self.shards - 1)))
        return [f"{number:0{digits}d}" for number in range(self.shards)]

    def training_of(self, experiment: str) -> TrainingSettings:
        """The study's training settings with the experiment's own overrides."""
        own = self.experiments[experiment].training
        merged = {**self.training.model_dump(), **own}
        where = f"experiments.{experiment}.training"
        training: TrainingSettings = parse_settings(TrainingSettings, merged, where)
        return training

    # The slices: canonical JSON of exactly what a step depends on.

    def corpus_settings(self, *, include_root: bool = True) -> str:
        """Return what generating and reading the corpus depends on; not the name for people."""
        excluded = {"name"} if include_root else {"name", "root"}
        return canonical_json(self.corpus.model_dump(mode="json", exclude=excluded))

    def audio_settings(self) -> str:
        """For checking its recordings."""
        return canonical_json(self.audio.model_dump(mode="json"))

    def labels_settings(self) -> str:
        """For giving utterances their classes."""
        return canonical_json(self.labels.model_dump(mode="json"))

    def audit_settings(self) -> str:
        """For auditing the corpus: what the folds keep together, and what is left out by name."""
        unit = self.protocol.fold_unit
        return canonical_json(
            {
                "unit": unit if unit in ("session", "corpus", "file") else "speaker",
                "test_units": self.protocol.test_units or [],
                "exclude": self.labels.exclude,
            }
        )

    def representation_settings(self, name: str) -> str:
        """For extracting one representation."""
        return canonical_json(self.representations[name].model_dump(mode="json"))

    def checkpoints_of(self, name: str) -> list[str]:
        """Names under `checkpoints` that a representation uses."""
        settings = self.representations[name]
        values = [getattr(settings, key) for key in getattr(settings, "checkpoint_keys", ())]
        return [value for value in values if value in self.checkpoints]

    def checkpoint_settings(self, name: str) -> str:
        """For fetching one checkpoint."""
        return canonical_json(self.checkpoints[name].model_dump(mode="json"))

    def protocol_settings(self) -> str:
        """For making folds and training orders."""
        return canonical_json({**self.protocol.model_dump(mode="json"), "seed": self.seed})

    def sizes_settings(self) -> str:
        """For checking that every fold has them."""
        return canonical_json({"sizes": self.size_names()})

    def report_settings(self) -> str:
        """For the report: what it shows of the configuration."""
        parts = {"labels": self.labels_settings(), "protocol": self.protocol_settings()}
        return canonical_json({name: json.loads(part) for name, part in parts.items()})

    def training_settings(self, experiment: str) -> str:
        """For training one experiment, at any fold and size."""
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
        """For extracting what is heard under one condition."""
        return canonical_json(self.robustness.conditions[name].model_dump(mode="json"))

    def conditions_settings(self) -> str:
        """For testing under all of them."""
        conditions = self.robustness.conditions
        return canonical_json({k: v.model_dump(mode="json") for k, v in conditions.items()})

    def evidence_settings(self) -> str:
        """For counting the labels that one experiment saves against another, and forecasts."""
        experiments = {
            name: TrainedExperiment(
                representations=[
                    self._as_read(reference) for reference in experiment.representations
                ],
                model=self.models[experiment.model].model_dump(mode="json"),
            )
            for name, experiment in self.experiments.items()
        }
        asked = StudyEvidence(
            **self.evidence.model_dump(),
            seed=self.seed,
            classes=sorted(self.labels.classes),
            protocol=self.protocol.model_dump(mode="json"),
            experiments=experiments,
        )
        return canonical_json(asked.model_dump(mode="json"))

    def _as_read(self, reference: str) -> dict[str, Any]:
        """Settings of a representation, with the layer that an experiment reads of it."""
        name, layer = reference_parts(reference)
        settings = self.representations[name]
        read = settings.model_dump(mode="json")
        if layer is not None:
            read["layer"] = layer
        elif is_layered(settings):
            read["layer"] = "several"
        return read

    def prediction_settings(self, experiment: str) -> str:
        """For predicting new recordings with a model of this experiment: kept beside it."""
        references = self.experiments[experiment].representations
        representations = {reference_parts(reference)[0] for reference in references}
        names = {name for each in representations for name in self.checkpoints_of(each)}
        kept = PredictionSettings(
            audio=self.audio,
            checkpoints={name: self.checkpoints[name] for name in sorted(names)},
            checkpoint_cache=self.execution.checkpoint_cache,
        )
        return canonical_json(kept.model_dump(mode="json"))


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
