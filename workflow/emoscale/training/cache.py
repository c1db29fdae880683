"""Cache of the finished trainings of a cell: a repeated job trains only what has changed.

Each training is one file, named by the digest of everything that determines its numbers. The files
are in a folder that no Snakemake rule declares, because Snakemake removes a rule's outputs before
it runs the rule again. Without the folder everything is trained again, with the same numbers.

Once a run is written, its trainings are not stored twice: a hard link to the weights of the run,
which remains when Snakemake removes these, replaces their files, each by a small JSON file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from emoscale.runtime.devices import device_name
from emoscale.runtime.files import atomic_path, write_json
from emoscale.runtime.provenance import canonical_json, digest, package_versions
from emoscale.training.tasks import TrainedModel
from emoscale.training.trainer import TrainingResult

CACHE_FOLDER = ".trainings"
"""Name of the cache within the folder of a cell."""

NUMERICAL_PACKAGES = ("torch", "numpy", "scipy", "scikit-learn")
"""Packages that compute the numbers of a training."""


def execution_environment(device: torch.device) -> dict[str, Any]:
    """Return the properties of machine and packages that determine a training's numbers.

    Parameters
    ----------
    device : torch.device
        Device of the training.

    Returns
    -------
    dict of str to Any
        Device (of a GPU also its model), CPU capability, number of threads and package versions,
        as JSON values.
    """
    return {
        "device": device_name(device),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "versions": package_versions(NUMERICAL_PACKAGES),
    }


class TrainingCache:
    """Trained models in a folder, by the digest of everything that determines their numbers.

    Parameters
    ----------
    folder : Path
        Folder of the cache; it is created by the first `put`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.damaged: list[Path] = []
        """Requested files whose content does not match their digest; they were not used."""

    def get(self, identity: str) -> TrainedModel | None:
        """Read a trained model.

        Parameters
        ----------
        identity : str
            Digest that identifies the training.

        Returns
        -------
        TrainedModel or None
            The trained model; None where it is not cached, or its file is damaged.
        """
        path = next((path for path in self._paths(identity) if path.exists()), None)
        if path is None:
            return None
        try:
            metadata, weights = self._read(path)
            if metadata["sha256"] == _sha256(identity, weights, metadata["values"]):
                values = json.loads(metadata["values"])
                result = TrainingResult(**values["training"])
                return TrainedModel(weights, result, values["execution"])
        except (SafetensorError, OSError, ValueError, KeyError, TypeError):
            pass  # reported as damaged below, like a file whose digest differs
        self.damaged.append(path)
        return None

    def put(self, identity: str, trained: TrainedModel) -> None:
        """Save a trained model atomically.

        Parameters
        ----------
        identity : str
            Digest that identifies the training.
        trained : TrainedModel
            Its weights and result.
        """
        weights = {name: value.contiguous() for name, value in trained.weights.items()}
        file, reference = self._paths(identity)
        with atomic_path(file) as temporary:
            save_file(weights, temporary, metadata=_metadata(identity, trained))
        reference.unlink(missing_ok=True)  # it was damaged

    def share(self, run_weights: Path, trainings: Mapping[str, tuple[str, TrainedModel]]) -> None:
        """Store trainings as a hard link to the file of a run that has their weights.

        Parameters
        ----------
        run_weights : Path
            The file, on the same file system. Where that has no hard links, nothing changes.
        trainings : mapping of str to tuple of (str, TrainedModel)
            Prefix of the names of the weights in the file, and the training, by identity.
        """
        link = self._folder / f"{digest({k: prefix for k, (prefix, _) in trainings.items()})}.run"
        temporary = link.with_suffix(".new")
        try:
            temporary.unlink(missing_ok=True)
            temporary.hardlink_to(run_weights)
        except OSError:
            return
        temporary.replace(link)
        for identity, (prefix, trained) in trainings.items():
            file, reference = self._paths(identity)
            metadata = _metadata(identity, trained)
            write_json(reference, {"file": link.name, "prefix": prefix, **metadata})
            file.unlink(missing_ok=True)

    def prune(self, identities: Collection[str]) -> None:
        """Remove all files but those of the listed trainings.

        Parameters
        ----------
        identities : collection of str
            Digests of the trainings that stay.
        """
        current = {path for identity in identities for path in self._paths(identity)}
        references = [path for path in current if path.suffix == ".json" and path.exists()]
        current |= {self._folder / json.loads(path.read_bytes())["file"] for path in references}
        for path in self._folder.iterdir():
            if path not in current:
                path.unlink()

    def _paths(self, identity: str) -> tuple[Path, Path]:
        """Return the file of a training, and the file that refers to the weights of a run."""
        return self._folder / f"{identity}.safetensors", self._folder / f"{identity}.json"

    def _read(self, path: Path) -> tuple[Mapping[str, str], dict[str, Tensor]]:
        """Return the metadata and weights of a training's file or reference."""
        if path.suffix != ".json":
            return _load(path)
        reference = json.loads(path.read_bytes())
        _, weights = _load(self._folder / reference["file"], reference["prefix"])
        return reference, weights


def _load(path: Path, prefix: str = "") -> tuple[Mapping[str, str], dict[str, Tensor]]:
    """Return the metadata of a file, and its weights with a prefix, by their names without it."""
    with safe_open(path, framework="pt") as file:
        names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
        weights = {name.removeprefix(prefix): file.get_tensor(name) for name in names}
        return file.metadata() or {}, weights


def _metadata(identity: str, trained: TrainedModel) -> dict[str, str]:
    """Return the result of a training, as JSON text, and the digest of all that is stored."""
    values = canonical_json(
        {"training": dataclasses.asdict(trained.result), "execution": trained.execution}
    )
    return {"values": values, "sha256": _sha256(identity, trained.weights, values)}


def _sha256(identity: str, weights: Mapping[str, Tensor], values: str) -> str:
    """Return a digest of identity, values, and names, types, shapes and bytes of all weights."""
    hasher = hashlib.sha256(f"{identity}\n{values}\n".encode())
    for name, tensor in sorted(weights.items()):
        hasher.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        hasher.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return hasher.hexdigest()
