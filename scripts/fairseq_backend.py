r"""Compute features of wav2vec or vq-wav2vec with fairseq (environment: envs/fairseq.yaml).

    python scripts/fairseq_backend.py --checkpoint wav2vec_large.pt --output c \
        --waveforms in.npz --result out.npz

The program runs in a Python (3.8 to 3.10) with fairseq 0.12.2, so it does not import emoscale. The
input contains one float32 waveform [samples] at 16 kHz per key. The result contains by the same
keys float32 frames [frames, dimension], or int16 codes [frames, groups] and additionally `codebook`
[groups, codes, width].
"""

from __future__ import annotations

import argparse
import ast
import collections
import contextlib
import mmap
import os
import pickle
import sys
import tarfile
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

try:
    from fairseq.models.wav2vec.wav2vec import Wav2VecConfig, Wav2VecModel
except ImportError:
    sys.exit(
        f"Error: {sys.executable} has no fairseq; create its environment (conda env create -f "
        "envs/fairseq.yaml, or install envs/fairseq.txt in a Python 3.8 to 3.10) and set "
        "execution.fairseq_python to its python"
    )

# Values that correspond to fairseq before it introduced these arguments, where its present default
# differs.
LEGACY_ARGUMENTS = {
    "conv_feature_layers": "[(512, 10, 5), (512, 8, 4)] + [(512, 4, 2)] * 3 + [(512, 1, 1)] * 2",
    "skip_connections_agg": False,
    "log_compression": False,
    "infonce": True,  # an argument of the training loss that the model requires nevertheless
}

LAYER_ARGUMENTS = ("conv_feature_layers", "conv_aggregator_layers")

# Prefixes of weights that only pre-training uses.
PRETRAINING_PREFIXES = ("wav2vec_predictions.", "project_features.")


class BackendError(Exception):
    """Error that the user can fix; shown as a one-line message."""


ALLOWED = {
    (constructor.__module__, constructor.__name__): constructor
    for constructor in (
        argparse.Namespace,
        collections.OrderedDict,
        collections.Counter,
        set,
        bytearray,
        complex,
        torch.Size,
        torch.Tensor,
        torch.nn.Parameter,
        torch.device,
        torch._utils._rebuild_tensor,
        torch._utils._rebuild_tensor_v2,
        torch._utils._rebuild_parameter,
    )
}
ALLOWED["torch.nn.parameter", "Parameter"] = torch.nn.Parameter
ALLOWED.update(
    {
        ("torch", name): dtype
        for name, dtype in vars(torch).items()
        if isinstance(dtype, torch.dtype)
    }
)
ALLOWED.update(
    {(storage.__module__, storage.__name__): storage for storage in torch._storage_classes}
)


class RestrictedUnpickler(pickle.Unpickler):
    """Unpickler of tensors, plain containers and `argparse.Namespace` that refuses all else."""

    def find_class(self, module: str, name: str) -> object:
        """Return a class or function of `ALLOWED`.

        Parameters
        ----------
        module : str
            Its module.
        name : str
            Its name.

        Returns
        -------
        type or function
            The class or function.

        Raises
        ------
        UnpicklingError
            If it is not allowed.
        """
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(
                f"it contains {module}.{name}, but only weights and arguments are read"
            )
        return ALLOWED[module, name]


def restricted_pickle() -> types.ModuleType:
    """Return a replacement of the pickle module for torch.load that executes no code of a file.

    Returns
    -------
    module
        A module with the functions that torch.load uses.
    """
    module = types.ModuleType("restricted_pickle")
    module.Unpickler = RestrictedUnpickler
    module.UnpicklingError = pickle.UnpicklingError
    module.load = lambda file, **options: RestrictedUnpickler(file, **options).load()
    return module


