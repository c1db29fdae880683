"""Registry of representations: builds the one that a configuration names."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
from pathlib import Path
from typing import Any

from emoscale.config.representations import ExternalSettings, external_entry_points
from emoscale.representations.contract import Representation
from emoscale.representations.torchaudio_guard import import_torchaudio
from emoscale.runtime.errors import ConfigurationError, error_summary
from emoscale.runtime.provenance import PACKAGE, installed_versions

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
"""Class or factory of each built-in kind, imported on use, so that a kind needs only its own
dependencies."""

_DECODING_PACKAGES = ("soundfile", "soxr")
_NETWORK_PACKAGES = ("torch", "transformers")
_PACKAGES: dict[str, tuple[str, ...]] = {
    "code_roberta": (*_DECODING_PACKAGES, *_NETWORK_PACKAGES),
    "logmel": (*_DECODING_PACKAGES, "torch", "torchaudio"),
    "mfcc": (*_DECODING_PACKAGES, "torch", "torchaudio"),
    "opensmile": (*_DECODING_PACKAGES, "opensmile"),
    "transformers_audio": (*_DECODING_PACKAGES, *_NETWORK_PACKAGES),
    "transformers_text": (*_NETWORK_PACKAGES, "tokenizers"),
    "vq_wav2vec": (*_DECODING_PACKAGES, "torch"),
    "wav2vec": (*_DECODING_PACKAGES, "torch"),
    "waveform": _DECODING_PACKAGES,
}
"""Packages whose versions may change the features of each built-in kind."""

FAIRSEQ_BACKEND = "emoscale.representations.fairseq_backend"
FAIRSEQ_SCRIPT = PACKAGE.parents[1] / "scripts" / "fairseq_backend.py"

_DTYPES = "float16", "float32", "float64", "int8", "uint8", "int16", "int32"


def class_path(kind: str) -> str:
    """Return the class or factory of a kind.

    Parameters
    ----------
    kind : str
        A built-in kind, the name of an installed package's entry point, or ``module:Class``.

    Returns
    -------
    str
        ``module:Class``.
    """
    if kind in BUILT_IN or ":" in kind:
        return BUILT_IN.get(kind, kind)
    return external_entry_points()[kind]


def module_name(kind: str) -> str:
    """Return the dotted name of the module that computes a kind.

    Parameters
    ----------
    kind : str
        Kind of representation.

    Returns
    -------
    str
        Name of the module.
    """
    return class_path(kind).partition(":")[0]


def representation_sources(kind: str, backend: str = "native") -> list[str | Path]:
    """Return the source code that determines the features of a kind.

    Parameters
    ----------
    kind : str
        Kind of representation.
    backend : str
        ``native`` or ``fairseq``.

    Returns
    -------
    list of str or Path
        Module names of a built-in kind; the file of the class of an external kind, or nothing if
        its module is not found.
    """
    if kind in BUILT_IN:
        sources: list[str | Path] = [module_name(kind)]
        return sources if backend == "native" else [*sources, FAIRSEQ_BACKEND, FAIRSEQ_SCRIPT]
    package, *submodules = module_name(kind).split(".")
    spec, name = importlib.util.find_spec(package), package
    for submodule in submodules:  # find_spec would import the parent packages
        search_path = spec.submodule_search_locations if spec else None
        if search_path is None:
            return []  # build_representation reports the missing module
        name = f"{name}.{submodule}"
        spec = importlib.machinery.PathFinder.find_spec(name, search_path)
    return [Path(spec.origin)] if spec and spec.origin and spec.has_location else []


def feature_versions(kind: str) -> dict[str, str]:
    """Return the installed versions of the packages that may change the features of a kind.

    Builds of one version, such as those of torch for different GPUs, count as the same, as devices
    do.

    Parameters
    ----------
    kind : str
        Kind of representation. Of one from outside the project, the packages are all that built-in
        kinds of networks use, and that of its module.

    Returns
    -------
    dict of str to str
        Version by name of the distribution.
    """
    names = _PACKAGES.get(kind)
    if names is None:
        module = module_name(kind).partition(".")[0]
        of_module = importlib.metadata.packages_distributions().get(module, ())
        names = (*_DECODING_PACKAGES, "numpy", "torch", "torchaudio", "transformers", *of_module)
    versions = installed_versions(names)
    return {name: version.partition("+")[0] for name, version in versions.items()}


def build_representation(settings: Any, device: str = "cpu") -> Representation:
    """Build a representation.

    Parameters
    ----------
    settings : Settings
        Settings of the representation (see `emoscale.config.representations`).
    device : str
        ``cpu`` or ``cuda``; ignored by representations that do not run on a GPU.

    Returns
    -------
    Representation
        The representation, on the device.

    Raises
    ------
    ConfigurationError
        If an external class cannot be imported or built, or does not implement the interface.
    """
    if not isinstance(settings, ExternalSettings):
        representation = _import(BUILT_IN[settings.kind])(settings)
    else:
        import_torchaudio()  # external code may import torchaudio without the guard
        try:
            representation = _import(class_path(settings.kind))(**settings.options)
        except Exception as error:  # external code may raise anything
            raise ConfigurationError(
                f"representation {settings.kind} cannot be built: {type(error).__name__}: "
                f"{error_summary(error)}"
            ) from error
    if not isinstance(representation, Representation):
        raise ConfigurationError(
            f"representation {settings.kind} does not implement the interface: it needs modality, "
            "dimension, frame_rate, dtype and extract"
        )
    _check_attributes(settings.kind, representation)
    move: Any = getattr(representation, "to", None)
    if move is not None:
        move(device)
    return representation


def build_fairseq_representation(
    native: Representation, settings: Any, python: str | None
) -> Representation:
    """Build a representation that fairseq computes (settings with `backend: fairseq`).

    Parameters
    ----------
    native : Representation
        The same representation with the native backend.
    settings : Wav2VecSettings or VqWav2VecSettings
        Settings of the representation.
    python : str or None
        Python interpreter with fairseq.

    Returns
    -------
    Representation
        Representation with the attributes of `native`.

    Raises
    ------
    ConfigurationError
        If `python` is not set.
    """
    if not python:
        raise ConfigurationError(
            "backend fairseq requires a Python interpreter with fairseq: set --fairseq-python, or "
            "execution.fairseq_python in a study"
        )
    representation: Representation = _import(f"{FAIRSEQ_BACKEND}:FairseqBackend")(
        native, settings, python
    )
    return representation


def _check_attributes(kind: str, representation: Representation) -> None:
    modality, dimension = representation.modality, representation.dimension
    dtype, frame_rate = representation.dtype, representation.frame_rate
    if modality not in ("audio", "text"):
        problem = f"modality is {modality!r}, not audio or text"
    elif not isinstance(dimension, int) or dimension < 1:
        problem = f"dimension is {dimension!r}, not a positive integer"
    elif dtype not in _DTYPES:
        problem = f"dtype is {dtype!r}, not one of {', '.join(_DTYPES)}"
    elif frame_rate is not None and not frame_rate > 0:
        problem = f"frame_rate is {frame_rate!r}, not positive or None"
    else:
        return
    raise ConfigurationError(f"representation {kind}: its {problem}")


def _import(class_path: str) -> Any:
    module, _, name = class_path.partition(":")
    return getattr(importlib.import_module(module), name)
