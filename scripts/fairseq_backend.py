"""Compute wav2vec's or vq-wav2vec's features with fairseq itself (envs/fairseq.yaml).

    python scripts/fairseq_backend.py --checkpoint wav2vec_large.pt --output c \\
        --waveforms in.npz --result out.npz

Runs beside fairseq 0.12.2 in its own Python (3.8 to 3.10), so it imports nothing of emoscale. The
input holds one float32 waveform [samples] at 16 kHz for each key; the result holds under the same
key float32 frames [T, dimension], or int16 codes [T, groups] and once `codebook` [groups, codes,
width].
"""

from __future__ import annotations

import argparse
import ast
import collections
import contextlib
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
        f"Error: {sys.executable} has no fairseq; make its environment (conda env create -f "
        "envs/fairseq.yaml, or envs/fairseq.txt in a Python 3.8 to 3.10) and name its python under "
        "execution.fairseq_python"
    )

# What a flag was before fairseq introduced it, where its default of today is another.
LEGACY = {
    "conv_feature_layers": "[(512, 10, 5), (512, 8, 4)] + [(512, 4, 2)] * 3 + [(512, 1, 1)] * 2",
    "skip_connections_agg": False,
    "log_compression": False,
    "infonce": True,  # of the training loss; the model asks for it all the same
}

LAYERS = ("conv_feature_layers", "conv_aggregator_layers")

# Beginnings of the names of weights that only pre-training needs.
ONLY_FOR_TRAINING = ("wav2vec_predictions.", "project_features.")


class BackendError(Exception):
    """Something that the person at the keyboard can mend; shown as one sentence."""