def read_checkpoint(path: Path) -> tuple[dict, dict]:
    """Read the model's arguments and its weights in float32.

    Parameters
    ----------
    path : Path
        The checkpoint.

    Returns
    -------
    arguments : dict
        fairseq's arguments of the model.
    weights : dict
        State dict.

    Raises
    ------
    BackendError
        If the file is missing, damaged, refused, or not a fairseq checkpoint.
    """
    if not path.is_file():
        raise BackendError(f"{path} does not exist; download it and set its path")
    try:
        refuse_other_formats(path)
        content = torch.load(path, map_location="cpu", pickle_module=restricted_pickle())
    except pickle.UnpicklingError as error:
        raise BackendError(f"{path} is refused: {first_line(error)}") from None
    except Exception as error:  # torch may raise any error for a damaged file
        raise BackendError(
            f"{path} is damaged or not a checkpoint ({first_line(error)}); download it again"
        ) from None
    arguments, weights = {}, {}
    if isinstance(content, dict):
        arguments = content.get("args") or (content.get("cfg") or {}).get("model")
        weights = content.get("model")
    if isinstance(arguments, argparse.Namespace):
        arguments = vars(arguments)
    if not isinstance(arguments, dict) or not arguments or not isinstance(weights, dict):
        raise BackendError(f"{path} is not a fairseq checkpoint: it lacks args (or cfg) and model")
    return arguments, {
        name: value.float() for name, value in weights.items() if isinstance(value, torch.Tensor)
    }


