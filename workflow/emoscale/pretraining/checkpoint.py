"""The result of a pre-training of wav2vec: weights in fairseq's format, and a model card."""

from __future__ import annotations

import argparse
import io
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from emoscale.config.pretraining import Wav2VecKeys
from emoscale.config.pretraining import Wav2VecPretraining as Wav2VecSettings
from emoscale.pretraining.contrastive import Wav2VecPretraining
from emoscale.representations.fairseq_checkpoints import (
    ARGUMENTS_METADATA,
    load_fairseq_checkpoint,
    load_weights,
)
from emoscale.representations.wav2vec_model import ArchitectureError, Wav2VecArchitecture
from emoscale.runtime.errors import CheckpointError

PT_FILE = "wav2vec.pt"
"""Weights as fairseq 0.12.2 reads them."""

SAFETENSORS_FILE = "model.safetensors"
"""The same weights, without pickle."""


def fairseq_arguments(keys: Wav2VecKeys) -> dict[str, Any]:
    """Return what fairseq stores as a checkpoint's `args`.

    Parameters
    ----------
    keys : Wav2VecKeys
        Settings of network and objective.

    Returns
    -------
    dict
        Arguments of model, task and criterion.
    """
    return {
        **keys.arguments(),
        "arch": "wav2vec",
        "task": "audio_pretraining",
        "criterion": "wav2vec",
        "vq_type": "none",
        "data": "",
        "sample_rate": 16_000,
        "normalize": False,
    }


def write_model(folder: Path, network: Wav2VecPretraining, settings: Wav2VecSettings) -> None:
    """Write the weights of a network in both formats; equal weights give equal bytes.

    Parameters
    ----------
    folder : Path
        An existing folder.
    network : Wav2VecPretraining
        The network.
    settings : Wav2VecPretraining
        Settings of the checkpoint.
    """
    arguments = fairseq_arguments(settings.keys())
    weights: dict[str, Tensor] = {
        name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()
    }
    # Without an optimizer, but with what fairseq's reader expects of a finished training.
    content = {
        "args": argparse.Namespace(**arguments),
        "model": weights,
        "optimizer_history": [{"criterion_name": "Wav2vecCriterion", "lr_scheduler_state": {}}],
        "extra_state": {"train_iterator": {"epoch": 1}},
    }
    # From memory, because torch names the parts of an archive after its file.
    archive = io.BytesIO()
    torch.save(content, archive)
    (folder / PT_FILE).write_bytes(archive.getvalue())
    metadata = {ARGUMENTS_METADATA: json.dumps(arguments, sort_keys=True)}
    (folder / SAFETENSORS_FILE).write_bytes(save(weights, metadata))


def build_network(settings: Wav2VecSettings, initial: Path | None) -> Wav2VecPretraining:
    """Build a network with random weights of the seed, or with those of a checkpoint.

    Parameters
    ----------
    settings : Wav2VecPretraining
        Settings of the checkpoint.
    initial : Path or None
        A fairseq checkpoint of wav2vec with its prediction layer, to continue from.

    Returns
    -------
    Wav2VecPretraining
        The network, on the CPU.

    Raises
    ------
    CheckpointError
        If the checkpoint cannot be read, or is of another architecture.
    """
    torch.manual_seed(settings.seed)
    network = Wav2VecPretraining(settings.keys())
    if initial is not None:
        _load_initial_weights(network, initial)
    return network


def _load_initial_weights(network: Wav2VecPretraining, path: Path) -> None:
    checkpoint = load_fairseq_checkpoint(path)
    try:
        architecture = Wav2VecArchitecture.from_arguments(checkpoint.arguments)
    except ArchitectureError as error:
        raise CheckpointError(f"{path}: {error}") from None
    for field in fields(architecture):
        stated, stored = (
            getattr(each, field.name) for each in (network.architecture, architecture)
        )
        if stated != stored:
            raise CheckpointError(
                f"{path} has {field.name} {stored}, and the configuration's architecture "
                f"{stated}; state the architecture of the checkpoint"
            )
    load_weights(network, checkpoint, ())
