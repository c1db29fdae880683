"""Reader of fairseq's checkpoints that needs no fairseq and does not trust their pickle.

Checkpoints come from third parties. torch's restricted unpickler reads them: it constructs tensors,
plain containers and, as allowed here, `argparse.Namespace`. Anything else is refused, and no code
of a file is executed. Weights of this project's pre-trainings are read from safetensors too.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import pickle
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from emoscale.runtime.errors import CheckpointError

ARGUMENTS_METADATA = "fairseq_arguments"
"""Key in the metadata of a safetensors file: the arguments of model and task as JSON."""


@dataclass(frozen=True)
class FairseqCheckpoint:
    """Content of a fairseq checkpoint: arguments of model and task, and weights."""

    path: Path
    """The file."""

    arguments: dict[str, Any]
    """Arguments of the model."""

    weights: dict[str, Tensor]
    """State dict in float32."""

    sha256: str
    """Digest of the file."""

    task: dict[str, Any] = field(default_factory=dict)
    """Arguments of the training task: `cfg.task`, or all of `args`, which does not separate
    them."""


def load_fairseq_checkpoint(path: Path | str) -> FairseqCheckpoint:
    """Read a fairseq checkpoint, which contains `model` and either `args` or `cfg`.

    Parameters
    ----------
    path : Path or str
        The file.

    Returns
    -------
    FairseqCheckpoint
        Arguments and weights.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, contains anything but weights and arguments, or is not a
        fairseq checkpoint.
    """
    path = Path(path)
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; name the checkpoint's file")
    if not path.is_file():
        raise CheckpointError(
            f"{path} does not exist; download it and set its path, or name it under checkpoints"
        )
    try:
        file = open(path, "rb")  # noqa: SIM115 - errors of reading have messages of their own
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror})") from None
    with file:
        return read_fairseq_checkpoint(file, path)


def read_fairseq_checkpoint(
    file: io.BufferedReader | io.BufferedRandom, path: Path
) -> FairseqCheckpoint:
    """Read a fairseq checkpoint from an open file.

    Parameters
    ----------
    file : BufferedReader or BufferedRandom
        A seekable binary file.
    path : Path
        Its path for messages.

    Returns
    -------
    FairseqCheckpoint
        Arguments and weights.

    Raises
    ------
    CheckpointError
        As `load_fairseq_checkpoint`.
    """
    try:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        if path.suffix == ".safetensors":
            content = _read_safetensors(file.read())
        else:
            _refuse_compressed(file, path)
            file.seek(0)
            with torch.serialization.safe_globals([argparse.Namespace]):
                content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path} is refused: {_refusal_reason(error)}") from None
    except (
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
        OSError,
        AttributeError,
        zipfile.BadZipFile,
        SafetensorError,
    ) as error:
        raise CheckpointError(
            f"{path} is damaged or not a checkpoint ({_first_line(error)}); download it again"
        ) from None
    arguments, task, weights = _split_content(content)
    if not arguments or not weights:
        raise CheckpointError(
            f"{path} is not a fairseq checkpoint: it lacks args (or cfg) and model"
        )
    return FairseqCheckpoint(
        path,
        arguments,
        {name: value.float() for name, value in weights.items() if isinstance(value, Tensor)},
        sha256,
        task,
    )


def _read_safetensors(content: bytes) -> dict[str, Any]:
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    arguments = json.loads(header.get("__metadata__", {}).get(ARGUMENTS_METADATA, "{}"))
    return {"args": argparse.Namespace(**arguments), "model": load_safetensors(content)}


def _refuse_compressed(file: io.BufferedReader | io.BufferedRandom, path: Path) -> None:
    """Refuse a compressed zip archive: torch writes uncompressed ones, so it may be a zip bomb."""
    if not zipfile.is_zipfile(file):
        return
    size = file.seek(0, io.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > 2 * size:
        raise CheckpointError(
            f"{path} is refused: it would unpack from {size:,} to {unpacked:,} bytes; use the "
            "original file"
        )


def load_weights(model: nn.Module, checkpoint: FairseqCheckpoint, ignored: tuple[str, ...]) -> None:
    """Load a checkpoint's weights into a model.

    Parameters
    ----------
    model : nn.Module
        The model, changed in place.
    checkpoint : FairseqCheckpoint
        The checkpoint.
    ignored : tuple of str
        Prefixes of the names of weights that are not loaded.

    Raises
    ------
    CheckpointError
        If a weight is missing, unexpected, or of another shape.
    """
    weights = {
        name: value for name, value in checkpoint.weights.items() if not name.startswith(ignored)
    }
    expected = model.state_dict()
    for name in sorted(expected.keys() | weights.keys()):
        if name not in weights:
            problem = f"lacks {name}"
        elif name not in expected:
            problem = f"has {name}, which its architecture does not"
        elif weights[name].shape != expected[name].shape:
            shapes = f"{tuple(weights[name].shape)}, not {tuple(expected[name].shape)}"
            problem = f"has {name} of shape {shapes}"
        else:
            continue
        raise CheckpointError(f"{checkpoint.path} is of another architecture: it {problem}")
    model.load_state_dict(weights)


def _split_content(content: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Arguments of model and task, and weights, from the old format (`args`) or the new (`cfg`)."""
    if not isinstance(content, dict):
        return {}, {}, {}
    arguments = task = content.get("args")
    if arguments is None and isinstance(content.get("cfg"), dict):
        arguments, task = content["cfg"].get("model"), content["cfg"].get("task")
    return _as_dict(arguments), _as_dict(task), _as_dict(content.get("model"))


def _as_dict(value: Any) -> dict[str, Any]:
    """Convert a namespace to a dict; anything else that is not a dict becomes an empty one."""
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    return value if isinstance(value, dict) else {}


def _refusal_reason(error: pickle.UnpicklingError) -> str:
    match = re.search(r"GLOBAL ([\w.]+)", str(error))
    if match is None:
        return "it is damaged, or contains more than weights and arguments; use the original file"
    name = match[1].rstrip(".")
    if name.startswith("omegaconf."):
        return (
            f"its cfg is of type {name}, not a dict; load it where fairseq is installed, convert "
            "cfg with OmegaConf.to_container, and save it again"
        )
    return f"it contains {name}, but only weights and arguments are read; use the original file"


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0][:200]