def refuse_other_formats(path: Path) -> None:
    """Refuse two file formats that torch.load reads without the restricted unpickler.

    Parameters
    ----------
    path : Path
        The checkpoint.

    Raises
    ------
    UnpicklingError
        If the file is a TorchScript program or a tar archive.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        is_zip = content[:4] == b"PK\x03\x04"
        # A zip archive contains the names of its files as they are, however it is read.
        if is_zip and content.find(b"constants.pkl") >= 0:
            raise pickle.UnpicklingError("it is a TorchScript program")
    if not is_zip and tarfile.is_tarfile(path):
        raise pickle.UnpicklingError("it is a tar archive")


def build_model(path: Path) -> Wav2VecModel:
    """Build fairseq's model with the arguments and weights of a checkpoint.

    fairseq's loader fails for checkpoints as old as the public ones.

    Parameters
    ----------
    path : Path
        The checkpoint.

    Returns
    -------
    Wav2VecModel
        The model in evaluation mode.

    Raises
    ------
    BackendError
        If the checkpoint cannot be read or is of another architecture.
    """
    arguments, weights = read_checkpoint(path)
    config = Wav2VecConfig()
    for name, value in {**LEGACY_ARGUMENTS, **arguments}.items():
        setattr(config, name, value)
    for name in LAYER_ARGUMENTS:
        # fairseq evaluates this text with eval: replace it by one that contains only numbers.
        setattr(config, name, str(parse_layers(getattr(config, name), path)))
    try:
        model = Wav2VecModel.build_model(config, None)
        used = {
            name: value
            for name, value in weights.items()
            if not name.startswith(PRETRAINING_PREFIXES)
        }
        keys = model.load_state_dict(used, strict=False)
    except Exception as error:  # fairseq may raise any error for an architecture
        raise BackendError(f"{path} is of another architecture: {first_line(error)}") from None
    missing = [name for name in keys.missing_keys if not name.startswith(PRETRAINING_PREFIXES)]
    if missing or keys.unexpected_keys:
        problem = f"lacks {missing[0]}" if missing else f"has {keys.unexpected_keys[0]}"
        raise BackendError(f"{path} is of another architecture: it {problem}")
    return model.eval()


def parse_layers(text: object, path: Path) -> list[tuple[int, int, int]]:
    """Parse the Python expression of a checkpoint's layers: lists, their sums and multiples.

    Parameters
    ----------
    text : str
        The expression; it is not executed.
    path : Path
        The checkpoint, for the error message.

    Returns
    -------
    list of tuple of int
        Output channels, kernel size and stride of each layer.

    Raises
    ------
    BackendError
        If the text is anything else.
    """

    def evaluate(node: ast.expr) -> object:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return evaluate(node.left) + evaluate(node.right)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            left, right = evaluate(node.left), evaluate(node.right)
            count = right if isinstance(right, int) else left
            if not isinstance(count, int) or not 0 <= count <= 100:
                raise ValueError("a list is repeated too often")
            return left * right
        return ast.literal_eval(node)

    try:
        layers = evaluate(ast.parse(text, mode="eval").body)
        return [(int(channels), int(kernel), int(stride)) for channels, kernel, stride in layers]
    except (SyntaxError, ValueError, TypeError):
        raise BackendError(f"{path}: layers {text!r} are not supported") from None


@torch.no_grad()
def extract(model: Wav2VecModel, waveform: np.ndarray, output: str) -> np.ndarray:
    """Compute frames [frames, dimension] or codes [frames, groups] of a waveform [samples].

    Parameters
    ----------
    model : Wav2VecModel
        The model.
    waveform : ndarray
        ``[samples]`` at 16 kHz, float32.
    output : str
        "z", "c" or "codes".

    Returns
    -------
    ndarray
        float32 frames, or int16 codes.
    """
    z = model.feature_extractor(torch.from_numpy(waveform)[None])
    if output == "z":
        return z[0].T.contiguous().numpy()
    if model.vector_quantizer is not None:
        z, codes = model.vector_quantizer.forward_idx(z)
        if output == "codes":
            return codes[0].numpy().astype(np.int16)
    return model.feature_aggregator(z)[0].T.contiguous().numpy()


def codebook_vectors(model: Wav2VecModel) -> np.ndarray:
    """Return the vectors [groups, codes, width]; groups may share them.

    Parameters
    ----------
    model : Wav2VecModel
        A model with a quantiser.

    Returns
    -------
    ndarray
        The codebook, float32.
    """
    quantiser = model.vector_quantizer
    if hasattr(quantiser, "vars"):  # Gumbel
        vectors = quantiser.vars.detach().reshape(-1, quantiser.num_vars, quantiser.vars.shape[2])
    else:  # k-means
        vectors = quantiser.embedding.detach().permute(1, 0, 2)
    return vectors.expand(quantiser.groups, -1, -1).contiguous().numpy()


def extract_file(checkpoint: Path, output: str, waveforms: Path, result: Path) -> None:
    """Write the features of every waveform of a file, one utterance at a time.

    Parameters
    ----------
    checkpoint : Path
        The checkpoint.
    output : str
        "z", "c" or "codes".
    waveforms : Path
        .npz file with one waveform per key.
    result : Path
        .npz file to write.

    Raises
    ------
    BackendError
        If the checkpoint or a waveform cannot be used.
    """
    model = build_model(checkpoint)
    if output == "codes" and model.vector_quantizer is None:
        raise BackendError(
            f"{checkpoint} has no quantiser and so no codes; set the output to z or c"
        )
    minimum_samples = receptive_field_samples(model)
    try:
        arrays = np.load(waveforms)
        keys = arrays.files
    except (OSError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise BackendError(f"{waveforms} cannot be read: {first_line(error)}") from None
    with atomic_archive(result) as archive:
        for key in keys:
            waveform = arrays[key]
            if waveform.ndim != 1 or waveform.dtype != np.float32:
                raise BackendError(f"{waveforms}: {key} is not a float32 waveform [samples]")
            if len(waveform) < minimum_samples:
                raise BackendError(
                    f"{waveforms}: {key} has {len(waveform)} samples, fewer than the "
                    f"{minimum_samples} of one frame; remove it"
                )
            write_array(archive, key, extract(model, waveform, output))
        if output == "codes":
            write_array(archive, "codebook", codebook_vectors(model))


def receptive_field_samples(model: Wav2VecModel) -> int:
    """Return the encoder's receptive field of one frame in samples.

    Parameters
    ----------
    model : Wav2VecModel
        The model.

    Returns
    -------
    int
        Minimum length of a waveform in samples.
    """
    samples = 1
    for layer in reversed(model.feature_extractor.conv_layers):
        samples = (samples - 1) * layer[0].stride[0] + layer[0].kernel_size[0]
    return samples


@contextlib.contextmanager
def atomic_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a new .npz file that is renamed to `path` when it is complete.

    Arrays are written one by one, so that they need not fit in memory together.

    Parameters
    ----------
    path : Path
        The file to write.

    Yields
    ------
    ZipFile
        The open archive.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                yield archive
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_array(archive: zipfile.ZipFile, key: str, array: np.ndarray) -> None:
    """Write one array to an open .npz file.

    Parameters
    ----------
    archive : ZipFile
        The archive.
    key : str
        Name of the array.
    array : ndarray
        The array.
    """
    with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, array, allow_pickle=False)


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, at most 200 characters.

    Parameters
    ----------
    error : Exception
        The error.

    Returns
    -------
    str
        The line, or the name of the error's class if it has no message.
    """
    return (str(error) or type(error).__name__).strip().splitlines()[0][:200]


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--output", choices=("z", "c", "codes"), required=True)
    parser.add_argument("--waveforms", type=Path, required=True, help="an .npz file")
    parser.add_argument(
        "--result", type=Path, required=True, help="an .npz file with the same keys"
    )
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    try:
        extract_file(options.checkpoint, options.output, options.waveforms, options.result)
    except BackendError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
