"""What no part of a study can know alone: names that are listed, settings that fit one another.

Each check raises `ValueError` with a sentence that says what to change.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoscale.config.corpus import DemoCorpus
from emoscale.config.protocol import SizesSettings
from emoscale.config.representations import SAMPLE_RATE, ExternalSettings, SpectralSettings
from emoscale.config.search import Trial, trials_of
from emoscale.config.settings import is_layered, reference_parts
from emoscale.config.training import ESTIMATOR_TRAINING, TrainingSettings
from emoscale.runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from emoscale.config.study import Experiment, Study

_OWN_FOLDERS = (
    *("benchmarks", "checkpoints", "corpus", "features", "figures", "logs", "perturbed"),
    *("protocol", "robustness", "runs", "tables"),
)


def check_consistency(study: Study) -> None:
    """All checks, in the order in which a reader of the file comes to what they are about."""
    SizesSettings(sizes=study.sizes)
    for name in study.experiments:
        _check_experiment(study, name)
        _check_training(study, name)
    _check_backends(study)
    _check_file_names(study)
    _check_generated_corpus(study)
    _check_tested_corpora(study)
    _check_robustness(study)
    _check_reference(study)
    _check_windows(study)


def _check_experiment(study: Study, name: str) -> None:
    experiment = study.experiments[name]
    kind = _named(name, "model", experiment.model, study.models).kind
    for reference in experiment.representations:
        _check_read(study, name, kind, reference)
    wanted, given = study.models[experiment.model].inputs, len(experiment.representations)
    if wanted != given:
        raise ValueError(
            f"experiment {name}: a model of the kind {kind} reads {wanted} "
            f"representation{'s' if wanted > 1 else ''}, not {given}"
        )
    others = sorted(set(study.sizes_of(name)) - set(study.size_names()))
    if others:
        raise ValueError(
            f"experiment {name}: the size {others[0]} is not listed under sizes (there: "
            f"{', '.join(study.size_names())})"
        )


def _check_read(study: Study, name: str, kind: str, reference: str) -> None:
    representation, layer = reference_parts(reference)
    settings = _named(name, "representation", representation, study.representations)
    if not isinstance(settings, ExternalSettings):  # whose layers are not known here
        _check_layer(name, reference, layer, getattr(settings, "layer", 0))
        if kind == "estimator" and layer is None and is_layered(settings):
            raise ValueError(
                f"experiment {name}: an estimator cannot weigh layers and "
                f"{representation} has several; name one, as in {representation}/6"
            )
    if kind == "waveform" and settings.kind != "waveform":
        raise ValueError(
            f"experiment {name}: a waveform model reads a representation of the kind "
            f"waveform, and {representation} is of the kind {settings.kind}"
        )


def _named(experiment: str, kind: str, wanted: str, known: Mapping[str, Any]) -> Any:
    if wanted not in known:
        raise ValueError(
            f"experiment {experiment} uses the {kind} {wanted}, which is not listed under "
            f"{kind}s (there: {', '.join(sorted(known))})"
        )
    return known[wanted]


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


def _check_training(study: Study, name: str) -> None:
    experiment, training = study.experiments[name], study.training_of(name)
    model: Any = study.models[experiment.model]
    try:
        trials = trials_of(model, training, experiment.search)
    except ConfigurationError as error:
        raise ValueError(f"experiment {name}: {error}") from None
    if model.kind == "estimator":
        _check_estimator(name, experiment, training)
    votes = any(trial.training.targets == "votes" for trial in trials)
    if votes and model.kind == "estimator":
        raise ValueError(
            f"experiment {name}: an estimator learns classes, not the shares of votes; keep "
            "training.targets at majority for the study, and set votes in other experiments"
        )
    if votes and study.protocol.shuffle_labels:
        raise ValueError(
            f"experiment {name}: votes are not permuted, so protocol.shuffle_labels would "
            "control nothing; set training.targets to majority"
        )
    if study.protocol.development == "none" and _chooses(trials):
        raise ValueError(
            f"experiment {name}: protocol.development is none, so nothing can be chosen; "
            "set training.early_stopping to false, search nothing, and give an estimator one C"
        )


def _check_estimator(name: str, experiment: Experiment, training: TrainingSettings) -> None:
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


def _chooses(trials: list[Trial]) -> bool:
    """Whether anything is left to choose on a development set."""
    first = trials[0]
    if first.model.kind == "estimator":
        return len(trials) > 1 or len(first.model.C) > 1
    return len(trials) > 1 or first.training.early_stopping


def _check_file_names(study: Study) -> None:
    """Also where a file system takes small and capital letters for the same."""
    for part in ("representations", "checkpoints", "experiments"):
        seen: dict[str, str] = {}
        for name in getattr(study, part):
            other = seen.setdefault(name.lower(), name)
            if other != name:
                raise ValueError(
                    f"{part} has {other} and {name}, whose files would be the same on some "
                    "disks; rename one"
                )


def _check_generated_corpus(study: Study) -> None:
    """It lies among results only: Snakemake removes a folder before the rule that makes it runs."""
    if not isinstance(study.corpus, DemoCorpus):
        return
    root = Path(study.corpus.root).resolve()
    if Path(study.results).resolve() not in root.parents:
        raise ValueError(
            f"corpus.root is {study.corpus.root}, and what is there would be replaced by the "
            f"generated corpus; name a folder in {study.results}"
        )
    own = Path(study.folder).resolve()
    if root == own or any(own / name in (root, *root.parents) for name in _OWN_FOLDERS):
        raise ValueError(
            f"corpus.root is {study.corpus.root}, where the study keeps files of its own; name "
            f"another folder, such as {study.folder}/generated"
        )


def _check_tested_corpora(study: Study) -> None:
    there = list(getattr(study.corpus, "corpora", ()))
    if study.protocol.fold_unit != "corpus":
        return
    if not there:
        raise ValueError(
            "protocol.fold_unit is corpus and there is one corpus only; name several with "
            "corpus.reader: several"
        )
    for name in study.protocol.test_units or ():
        if name not in there:
            raise ValueError(
                f"protocol.test_units lists {name}, which is not listed under corpus.corpora "
                f"(there: {', '.join(there)})"
            )


def _check_robustness(study: Study) -> None:
    asked = study.robustness.experiments
    for name in [] if asked == "all" else asked:
        _check_named_in_robustness(study, name)
    for name, sizes in study.robustness_sizes().items():
        others = sorted(set(sizes) - set(study.sizes_of(name)))
        if others:
            raise ValueError(
                f"robustness: {name} is not trained at the size {others[0]} (it is at "
                f"{', '.join(study.sizes_of(name))})"
            )


def _check_backends(study: Study) -> None:
    for name, settings in study.representations.items():
        backend = getattr(settings, "backend", "native")
        if backend == "fairseq" and study.execution.fairseq_python is None:
            raise ValueError(
                f"representations.{name}: backend fairseq needs a Python that has fairseq; make "
                "one (conda env create -f envs/fairseq.yaml) and name it under "
                "execution.fairseq_python, or take the native backend"
            )


def _check_named_in_robustness(study: Study, name: str) -> None:
    if name not in study.experiments:
        raise ValueError(
            f"robustness: there is no experiment {name} (there: "
            f"{', '.join(sorted(study.experiments))})"
        )
    if not study.audio_of(name):
        raise ValueError(
            f"robustness: {name} reads text only, which changed audio leaves as it is; list "
            "experiments that read audio"
        )


def _check_reference(study: Study) -> None:
    if study.evidence.reference is not None and study.evidence.reference not in study.experiments:
        raise ValueError(
            f"evidence.reference is {study.evidence.reference}, which is not listed under "
            f"experiments (there: {', '.join(sorted(study.experiments))})"
        )


def _check_windows(study: Study) -> None:
    """No utterance is too short for a frame."""
    for name, settings in study.representations.items():
        if not isinstance(settings, SpectralSettings):
            continue
        needed = (settings.transform_samples // 2 + 1) / SAMPLE_RATE
        if study.audio.minimum_seconds < needed:
            raise ValueError(
                f"representation {name} needs utterances of {needed:.3f} s and "
                f"audio.minimum_seconds is {study.audio.minimum_seconds}; raise it, or shorten "
                "the window"
            )
