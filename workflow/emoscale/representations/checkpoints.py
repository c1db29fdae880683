"""Reads fairseq's checkpoints without fairseq, and without trusting their pickle.

A checkpoint is somebody else's file. It is read with torch's restricted unpickler, which makes
tensors, plain containers and, here, `argparse.Namespace`; anything else in it is refused, and
nothing of it runs.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import pickle
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from emoscale.runtime.errors import CheckpointError


@dataclass(frozen=True)
class FairseqCheckpoint:
    """What a fairseq model was built with, and its weights in float32."""

    path: Path
    arguments: dict[str, Any]
    weights: dict[str, Tensor]
    sha256: str
    task: dict[str, Any] = field(default_factory=dict)
    """Settings of the training task: `cfg.task`, or all of `args`, which do not set them apart."""


def load_fairseq_checkpoint(path: Path | str) -> FairseqCheckpoint:
    """Read a checkpoint with `args` or `cfg` and `model`.

    Raises `CheckpointError` where the file is missing, damaged, holds anything but weights and
    settings, or is no fairseq checkpoint.
    """
    path = Path(path)
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; name the checkpoint's file")
    if not path.is_file():
        raise CheckpointError(
            f"{path} does not exist; download it and name its place, or name it under checkpoints"
        )
    try:
        file = open(path, "rb")  # noqa: SIM115 - what goes wrong inside has its own sentences
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror})") from None
    with file:
        return read_fairseq_checkpoint(file, path)


def read_fairseq_checkpoint(
    file: io.BufferedReader | io.BufferedRandom, path: Path
) -> FairseqCheckpoint:
    """Read a checkpoint from an open file that can seek; `path` is what messages call it.

    Raises `CheckpointError` as `load_fairseq_checkpoint` does.
    """
    try:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        _refuse_what_is_packed(file, path)
        file.seek(0)
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path} is refused: {_why_refused(error)}") from None
    except (
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
        OSError,
        AttributeError,
        zipfile.BadZipFile,
    ) as error:
        raise CheckpointError(
            f"{path} is damaged or no checkpoint ({_first_line(error)}); download it again"
        ) from None
    arguments, task, weights = _parts(content)
    if not arguments or not weights:
        raise CheckpointError(f"{path} is no fairseq checkpoint: it lacks args (or cfg) and model")
    return FairseqCheckpoint(
        path,
        arguments,
        {name: value.float() for name, value in weights.items() if isinstance(value, Tensor)},
        sha256,
        task,
    )


def _refuse_what_is_packed(file: io.BufferedReader | io.BufferedRandom, path: Path) -> None:
    """torch packs nothing, so a file that would grow in memory is not torch's."""
    if not zipfile.is_zipfile(file):
        return
    size = file.seek(0, io.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > 2 * size:
        raise CheckpointError(
            f"{path} is refused: it would unpack from {size:,} to {unpacked:,} bytes; take the "
            "original file"
        )


def load_weights(model: nn.Module, checkpoint: FairseqCheckpoint, ignored: tuple[str, ...]) -> None:
    """Load weights into `model`, leaving out those whose names begin with one of `ignored`.

    Raises `CheckpointError` where a weight is missing, left over, or of another shape.
    """
    weights = {
        name: value for name, value in checkpoint.weights.items() if not name.startswith(ignored)
    }
    wanted = model.state_dict()
    for name in sorted(wanted.keys() | weights.keys()):
        if name not in weights:
            problem = f"lacks {name}"
        elif name not in wanted:
            problem = f"has {name}, which its architecture does not"
        elif weights[name].shape != wanted[name].shape:
            shapes = f"{tuple(weights[name].shape)}, not {tuple(wanted[name].shape)}"
            problem = f"has {name} of shape {shapes}"
        else:
            continue
        raise CheckpointError(f"{checkpoint.path} holds another architecture: it {problem}")
    model.load_state_dict(weights)


def _parts(content: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Settings of model and task, and weights, from the old form (`args`) or the new (`cfg`)."""
    if not isinstance(content, dict):
        return {}, {}, {}
    arguments = task = content.get("args")
    if arguments is None and isinstance(content.get("cfg"), dict):
        arguments, task = content["cfg"].get("model"), content["cfg"].get("task")
    return _plain(arguments), _plain(task), _plain(content.get("model"))


def _plain(settings: Any) -> dict[str, Any]:
    """The dict that `settings` is or holds; an empty one where it is something else."""
    if isinstance(settings, argparse.Namespace):
        settings = vars(settings)
    return settings if isinstance(settings, dict) else {}


def _why_refused(error: pickle.UnpicklingError) -> str:
    found = re.search(r"GLOBAL ([\w.]+)", str(error))
    if found is None:
        return "it is damaged, or holds more than weights and settings; take the original file"
    name = found[1].rstrip(".")
    if name.startswith("omegaconf."):
        return (
            f"its settings are an {name}, not a plain dict; save it once more beside fairseq with "
            "cfg made plain by OmegaConf.to_container"
        )
    return f"it holds {name}, and only weights and plain settings are read; take the original file"


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0][:200]
