"""A study: a corpus, a protocol and experiments; its slices are what the steps see."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, StrictInt, StrictStr, model_validator

from emoscale.config.checkpoints import CheckpointSettings
from emoscale.config.corpus import AudioChecks, CorpusSettings, DemoCorpus, LabelSettings
from emoscale.config.evidence import EvidenceSettings, EvidenceSlice, TrainedExperiment
from emoscale.config.models import ModelSettings
from emoscale.config.parsing import parse_settings
from emoscale.config.prediction import PredictionSettings
from emoscale.config.protocol import ProtocolSettings, SizesSettings
from emoscale.config.representations import (
    SAMPLE_RATE,
    ExternalSettings,
    RepresentationSettings,
    SpectralSettings,
    modality_of,
)
from emoscale.config.robustness import RobustnessSettings, labels_of_size
from emoscale.config.search import trials_of
from emoscale.config.settings import Name, OutputFolder, Place, Reference, Settings
from emoscale.config.training import TrainingSettings
from emoscale.errors import ConfigurationError
from emoscale.provenance import canonical_json

ESTIMATOR_TRAINING = ("class_balance",)
"""What of the training settings an estimator knows."""


_OWN_FOLDERS = (
    *("benchmarks", "checkpoints", "corpus", "fairseq", "features", "figures", "logs", "perturbed"),
    *("protocol", "robustness", "runs", "tables"),
)


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

    checkpoint_cache: Place = "~/.cache/emoscale"
    """Folder of downloaded weights, shared by all studies."""

    offline: bool = False
    """Whether nothing is downloaded: what is not in the cache is an error."""

    seconds_between_checkpoints: float = Field(default=20.0, ge=0.0)
    """How often a training saves what it needs to go on where it was, should it be killed."""

    fairseq_python: Place = "python"
    """The Python that has fairseq, for `backend: fairseq` without conda."""


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
    def _names_exist(self) -> Study:
        SizesSettings(sizes=self.sizes)
        for name, experiment in self.experiments.items():
            kind = self._named(name, "model", experiment.model, self.models).kind
            for reference in experiment.representations:
                representation, layer = reference_parts(reference)
                settings = self._named(name, "representation", representation, self.representations)
                if not isinstance(settings, ExternalSettings):  # whose layers are not known here
                    _check_layer(name, reference, layer, getattr(settings, "layer", 0))
                    if kind == "estimator" and layer is None and _is_layered(settings):
                        raise ValueError(
                            f"experiment {name}: an estimator cannot weigh layers and "
                            f"{representation} has several; name one, as in {representation}/6"
                        )
                if kind == "waveform" and settings.kind != "waveform":
                    raise ValueError(
                        f"experiment {name}: a waveform model reads a representation of the kind "
                        f"waveform, and {representation} is of the kind {settings.kind}"
                    )
            wanted, given = self.models[experiment.model].inputs, len(experiment.representations)
            if wanted != given:
                raise ValueError(
                    f"experiment {name}: a model of the kind {kind} reads {wanted} "
                    f"representation{'s' if wanted > 1 else ''}, not {given}"
                )
            others = sorted(set(self.sizes_of(name)) - set(self.size_names()))
            if others:
                raise ValueError(
                    f"experiment {name}: the size {others[0]} is not listed under sizes (there: "
                    f"{', '.join(self.size_names())})"
                )
            self._check_training(name)
        return self

    def _check_training(self, name: str) -> None:
        experiment, training = self.experiments[name], self.training_of(name)
        model: Any = self.models[experiment.model]
        try:
            trials = trials_of(model, training, experiment.search)
        except ConfigurationError as error:
            raise ValueError(f"experiment {name}: {error}") from None
        if model.kind == "estimator":
            searched = {key.removeprefix("training.") for key in experiment.search}
            given = {*experiment.training, *searched.intersection(TrainingSettings.model_fields)}
            if given - set(ESTIMATOR_TRAINING):
                raise ValueError(
                    f"experiment {name}: an estimator is fitted and not trained by steps, so "
                    f"training.{min(given - set(ESTIMATOR_TRAINING))} means nothing to it; "
                    "remove it"
                )
            if training.class_balance == "sampling":
                raise ValueError(
                    f"experiment {name}: an estimator cannot balance classes by sampling; give "
                    "the experiment `training: {class_balance: weights}`"
                )
        votes = any(trial.training.labels == "votes" for trial in trials)
        if votes and model.kind == "estimator":
            raise ValueError(
                f"experiment {name}: an estimator learns classes, not the shares of votes; keep "
                "training.labels at majority for the study, and set votes in other experiments"
            )
        if votes and self.protocol.shuffle_labels:
            raise ValueError(
                f"experiment {name}: votes are not permuted, so protocol.shuffle_labels would "
                "control nothing; set training.labels to majority"
            )
        if self.protocol.development == "none":
            first = trials[0]
            if model.kind == "estimator":
                fixed = len(first.model.strengths) == 1
            else:
                fixed = first.training.schedule == "fixed"
            if len(trials) > 1 or not fixed:
                raise ValueError(
                    f"experiment {name}: protocol.development is none, so nothing can be chosen; "
                    "set training.schedule to fixed, search nothing, and give an estimator one of "
                    "its strengths"
                )

    @model_validator(mode="after")
    def _names_are_files_of_their_own(self) -> Study:
        """Also where a file system takes small and capital letters for the same."""
        for part in ("representations", "checkpoints", "experiments"):
            seen: dict[str, str] = {}
            for name in getattr(self, part):
                other = seen.setdefault(name.lower(), name)
                if other != name:
                    raise ValueError(
                        f"{part} has {other} and {name}, whose files would be the same on some "
                        "disks; rename one"
                    )
        return self

    @model_validator(mode="after")
    def _generated_only_among_results(self) -> Study:
        """Snakemake removes a folder before the rule that makes it runs."""
        results = Path(self.results).resolve()
        root = Path(self.corpus.root).resolve()
        if isinstance(self.corpus, DemoCorpus) and results not in root.parents:
            raise ValueError(
                f"corpus.root is {self.corpus.root}, and what is there would be replaced by the "
                f"generated corpus; name a folder in {self.results}"
            )
        own = Path(self.folder).resolve()
        if isinstance(self.corpus, DemoCorpus) and (
            root == own or any(own / name in (root, *root.parents) for name in _OWN_FOLDERS)
        ):
            raise ValueError(
                f"corpus.root is {self.corpus.root}, where the study keeps files of its own; name "
                f"another folder, such as {self.folder}/generated"
            )
        return self

    @model_validator(mode="after")
    def _corpora_to_test_are_there(self) -> Study:
        there = list(getattr(self.corpus, "corpora", ()))
        if self.protocol.fold_unit != "corpus":
            return self
        if not there:
            raise ValueError(
                "protocol.fold_unit is corpus and there is one corpus only; name several with "
                "corpus.reader: several"
            )
        for name in self.protocol.tested or ():
            if name not in there:
                raise ValueError(
                    f"protocol.tested lists {name}, which is not listed under corpus.corpora "
                    f"(there: {', '.join(there)})"
                )
        return self

    @staticmethod
    def _named(experiment: str, kind: str, wanted: str, known: Mapping[str, Any]) -> Any:
        if wanted not in known:
            raise ValueError(
                f"experiment {experiment} uses the {kind} {wanted}, which is not listed under "
                f"{kind}s (there: {', '.join(sorted(known))})"
            )
        return known[wanted]

    @model_validator(mode="after")
    def _robustness_can_be_tested(self) -> Study:
        asked = self.robustness.experiments
        for name in [] if asked == "all" else asked:
            self._named_in_robustness(name)
        for name, sizes in self.robustness_sizes().items():
            others = sorted(set(sizes) - set(self.sizes_of(name)))
            if others:
                raise ValueError(
                    f"robustness: {name} is not trained at the size {others[0]} (it is at "
                    f"{', '.join(self.sizes_of(name))})"
                )
            for representation in self.audio_of(name):
                settings = self.representations[representation]
                if getattr(settings, "backend", "native") == "fairseq":
                    raise ValueError(
                        f"robustness: {name} reads {representation}, which fairseq computes, and "
                        "changed audio is computed here only; set its backend to native, or list "
                        "other experiments"
                    )
        return self

    def _named_in_robustness(self, name: str) -> None:
        if name not in self.experiments:
            raise ValueError(
                f"robustness: there is no experiment {name} (there: "
                f"{', '.join(sorted(self.experiments))})"
            )
        if not self.audio_of(name):
            raise ValueError(
                f"robustness: {name} reads text only, which changed audio leaves as it is; list "
                "experiments that read audio"
            )

    @model_validator(mode="after")
    def _reference_exists(self) -> Study:
        if self.evidence.reference is not None and self.evidence.reference not in self.experiments:
            raise ValueError(
                f"evidence.reference is {self.evidence.reference}, which is not listed under "
                f"experiments (there: {', '.join(sorted(self.experiments))})"
            )
        return self

    @model_validator(mode="after")
    def _no_utterance_is_too_short_for_a_frame(self) -> Study:
        for name, settings in self.representations.items():
            if not isinstance(settings, SpectralSettings):
                continue
            needed = (settings.transform_samples // 2 + 1) / SAMPLE_RATE
            if self.audio.minimum_seconds < needed:
                raise ValueError(
                    f"representation {name} needs utterances of {needed:.3f} s and "
                    f"audio.minimum_seconds is {self.audio.minimum_seconds}; raise it, or shorten "
                    "the window"
                )
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

    def corpus_slice(self, *, place: bool = True) -> str:
        """For generating and reading the corpus; without its `place`, what it is wherever it is."""
        left_out = set() if place else {"root"}
        return canonical_json(self.corpus.model_dump(mode="json", exclude=left_out))

    def audio_slice(self) -> str:
        """For checking its recordings."""
        return canonical_json(self.audio.model_dump(mode="json"))

    def labels_slice(self) -> str:
        """For giving utterances their classes."""
        return canonical_json(self.labels.model_dump(mode="json"))

    def audit_slice(self) -> str:
        """For auditing the corpus: what the folds keep together, and what is left out by name."""
        unit = self.protocol.fold_unit
        return canonical_json(
            {
                "unit": unit if unit in ("session", "corpus", "file") else "speaker",
                "tested": self.protocol.tested or [],
                "exclude": self.labels.exclude,
            }
        )

    def representation_slice(self, name: str) -> str:
        """For extracting one representation."""
        return canonical_json(self.representations[name].model_dump(mode="json"))

    def checkpoints_of(self, name: str) -> list[str]:
        """Names under `checkpoints` that a representation uses."""
        settings = self.representations[name]
        values = [getattr(settings, key) for key in getattr(settings, "checkpoint_keys", ())]
        return [value for value in values if value in self.checkpoints]

    def checkpoint_slice(self, name: str) -> str:
        """For fetching one checkpoint."""
        return canonical_json(self.checkpoints[name].model_dump(mode="json"))

    def protocol_slice(self) -> str:
        """For making folds and training orders."""
        return canonical_json({**self.protocol.model_dump(mode="json"), "seed": self.seed})

    def training_slice(self, experiment: str) -> str:
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

    def condition_slice(self, name: str) -> str:
        """For extracting what is heard under one condition."""
        return canonical_json(self.robustness.conditions[name].model_dump(mode="json"))

    def conditions_slice(self) -> str:
        """For testing under all of them."""
        conditions = self.robustness.conditions
        return canonical_json({k: v.model_dump(mode="json") for k, v in conditions.items()})

    def evidence_slice(self) -> str:
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
        asked = EvidenceSlice(
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
        elif _is_layered(settings):
            read["layer"] = "several"
        return read

    def prediction_slice(self, experiment: str) -> str:
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


def reference_parts(reference: str) -> tuple[str, int | None]:
    """Name and layer of what an experiment reads.

    >>> reference_parts("wavlm/6"), reference_parts("mfcc")
    (('wavlm', 6), ('mfcc', None))
    """
    name, _, layer = reference.partition("/")
    return name, int(layer) if layer else None


def _is_layered(settings: Any) -> bool:
    """Whether a representation has several layers, which a model weighs unless one is named."""
    return not isinstance(getattr(settings, "layer", 0), int)


def _check_layer(experiment: str, reference: str, layer: int | None, stored: Any) -> None:
    name, _ = reference_parts(reference)
    several = not isinstance(stored, int)
    if not several and layer is not None:
        raise ValueError(
            f"experiment {experiment}: {reference} names a layer and {name} has one only; "
            f"write {name}, or list layers under representations.{name}.layer"
        )
    known = isinstance(stored, list) and min(stored) >= 0
    if layer is not None and known and layer not in stored:
        raise ValueError(
            f"experiment {experiment}: {name} has the layers {', '.join(map(str, stored))}, not "
            f"{layer}"
        )


def parse_study(config: Mapping[str, Any]) -> Study:
    """Check a configuration; raises `ConfigurationError` with a sentence for each mistake."""
    study: Study = parse_settings(Study, config, "the configuration")
    return study
