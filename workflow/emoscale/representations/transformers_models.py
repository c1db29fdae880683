"""Strict loading of pre-trained networks through transformers.

Missing or mismatched weights, damaged files and pickles with anything but weights are refused.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, Literal

import torch

from emoscale.representations.torchaudio_guard import import_torchaudio
from emoscale.runtime.errors import CheckpointError
from emoscale.runtime.provenance import digest, file_sha256

_MODEL_FILES = ("*.json", "*.txt", "*.model", "*.safetensors", "*.bin")


def load_network(
    name: str,
    config: Any,
    dtype: torch.dtype,
    kind: str,
    unused_weights: tuple[str, ...],
    auto_class: Literal["AutoModel", "AutoModelForPreTraining"] = "AutoModel",
    key_mapping: dict[str, str] | None = None,
) -> Any:
    """Load a network with all its weights.

    transformers initialises missing weights with random numbers, which would make the features
    meaningless; they are an error here.

    Parameters
    ----------
    name : str
        Folder or hub name of the model.
    config : PretrainedConfig
        Configuration of the model.
    dtype : torch.dtype
        Type of the weights and of the computation.
    kind : str
        Kind of model with its article, for error messages ("a speech").
    unused_weights : tuple of str
        Parts of the names of weights that may be missing.
    auto_class : str
        Class of transformers that loads the network: without or with the layers that only
        pre-training uses.
    key_mapping : dict of str to str or None
        Replacement of each pattern in the names of the file's weights, to load a part of a model.

    Returns
    -------
    PreTrainedModel
        The network in evaluation mode.

    Raises
    ------
    CheckpointError
        If weights are missing or have another shape, or files are damaged or contain more than
        weights.
    """
    import_torchaudio()  # transformers imports it and would fail beside a CPU build of torch
    import transformers

    try:
        network, loading_info = getattr(transformers, auto_class).from_pretrained(
            name,
            config=config,
            dtype=dtype,  # the default is the type of the file
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are listed in loading_info and refused below
            trust_remote_code=False,
            key_mapping=key_mapping,
        )
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{name} has a weights file that is damaged or contains more than weights, and is not "
            "loaded; fetch the model again, or use its safetensors version"
        ) from error
    except Exception as error:  # transformers raises many types for a model that cannot be loaded
        raise loading_error(name, kind, error) from error
    mismatched = (key for key, *_ in loading_info["mismatched_keys"])
    unloaded = sorted(
        key
        for key in {*loading_info["missing_keys"], *mismatched}
        if not any(unused in key for unused in unused_weights)
    )
    if unloaded:
        raise CheckpointError(
            f"{name} lacks weights of its model: {unloaded[0]} and {len(unloaded) - 1} others; "
            "it is incomplete or of another architecture"
        )
    return network.eval()


def loading_error(name: str, kind: str, error: Exception) -> CheckpointError:
    """Convert an exception of transformers to a one-line error.

    Parameters
    ----------
    name : str
        Folder or hub name of the model.
    kind : str
        Kind of model with its article ("a speech").
    error : Exception
        What transformers raised.

    Returns
    -------
    CheckpointError
        The error to raise.
    """
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    if name.startswith((".", "/")) and not Path(name).exists():
        return CheckpointError(f"{name} does not exist; name the folder of {kind} model")
    return CheckpointError(
        f"{name} cannot be loaded as {kind} model: {reason}; name a folder with config.json, "
        "weights and the model's tokenizer or preprocessor, or an entry of checkpoints (which can "
        "name a hub model)"
    )


def model_digest(name: str) -> str:
    """Compute the digest of all files of a model that may affect its outputs.

    Parameters
    ----------
    name : str
        Folder of the model, or name of a hub model in the local cache.

    Returns
    -------
    str
        sha256 in hexadecimal.
    """
    from transformers.utils.hub import cached_file

    folder = Path(name)
    if not folder.is_dir():
        folder = Path(str(cached_file(name, "config.json"))).parent
    files = sorted({path for pattern in _MODEL_FILES for path in folder.glob(pattern)})
    return digest({path.name: file_sha256(path) for path in files})
