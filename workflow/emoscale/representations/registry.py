"""Builds the representation that a configuration names."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
from pathlib import Path
from typing import Any

from emoscale.config.representations import ExternalSettings, external_entry_points
from emoscale.representations.contract import Representation
from emoscale.representations.torchaudio_guard import import_torchaudio
from emoscale.runtime.errors import ConfigurationError, reason_of
from emoscale.runtime.provenance import PACKAGE

BUILT_IN = {
    "code_roberta": "emoscale.representations.code_roberta:CodeRoberta",
    "logmel": "emoscale.representations.acoustic:LogMel",
    "mfcc": "emoscale.representations.acoustic:Mfcc",
    "opensmile": "emoscale.representations.opensmile_features:Opensmile",
    "transformers_audio": "emoscale.representations.transformers_audio:build_transformers_audio",
    "transformers_text": "emoscale.representations.transformers_text:TransformersText",
    "vq_wav2vec": "emoscale.representations.vq_wav2vec:VqWav2VecFeatures",
    "wav2vec": "emoscale.representations.wav2vec:Wav2VecFeatures",
    "waveform": "emoscale.representations.acoustic:RawWaveform",
}
"""Class of each kind, or what builds it; imported when it is used, so that a kind needs only its
own packages."""

FAIRSEQ_BACKEND = "emoscale.representations.fairseq_backend"
FAIRSEQ_PROGRAM = PACKAGE.parents[1] / "scripts" / "fairseq_backend.py"


def class_of(kind: str) -> str:
    """`module:Class` of a kind: a built-in one, an installed package's entry point, or itself."""
    if kind in BUILT_IN or ":" in kind:
        return BUILT_IN.get(kind, kind)
    return external_entry_points()[kind]


def module_of(kind: str) -> str:
    """Dotted name of the module that computes this kind."""
    return class_of(kind).partition(":")[0]


def sources_of(kind: str, backend: str = "native") -> list[str | Path]:
    """The code that decides what this kind gives; of an external one, the file of its class."""
    if kind in BUILT_IN:
        own: list[str | Path] = [module_of(kind)]
        return own if backend == "native" else [*own, FAIRSEQ_BACKEND, FAIRSEQ_PROGRAM]
    first, *inner = module_of(kind).split(".")
    found, name = importlib.util.find_spec(first), first
    for part in inner:  # find_spec would import the packages that the module is in
        inside = found.submodule_search_locations if found else None
        if inside is None:
            return []  # building it says what is missing
        name = f"{name}.{part}"
        found = importlib.machinery.PathFinder.find_spec(name, inside)
    return [Path(found.origin)] if found and found.origin and found.has_location else []


def build_representation(settings: Any, device: str = "cpu") -> Representation:
    """The representation for checked settings (see `emoscale.config.representations`).

    `device` is "cpu" or "cuda"; what does not run on a GPU takes no notice of it. Raises
    `ConfigurationError` where an external class cannot be imported or breaks the contract.
    """
    if not isinstance(settings, ExternalSettings):
        made = _import(BUILT_IN[settings.kind])(settings)
    else:
        import_torchaudio()  # the user's own code may, and knows nothing of the guard
        try:
            made = _import(class_of(settings.kind))(**settings.options)
        except Exception as error:  # whatever the user's own code raises
            raise ConfigurationError(
                f"representation {settings.kind} cannot be made: {type(error).__name__}: "
                f"{reason_of(error)}"
            ) from error
    if not isinstance(made, Representation):
        raise ConfigurationError(
            f"representation {settings.kind} lacks a part of the contract: modality, dimension, "
            "frame_rate, dtype or extract"
        )
    _check_contract(settings.kind, made)
    place: Any = getattr(made, "to", None)
    if place is not None:
        place(device)
    return made


def build_original(native: Representation, settings: Any, python: str | None) -> Representation:
    """The same representation, computed by fairseq in `python` (settings with `backend: fairseq`).

    Raises `ConfigurationError` where no Python is named.
    """
    if not python:
        raise ConfigurationError(
            "backend fairseq needs a Python that has fairseq: --fairseq-python, or "
            "execution.fairseq_python in a study"
        )
    made: Representation = _import(f"{FAIRSEQ_BACKEND}:FairseqBackend")(native, settings, python)
    return made


def _check_contract(kind: str, made: Representation) -> None:
    numbers = "float16", "float32", "float64", "int8", "uint8", "int16", "int32"
    if made.modality not in ("audio", "text"):
        problem = f"modality is {made.modality!r}, not audio or text"
    elif not isinstance(made.dimension, int) or made.dimension < 1:
        problem = f"dimension is {made.dimension!r}, not a number of values"
    elif made.dtype not in numbers:
        problem = f"dtype is {made.dtype!r}, not one of {', '.join(numbers)}"
    elif made.frame_rate is not None and not made.frame_rate > 0:
        problem = f"frame_rate is {made.frame_rate!r}; it is above 0, or None"
    else:
        return
    raise ConfigurationError(f"representation {kind}: its {problem}")


def _import(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
