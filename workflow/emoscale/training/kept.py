"""Finished trainings of a cell, kept beside its results: one more repeat trains only itself.

Snakemake removes a rule's outputs before it runs the rule again, so what is kept is a file that no
rule declares. What is in it is used only where everything that decides a training's numbers is as
it was; without the file all are trained again, and end with the same numbers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from emoscale.protocol.orders import told_labels
from emoscale.runtime.files import atomic_path
from emoscale.runtime.provenance import canonical_json, digest, package_versions
from emoscale.training.tasks import Trained
from emoscale.training.trainer import Training

KEPT = ".kept.safetensors"
"""The file's name in the cell's folder."""

_DECIDING_PACKAGES = ("torch", "numpy", "scikit-learn")


@dataclass(frozen=True)
class KeptRepeats:
    """What an earlier job of the cell finished."""

    repeats: dict[str, list[Trained]]
    """The trials of each repeat, by its identity; only the chosen one has weights."""

    damaged: bool = False
    """Whether the file is there and is not what was written, so that nothing of it is used."""


def machine_of(device: torch.device) -> dict[str, Any]:
    """What of the machine and its packages decides a training's numbers."""
    return {
        "device": str(device),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "versions": package_versions(_DECIDING_PACKAGES),
    }


def repeat_identity(
    name: tuple[int | str, ...],
    origin: Mapping[str, Any],
    device: torch.device,
    fold: pl.DataFrame,
    repeat: int,
    training: list[str],
    development: list[str],
) -> str:
    """Digest of everything that decides the numbers of a repeat's trainings.

    Of the protocol only the rows that the repeat learns from and is chosen on: one more repeat
    changes the digest of the fold's table (`origin`), and no row of these. Whom it is tested on
    decides nothing, because predictions are computed anew from the weights.
    """
    told = fold.select("utterance", "label", "speaker", "votes").with_columns(
        told=told_labels(fold, repeat)
    )
    row_of = {row["utterance"]: row for row in told.iter_rows(named=True)}
    return digest(
        {
            "name": list(name),
            "origin": {key: value for key, value in origin.items() if key != "protocol_sha256"},
            "machine": machine_of(device),
            "classes": sorted(fold["label"].unique()),
            "training": [row_of[key] for key in training],
            "development": [row_of[key] for key in development],
        }
    )


def read_kept(folder: Path) -> KeptRepeats:
    """What `keep` left in a cell's folder; nothing where there is no file, or a damaged one."""
    path = folder / KEPT
    if not path.exists():
        return KeptRepeats({})
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata.get("sha256") != _sha256(tensors, metadata["values"]):
            return KeptRepeats({}, damaged=True)
        return KeptRepeats(_parts(tensors, json.loads(metadata["values"])))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return KeptRepeats({}, damaged=True)


def keep(folder: Path, repeats: Mapping[str, list[Trained]], chosen: Mapping[str, int]) -> None:
    """Keep the trials of each repeat, by its identity, with the weights of the `chosen` one."""
    tensors: dict[str, Tensor] = {}
    values = []
    for place, (identity, trials) in enumerate(repeats.items()):
        weights = trials[chosen[identity]].weights
        tensors |= {f"{place}.{name}": value.contiguous() for name, value in weights.items()}
        values.append(
            {
                "identity": identity,
                "chosen": chosen[identity],
                "trials": [
                    {"training": dataclasses.asdict(each.training), "execution": each.execution}
                    for each in trials
                ],
            }
        )
    text = canonical_json(values)
    with atomic_path(folder / KEPT) as temporary:
        metadata = {"sha256": _sha256(tensors, text), "values": text}
        save_file(tensors, temporary, metadata=metadata)


def _parts(tensors: dict[str, Tensor], values: list[Any]) -> dict[str, list[Trained]]:
    repeats = {}
    for place, value in enumerate(values):
        prefix = f"{place}."
        weights = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        repeats[value["identity"]] = [
            Trained(
                weights if number == value["chosen"] else {},
                Training(**trial["training"]),
                trial["execution"],
            )
            for number, trial in enumerate(value["trials"])
        ]
    return repeats


def _sha256(tensors: Mapping[str, Tensor], values: str) -> str:
    """Of names, types, shapes and bytes of all tensors, and of the values."""
    found = hashlib.sha256(values.encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        found.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
