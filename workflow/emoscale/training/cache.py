"""Finished trainings of a cell, a file each: what is run again trains only what is new.

Snakemake removes a rule's outputs before it runs the rule again, so they lie in a folder that no
rule declares. One is used only where everything that decides its numbers is as it was; without the
folder all are trained again, and end with the same numbers.
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

from emoscale.runtime.files import atomic_path
from emoscale.runtime.provenance import canonical_json, package_versions
from emoscale.training.tasks import Trained
from emoscale.training.trainer import Training

FOLDER = ".trainings"
"""The cache's name in the cell's folder."""

_DECIDING_PACKAGES = ("torch", "numpy", "scikit-learn")


def machine_of(device: torch.device) -> dict[str, Any]:
    """What of the machine and its packages decides a training's numbers."""
    return {
        "device": str(device),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "versions": package_versions(_DECIDING_PACKAGES),
    }


class TrainingCache:
    """Trainings by their identity, the digest of everything that decides their numbers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.damaged: list[Path] = []
        """Files that were asked for and are not what was written, so that they are not used."""

    def get(self, identity: str) -> Trained | None:
        """The training of that identity; None where there is none, or it is damaged."""
        path = self._path(identity)
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if metadata["sha256"] == _sha256(identity, weights, metadata["values"]):
                values = json.loads(metadata["values"])
                return Trained(weights, Training(**values["training"]), values["execution"])
        except (SafetensorError, OSError, ValueError, KeyError, TypeError):
            pass  # named with those whose digest is another
        self.damaged.append(path)
        return None

    def put(self, identity: str, trained: Trained) -> None:
        """Save a finished training; it is there as a whole or not at all."""
        weights = {name: value.contiguous() for name, value in trained.weights.items()}
        values = canonical_json(
            {"training": dataclasses.asdict(trained.training), "execution": trained.execution}
        )
        metadata = {"values": values, "sha256": _sha256(identity, weights, values)}
        with atomic_path(self._path(identity)) as temporary:
            save_file(weights, temporary, metadata=metadata)

    def remove_others(self, identities: Collection[str]) -> None:
        """Remove what is none of these trainings."""
        wanted = {self._path(identity) for identity in identities}
        for path in self._folder.iterdir():
            if path not in wanted:
                path.unlink()

    def _path(self, identity: str) -> Path:
        return self._folder / f"{identity}.safetensors"


def _sha256(identity: str, weights: Mapping[str, Tensor], values: str) -> str:
    """Of the identity, the values, and names, types, shapes and bytes of all weights."""
    found = hashlib.sha256(f"{identity}\n{values}\n".encode())
    for name, tensor in sorted(weights.items()):
        found.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
