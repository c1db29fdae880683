"""Small models with random weights, in the formats and architectures of the public models.

They replace pre-trained weights in tests and demonstrations without a network. The readers of the
public checkpoints read them as well, but their features are those of untrained networks.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from emoscale.config.checkpoints import UntrainedModel
from emoscale.representations.weights.local_checkpoint import LocalCheckpoint, folder_sha256
from emoscale.representations.weights.untrained_fairseq import write_vq_wav2vec, write_wav2vec
from emoscale.representations.weights.untrained_transformers import write_bert, write_wav2vec2
from emoscale.runtime.files import temporary_folder
from emoscale.runtime.provenance import code_digest, file_sha256

WRITERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "wav2vec": (write_wav2vec, "wav2vec.pt"),
    "vq_wav2vec": (write_vq_wav2vec, "vq_wav2vec.pt"),
    "wav2vec2": (write_wav2vec2, ""),
    "bert": (write_bert, ""),
}
"""Function that writes each kind of model, and the name of its file; empty for a folder."""


def create_untrained_checkpoint(
    name: str, settings: UntrainedModel, cache: Path
) -> LocalCheckpoint:
    """Write a model with random weights to the cache, unless it is there for this seed and code.

    Parameters
    ----------
    name : str
        Its name in the configuration, below `checkpoints`.
    settings : UntrainedModel
        Architecture and seed; the same seed gives the same bytes.
    cache : Path
        Folder of the cache.

    Returns
    -------
    LocalCheckpoint
        Path, digest and description of the checkpoint.
    """
    write, file_name = WRITERS[settings.untrained]
    folder = untrained_folder(settings, cache)
    if not folder.is_dir():
        with _atomic_folder(folder) as temporary, torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            write(temporary / file_name)
    path = folder / file_name
    sha256 = file_sha256(path) if file_name else folder_sha256(path)
    return LocalCheckpoint(name, path, sha256, f"untrained: random weights of seed {settings.seed}")


def untrained_folder(settings: UntrainedModel, cache: Path) -> Path:
    """Return the folder in the cache of a model with random weights.

    Parameters
    ----------
    settings : UntrainedModel
        Architecture and seed.
    cache : Path
        Folder of the cache.

    Returns
    -------
    Path
        Absolute path, whose name depends on architecture, seed and the code that writes the model.
    """
    code = code_digest("emoscale.representations.weights.untrained")[:16]
    return cache.absolute() / "untrained" / f"{settings.untrained}-{settings.seed}-{code}"


@contextlib.contextmanager
def _atomic_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder that is renamed to `target` on a clean exit.

    If another process created the same folder in the meantime, that one remains: their contents
    are equal.
    """
    with temporary_folder(target) as outer:
        temporary = outer / target.name  # has default permissions, which `outer` does not
        temporary.mkdir()
        yield temporary
        for path in temporary.iterdir():  # some libraries write files that only the owner may read
            path.chmod(temporary.stat().st_mode & 0o666)
        try:
            os.replace(temporary, target)
        except OSError:
            if not target.is_dir():
                raise
