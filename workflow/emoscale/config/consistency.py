"""Checks across the parts of a configuration: names that must exist, settings that must agree.

Each check raises `ValueError` with a sentence that says what to change.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoscale.config.corpus import DemoCorpus, SeveralCorpora, generated_part
from emoscale.config.pretraining import DemoSpeech
from emoscale.config.protocol import SizesSettings
from emoscale.config.representations import (
    SAMPLE_RATE,
    ExternalSettings,
    OpensmileSettings,
    SpectralSettings,
)
from emoscale.config.search import Trial, trials_of
from emoscale.config.settings import is_layered, reference_parts
from emoscale.config.training import ESTIMATOR_TRAINING, TrainingSettings
from emoscale.runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from emoscale.config.study import Experiment, Study

_RESULT_FOLDERS = (
    *("benchmarks", "checkpoints", "corpus", "features", "figures", "logs", "perturbed"),
    *("protocol", "robustness", "runs", "tables"),
)


def check_consistency(study: Study) -> None:
    """Run all checks, in the order of the keys in a configuration file.

    Parameters
    ----------
    study : Study
        The study.

    Raises
    ------
    ValueError
        With a sentence that says what to change.
    """
    SizesSettings(sizes=study.sizes)
    for name in study.experiments:
        _check_experiment(study, name)
        _check_training(study, name)
    _check_backends(study)
    _check_file_names(study)
    _check_generated_corpus(study)
    _check_pretraining(study)
    _check_test_corpora(study)
    _check_robustness(study)
    _check_reference(study)
    _check_window_lengths(study)


def _check_experiment(study: Study, name: str) -> None:
    experiment = study.experiments[name]
    kind = _lookup(name, "model", experiment.model, study.models).kind
    for reference in experiment.representations:
        _check_read(study, name, kind, reference)
    inputs, listed = study.models[experiment.model].inputs, len(experiment.representations)
    if inputs != listed:
        raise ValueError(
            f"experiments.{name}: a model of the kind {kind} reads {inputs} "
            f"representation{'s' if inputs > 1 else ''}, not {listed}"
        )
    others = sorted(set(study.sizes_of(name)) - set(study.size_names()))
    if others:
        raise ValueError(
            f"experiments.{name}: the size {others[0]} is not listed under sizes (available: "
            f"{', '.join(study.size_names())})"
        )


def _check_read(study: Study, name: str, kind: str, reference: str) -> None:
    representation, layer = reference_parts(reference)
    settings = _lookup(name, "representation", representation, study.representations)
    if not isinstance(settings, ExternalSettings):  # whose layers are not known here
        _check_layer(name, reference, layer, getattr(settings, "layer", 0))
        if kind == "estimator" and layer is None and is_layered(settings):
            raise ValueError(
                f"experiments.{name}: an estimator cannot weight layers, and "
                f"{representation} has several; name one, as in {representation}/6"
            )
    if kind == "waveform" and settings.kind != "waveform":
        raise ValueError(
            f"experiments.{name}: a waveform model reads a representation of the kind "
            f"waveform, and {representation} is of the kind {settings.kind}"
        )


def _lookup(experiment: str, kind: str, name: str, known: Mapping[str, Any]) -> Any:
    if name not in known:
        raise ValueError(
            f"experiments.{experiment} uses the {kind} {name}, which is not listed under "
            f"{kind}s (available: {', '.join(sorted(known))})"
        )
    return known[name]


def _check_layer(experiment: str, reference: str, layer: int | None, stored: Any) -> None:
    name, _ = reference_parts(reference)
    several = not isinstance(stored, int)
    if not several and layer is not None:
        raise ValueError(
            f"experiments.{experiment}: {reference} names a layer, and {name} has only one; "
            f"write {name}, or list layers under representations.{name}.layer"
        )
    known = isinstance(stored, list) and min(stored) >= 0
    if layer is not None and known and layer not in stored:
        raise ValueError(
            f"experiments.{experiment}: {name} has the layers {', '.join(map(str, stored))}, not "
            f"{layer}"
        )


def _check_training(study: Study, name: str) -> None:
    experiment, training = study.experiments[name], study.training_of(name)
    model: Any = study.models[experiment.model]
    try:
        trials = trials_of(model, training, experiment.search)
    except ConfigurationError as error:
        raise ValueError(f"experiments.{name}: {error}") from None
    if model.kind == "estimator":
        _check_estimator(name, experiment, training)
    if training.normalisation == "utterance":
        _check_several_frames(study, name)
    votes = any(trial.training.targets == "votes" for trial in trials)
    if votes and model.kind == "estimator":
        raise ValueError(
            f"experiments.{name}: an estimator cannot learn from votes; leave "
            "training.targets of the study at majority, and set votes in other experiments"
        )
    if votes and study.protocol.shuffle_labels:
        raise ValueError(
            f"experiments.{name}: votes are not permuted by protocol.shuffle_labels; set "
            "training.targets to majority"
        )
    if study.protocol.development == "none" and _needs_development(trials):
        raise ValueError(
            f"experiments.{name}: protocol.development is none, so nothing can be chosen; "
            "set training.early_stopping to false, remove search, and give an estimator one C"
        )


def _check_estimator(name: str, experiment: Experiment, training: TrainingSettings) -> None:
    searched = {key.removeprefix("training.") for key in experiment.search}
    overridden = {*experiment.training, *searched.intersection(TrainingSettings.model_fields)}
    if overridden - set(ESTIMATOR_TRAINING):
        raise ValueError(
            f"experiments.{name}: an estimator is fitted and not trained by steps, so "
            f"training.{min(overridden - set(ESTIMATOR_TRAINING))} does not apply; "
            "remove it"
        )
    if training.normalisation == "utterance":
        raise ValueError(
            f"experiments.{name}: an estimator reads mean and standard deviation of each "
            "utterance's frames, which normalisation by the utterance makes 0 and 1; set "
            "training.normalisation to speaker or training"
        )
    if training.class_balance == "sampling":
        raise ValueError(
            f"experiments.{name}: an estimator cannot balance classes by sampling; give "
            "the experiment `training: {class_balance: weights}`"
        )


def _check_several_frames(study: Study, name: str) -> None:
    for reference in study.experiments[name].representations:
        representation, _ = reference_parts(reference)
        settings = study.representations[representation]
        if isinstance(settings, OpensmileSettings) and settings.feature_level == "functionals":
            raise ValueError(
                f"experiments.{name}: {representation} is one vector per utterance, which has no "
                "statistics of its own; set training.normalisation to speaker or training"
            )


def _needs_development(trials: list[Trial]) -> bool:
    """Return whether anything has to be chosen on a development set."""
    first = trials[0]
    if first.model.kind == "estimator":
        return len(trials) > 1 or len(first.model.C) > 1
    return len(trials) > 1 or first.training.early_stopping


def _check_file_names(study: Study) -> None:
    """Check that file names differ, also on file systems that ignore case."""
    for part in ("representations", "checkpoints", "experiments"):
        names: dict[str, str] = {}
        for name in getattr(study, part):
            other = names.setdefault(name.lower(), name)
            if other != name:
                raise ValueError(
                    f"{part} has {other} and {name}, whose files would be the same on file "
                    "systems that ignore case; rename one"
                )


def _check_generated_corpus(study: Study) -> None:
    generated = _generated_corpora(study)
    for key, corpus in generated:
        _check_generated_folder(study, key, corpus.root)
    if len(generated) > 1:
        raise ValueError(
            f"{generated[0][0]} and {generated[1][0]} are of generated corpora; a study has at "
            "most one: remove one of the corpora"
        )


def _generated_corpora(study: Study) -> list[tuple[str, DemoCorpus]]:
    """Return the key of the folder and the settings of each generated corpus."""
    corpora: dict[str, Any] = {"corpus": study.corpus}
    if isinstance(study.corpus, SeveralCorpora):
        within = study.corpus.within()
        corpora = {f"corpus.corpora.{name}": corpus for name, corpus in within.items()}
    return [
        (f"{key}.root", corpus) for key, corpus in corpora.items() if isinstance(corpus, DemoCorpus)
    ]


def _check_generated_folder(study: Study, key: str, folder: str) -> None:
    """Check that it is inside the results: Snakemake deletes the folder before generating it."""
    root = Path(folder).resolve()
    if Path(study.results).resolve() not in root.parents:
        raise ValueError(
            f"{key} is {folder}, and its content would be replaced by generated speech; name a "
            f"folder inside {study.results}"
        )
    results = Path(study.folder).resolve()
    if root == results or any(results / name in (root, *root.parents) for name in _RESULT_FOLDERS):
        raise ValueError(
            f"{key} is {folder}, which contains other files of the study; name another folder, "
            f"such as {study.folder}/generated"
        )


def _check_pretraining(study: Study) -> None:
    for name in study.checkpoints:
        settings = study.pretraining_of(name)
        if settings is None:
            continue
        if isinstance(settings.speech, DemoSpeech):
            key = f"checkpoints.{name}.speech.root"
            _check_generated_folder(study, key, settings.speech.root)
        elif isinstance(settings.speech, SeveralCorpora) and generated_part(settings.speech):
            raise ValueError(
                f"checkpoints.{name}.speech has a corpus of the reader demo, which is generated "
                "for the study's corpus only; use the reader demo_speech"
            )
        _check_continues(study, name)
        processes = study.execution.pretraining_processes
        if settings.steps and processes > settings.parts:
            raise ValueError(
                f"execution.pretraining_processes is {processes}, and a batch of "
                f"checkpoints.{name} has {settings.parts} part{'s' * (settings.parts > 1)} "
                "(batch_seconds / micro_batch_seconds); lower it, or micro_batch_seconds"
            )
    _check_generated_folders_differ(study)
    for name, representation in study.representations.items():
        for checkpoint in study.checkpoints_of(name):
            settings = study.pretraining_of(checkpoint)
            if settings is not None and representation.kind != settings.representation:
                raise ValueError(
                    f"representations.{name} is of the kind {representation.kind}, and "
                    f"checkpoints.{checkpoint} is pre-trained for the kind "
                    f"{settings.representation}; correct one of them"
                )


def _check_generated_folders_differ(study: Study) -> None:
    """Check that no folder of generated speech is, or contains, another one with other speech."""
    generated: list[tuple[str, Any]] = [*_generated_corpora(study)]
    generated += [
        (f"checkpoints.{name}.speech.root", settings.speech)
        for name in study.checkpoints
        if (settings := study.pretraining_of(name)) is not None
        and isinstance(settings.speech, DemoSpeech)
    ]
    for (key, speech), (other_key, other) in itertools.combinations(generated, 2):
        root, other_root = Path(speech.root).resolve(), Path(other.root).resolve()
        if speech != other and (
            root in (other_root, *other_root.parents) or other_root in root.parents
        ):
            raise ValueError(
                f"{key} and {other_key} are {speech.root} and {other.root}, and each would replace "
                "the speech of the other; name folders that do not contain each other"
            )


def _check_continues(study: Study, name: str) -> None:
    """Check that a checkpoint continues from the same network, and not from itself."""
    chain, current = [name], study.pretraining_of(name)
    while current is not None and current.continue_from in study.checkpoints:
        if current.continue_from in chain:
            raise ValueError(
                f"checkpoints.{name} continues from itself ({' from '.join(chain)} from "
                f"{current.continue_from}); remove one continue_from"
            )
        chain.append(current.continue_from)
        current = study.pretraining_of(current.continue_from)
    settings: Any = study.checkpoints[name]
    initial: Any = study.pretraining_of(settings.continue_from or "")
    if initial is None:
        return
    if initial.pretrain != settings.pretrain:
        raise ValueError(
            f"checkpoints.{name} is a {settings.pretrain} and continues from "
            f"{settings.continue_from}, which is a {initial.pretrain}; correct one of them"
        )


def _check_test_corpora(study: Study) -> None:
    corpora = list(getattr(study.corpus, "corpora", ()))
    unit, folds = study.protocol.fold_unit, study.protocol.folds
    if unit not in ("corpus", "corpus_pairs"):
        return
    if not corpora:
        raise ValueError(
            f"protocol.fold_unit is {unit}, and the study has one corpus only; name several with "
            "corpus.reader: several"
        )
    if unit == "corpus_pairs" and (folds % len(corpora) or folds < 2 * len(corpora)):
        raise ValueError(
            f"protocol.folds is {folds}; with fold_unit: corpus_pairs it is the number of corpora "
            f"({len(corpora)}) times two or more groups of speakers in each, such as "
            f"{5 * len(corpora)}"
        )
    for name in study.protocol.test_units or ():
        if name not in corpora:
            raise ValueError(
                f"protocol.test_units lists {name}, which is not listed under corpus.corpora "
                f"(available: {', '.join(corpora)})"
            )


def _check_robustness(study: Study) -> None:
    experiments = study.robustness.experiments
    for name in [] if experiments == "all" else experiments:
        _check_robustness_experiment(study, name)
    for name, sizes in study.robustness_sizes().items():
        others = sorted(set(sizes) - set(study.sizes_of(name)))
        if others:
            raise ValueError(
                f"robustness: {name} is not trained at the size {others[0]} (available: "
                f"{', '.join(study.sizes_of(name))})"
            )


def _check_backends(study: Study) -> None:
    for name, settings in study.representations.items():
        backend = getattr(settings, "backend", "native")
        if backend == "fairseq" and study.execution.fairseq_python is None:
            raise ValueError(
                f"representations.{name}: backend: fairseq needs a Python with fairseq; create "
                "one (conda env create -f envs/fairseq.yaml) and name it in "
                "execution.fairseq_python, or use backend: native"
            )


def _check_robustness_experiment(study: Study, name: str) -> None:
    if name not in study.experiments:
        raise ValueError(
            f"robustness: {name} is not listed under experiments (available: "
            f"{', '.join(sorted(study.experiments))})"
        )
    if not study.audio_of(name):
        raise ValueError(
            f"robustness: {name} reads text only, which perturbed audio does not change; list "
            "experiments that read audio"
        )


def _check_reference(study: Study) -> None:
    if study.evidence.reference is not None and study.evidence.reference not in study.experiments:
        raise ValueError(
            f"evidence.reference is {study.evidence.reference}, which is not listed under "
            f"experiments (available: {', '.join(sorted(study.experiments))})"
        )


def _check_window_lengths(study: Study) -> None:
    """Check that no utterance is too short for one frame."""
    for name, settings in study.representations.items():
        if not isinstance(settings, SpectralSettings):
            continue
        needed = (settings.transform_samples // 2 + 1) / SAMPLE_RATE
        if study.audio.minimum_seconds < needed:
            raise ValueError(
                f"representation {name} needs utterances of {needed:.3f} s and "
                f"audio.minimum_seconds is {study.audio.minimum_seconds}; raise it, or lower "
                "window_seconds"
            )