ALLOWED = {
    (made.__module__, made.__name__): made
    for made in (
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
    {("torch", name): made for name, made in vars(torch).items() if isinstance(made, torch.dtype)}
)
ALLOWED.update({(kind.__module__, kind.__name__): kind for kind in torch._storage_classes})


class RestrictedUnpickler(pickle.Unpickler):
    """Makes tensors, plain containers and `argparse.Namespace`, and refuses everything else."""

    def find_class(self, module: str, name: str) -> object:
        """The class or function of that name; raises where it is none of `ALLOWED`."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(
                f"it holds {module}.{name}, and only weights and plain settings are read"
            )
        return ALLOWED[module, name]


def restricted_pickle() -> types.ModuleType:
    """What torch.load is given in place of the pickle module, which runs what a file says."""
    module = types.ModuleType("restricted_pickle")
    module.Unpickler = RestrictedUnpickler
    module.UnpicklingError = pickle.UnpicklingError
    module.load = lambda file, **options: RestrictedUnpickler(file, **options).load()
    return module


def read_checkpoint(path: Path) -> tuple[dict, dict]:
    """The model's settings, and its weights in float32."""
    if not path.is_file():
        raise BackendError(f"{path} does not exist; download it and name its place")
    try:
        refuse_other_readers(path)
        content = torch.load(path, map_location="cpu", pickle_module=restricted_pickle())
    except pickle.UnpicklingError as error:
        raise BackendError(f"{path} is refused: {first_line(error)}") from None
    except Exception as error:  # whatever a damaged file makes torch raise
        raise BackendError(
            f"{path} is damaged or no checkpoint ({first_line(error)}); download it again"
        ) from None
    arguments, weights = {}, {}
    if isinstance(content, dict):
        arguments = content.get("args") or (content.get("cfg") or {}).get("model")
        weights = content.get("model")
    if isinstance(arguments, argparse.Namespace):
        arguments = vars(arguments)
    if not isinstance(arguments, dict) or not arguments or not isinstance(weights, dict):
        raise BackendError(f"{path} is no fairseq checkpoint: it lacks args (or cfg) and model")
    return arguments, {
        name: value.float() for name, value in weights.items() if isinstance(value, torch.Tensor)
    }


def refuse_other_readers(path: Path) -> None:
    """torch.load reads two more kinds of file, and those not with the unpickler it is given."""
    with open(path, "rb") as file:
        is_zip = torch.serialization._is_zipfile(file)
    if is_zip and "constants.pkl" in torch._C.PyTorchFileReader(str(path)).get_all_records():
        raise pickle.UnpicklingError("it is a TorchScript program")
    if not is_zip and tarfile.is_tarfile(path):
        raise pickle.UnpicklingError("it is a tar archive")


def build_model(path: Path) -> Wav2VecModel:
    """fairseq's model with the checkpoint's flags and weights.

    fairseq's own loader fails on checkpoints as old as the public ones.
    """
    arguments, weights = read_checkpoint(path)
    config = Wav2VecConfig()
    for name, value in {**LEGACY, **arguments}.items():
        setattr(config, name, value)
    for name in LAYERS:
        # fairseq runs this text with eval: give it back as nothing but numbers.
        setattr(config, name, str(parse_layers(getattr(config, name), path)))
    try:
        model = Wav2VecModel.build_model(config, None)
        kept = {
            name: value for name, value in weights.items() if not name.startswith(ONLY_FOR_TRAINING)
        }
        loaded = model.load_state_dict(kept, strict=False)
    except Exception as error:  # fairseq says with any of them what it cannot build
        raise BackendError(f"{path} holds another architecture: {first_line(error)}") from None
    missing = [name for name in loaded.missing_keys if not name.startswith(ONLY_FOR_TRAINING)]
    if missing or loaded.unexpected_keys:
        problem = f"lacks {missing[0]}" if missing else f"has {loaded.unexpected_keys[0]}"
        raise BackendError(f"{path} holds another architecture: it {problem}")
    return model.eval()


def parse_layers(text: object, path: Path) -> list[tuple[int, int, int]]:
    """Layers from the Python literal that checkpoints hold: lists, their sums and multiples."""

    def value(node: ast.expr) -> object:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return value(node.left) + value(node.right)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            left, right = value(node.left), value(node.right)
            count = right if isinstance(right, int) else left
            if not isinstance(count, int) or not 0 <= count <= 100:
                raise ValueError("a list is repeated too often")
            return left * right
        return ast.literal_eval(node)

    try:
        layers = value(ast.parse(text, mode="eval").body)
        return [(int(channels), int(kernel), int(stride)) for channels, kernel, stride in layers]
    except (SyntaxError, ValueError, TypeError):
        raise BackendError(f"{path}: layers {text!r} are not understood") from None


@torch.no_grad()
def features_of(model: Wav2VecModel, waveform: np.ndarray, output: str) -> np.ndarray:
    """Frames [T, dimension], or codes [T, groups], of a waveform [samples]."""
    z = model.feature_extractor(torch.from_numpy(waveform)[None])
    if output == "z":
        return z[0].T.contiguous().numpy()
    if model.vector_quantizer is not None:
        z, codes = model.vector_quantizer.forward_idx(z)
        if output == "codes":
            return codes[0].numpy().astype(np.int16)
    return model.feature_aggregator(z)[0].T.contiguous().numpy()


def codebook_of(model: Wav2VecModel) -> np.ndarray:
    """Vectors [groups, codes, width]; shared by the groups where the checkpoint says so."""
    quantiser = model.vector_quantizer
    if hasattr(quantiser, "vars"):  # Gumbel
        books = quantiser.vars.detach().reshape(-1, quantiser.num_vars, quantiser.vars.shape[2])
    else:  # k-means
        books = quantiser.embedding.detach().permute(1, 0, 2)
    return books.expand(quantiser.groups, -1, -1).contiguous().numpy()


def compute(checkpoint: Path, output: str, waveforms: Path, result: Path) -> None:
    """Write the features of every waveform, one utterance at a time."""
    model = build_model(checkpoint)
    if output == "codes" and model.vector_quantizer is None:
        raise BackendError(f"{checkpoint} has no quantiser, so there are no codes; ask for z or c")
    needed = samples_of_a_frame(model)
    try:
        given = np.load(waveforms)
        keys = given.files
    except (OSError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise BackendError(f"{waveforms} cannot be read: {first_line(error)}") from None
    with atomic_archive(result) as archive:
        for key in keys:
            waveform = given[key]
            if waveform.ndim != 1 or waveform.dtype != np.float32:
                raise BackendError(f"{waveforms}: {key} is no float32 waveform [samples]")
            if len(waveform) < needed:
                raise BackendError(
                    f"{waveforms}: {key} has {len(waveform)} samples, fewer than the {needed} of "
                    "one frame; leave it out"
                )
            add_array(archive, key, features_of(model, waveform, output))
        if output == "codes":
            add_array(archive, "codebook", codebook_of(model))


def samples_of_a_frame(model: Wav2VecModel) -> int:
    """Samples that the encoder needs for one frame."""
    samples = 1
    for layer in reversed(model.feature_extractor.conv_layers):
        samples = (samples - 1) * layer[0].stride[0] + layer[0].kernel_size[0]
    return samples


@contextlib.contextmanager
def atomic_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """An .npz that appears under its name once it is whole; arrays need not fit in memory."""
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


def add_array(archive: zipfile.ZipFile, key: str, array: np.ndarray) -> None:
    with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, array, allow_pickle=False)


def first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0][:200]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--output", choices=("z", "c", "codes"), required=True)
    parser.add_argument("--waveforms", type=Path, required=True, help="an .npz, a key an utterance")
    parser.add_argument("--result", type=Path, required=True, help="an .npz with the same keys")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    try:
        compute(options.checkpoint, options.output, options.waveforms, options.result)
    except BackendError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
