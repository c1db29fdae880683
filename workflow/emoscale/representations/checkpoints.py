"""Reads fairseq's checkpoints without fairseq, and without trusting their pickle.

A checkpoint is somebody else's file. It is read with torch's restricted unpickler, which makes
tensors, plain containers and, here, `argparse.Namespace`; anything else in it is refused, and
nothing of it runs.
"""

from __future__ import annotations

import argparse
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from emoscale.errors import CheckpointError
from emoscale.provenance import file_sha256


@dataclass(frozen=True)
class FairseqCheckpoint:
    """What a fairseq model was built with, and its weights in float32."""

    path: Path
    arguments: dict[str, Any]
    weights: dict[str, Tensor]
    sha256: str


def load_fairseq_checkpoint(path: Path | str) -> FairseqCheckpoint:
    """Read a checkpoint with `args` or `cfg` and `model`.

    Raises `CheckpointError` where the file is missing, damaged, holds anything but weights and
    settings, or is no fairseq checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist; download it and name its place")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is refused: it is damaged, or holds more than weights and settings "
            f"({_first_line(error)})"
        ) from None
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, AttributeError) as error:
        raise CheckpointError(
            f"{path} is damaged or no checkpoint ({_first_line(error)}); download it again"
        ) from None
    arguments, weights = _parts(content)
    if not arguments or not weights:
        raise CheckpointError(f"{path} is no fairseq checkpoint: it lacks args (or cfg) and model")
    return FairseqCheckpoint(
        path,
        arguments,
        {name: value.float() for name, value in weights.items() if isinstance(value, Tensor)},
        file_sha256(path),
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


def _parts(content: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings and weights, from the old form (`args`) or the new one (`cfg`)."""
    if not isinstance(content, dict):
        return {}, {}
    arguments = content.get("args")
    if arguments is None and isinstance(content.get("cfg"), dict):
        arguments = content["cfg"].get("model")
    if isinstance(arguments, argparse.Namespace):
        arguments = vars(arguments)
    weights = content.get("model")
    return (
        arguments if isinstance(arguments, dict) else {},
        weights if isinstance(weights, dict) else {},
    )


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0][:200]
