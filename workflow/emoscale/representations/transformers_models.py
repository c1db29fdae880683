"""Loads a pre-trained network through transformers, and refuses what would not be the network."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from emoscale.representations.torchaudio_guard import import_torchaudio
from emoscale.runtime.errors import CheckpointError
from emoscale.runtime.provenance import digest, file_sha256

_FILES = ("*.json", "*.txt", "*.model", "*.safetensors", "*.bin")


def load_network(
    name: str, config: Any, dtype: torch.dtype, kind: str, unused: tuple[str, ...]
) -> Any:
    """A network with all its weights, in evaluation mode.

    transformers fills in what is missing with random numbers; that must not become a result. So
    `CheckpointError` is raised where weights are missing or of another shape, except for those
    whose names hold one of `unused`; and where the files are damaged or hold more than weights.
    """
    import_torchaudio()  # transformers imports it, and crashes beside a CPU torch without this
    import transformers

    try:
        network, report = transformers.AutoModel.from_pretrained(
            name,
            config=config,
            dtype=dtype,  # by itself it takes that of the file
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are in the report
            trust_remote_code=False,
        )
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{name} has a file of weights that is damaged or holds more than weights, and is not "
            "loaded; fetch the model again, or take it as safetensors"
        ) from error
    except Exception as error:  # of many kinds, and all of them mean the same
        raise cannot_be_loaded(name, kind, error) from error
    wrong = {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}
    names = sorted(key for key in wrong if not any(part in key for part in unused))
    if names:
        raise CheckpointError(
            f"{name} lacks weights of its model: {names[0]} and {len(names) - 1} others; "
            "it is incomplete or of another architecture"
        )
    return network.eval()


def cannot_be_loaded(name: str, kind: str, error: Exception) -> CheckpointError:
    """One sentence for whatever transformers raises on loading a part of a model."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    if name.startswith((".", "/")) and not Path(name).exists():
        return CheckpointError(f"{name} does not exist; name the folder of {kind} model")
    return CheckpointError(
        f"{name} cannot be loaded as {kind} model: {first}; name a folder with config.json, the "
        "model's own preprocessing and weights, or a name under checkpoints, where a model of the "
        "hub is named"
    )


def digest_of_model(name: str) -> str:
    """Digest of everything in a model's folder (or the hub's local cache) that decides numbers."""
    from transformers.utils.hub import cached_file

    folder = Path(name)
    if not folder.is_dir():
        folder = Path(str(cached_file(name, "config.json"))).parent
    files = sorted({path for pattern in _FILES for path in folder.glob(pattern)})
    return digest({path.name: file_sha256(path) for path in files})
