"""Cache of the finished trainings of a cell: a repeated job trains only what has changed.

Each training is one file, named by the digest of everything that determines its numbers. The files
are in a folder that no Snakemake rule declares, because Snakemake removes a rule's outputs before
it runs the rule again. Without the folder everything is trained again, with the same numbers.
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
from emoscale.runtime.files import atomic_path
from emoscale.runtime.provenance import canonical_json, package_versions
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
        path = self._path(identity)
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
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
        values = canonical_json(
            {"training": dataclasses.asdict(trained.result), "execution": trained.execution}
        )
        metadata = {"values": values, "sha256": _sha256(identity, weights, values)}
        with atomic_path(self._path(identity)) as temporary:
            save_file(weights, temporary, metadata=metadata)

    def prune(self, identities: Collection[str]) -> None:
        """Remove all files but those of the listed trainings.

        Parameters
        ----------
        identities : collection of str
            Digests of the trainings that stay.
        """
        current = {self._path(identity) for identity in identities}
        for path in self._folder.iterdir():
            if path not in current:
                path.unlink()

    def _path(self, identity: str) -> Path:
        return self._folder / f"{identity}.safetensors"


def _sha256(identity: str, weights: Mapping[str, Tensor], values: str) -> str:
    """Return a digest of identity, values, and names, types, shapes and bytes of all weights."""
    hasher = hashlib.sha256(f"{identity}\n{values}\n".encode())
    for name, tensor in sorted(weights.items()):
        hasher.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        hasher.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return hasher.hexdigest()
