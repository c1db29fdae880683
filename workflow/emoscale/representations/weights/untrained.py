"""Small models of the true formats and architectures with random weights, for trying things out.

They stand in for pre-trained weights where nothing can be downloaded: what reads the real ones
reads these, and their features are those of no pre-training.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from emoscale.config.checkpoints import UntrainedModel
from emoscale.representations.weights.origin import Origin, folder_sha256
from emoscale.representations.weights.untrained_fairseq import make_vq_wav2vec, make_wav2vec
from emoscale.representations.weights.untrained_transformers import make_bert, make_wav2vec2
from emoscale.runtime.files import temporary_folder
from emoscale.runtime.provenance import code_digest, file_sha256

MAKERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "wav2vec": (make_wav2vec, "wav2vec.pt"),
    "vq_wav2vec": (make_vq_wav2vec, "vq_wav2vec.pt"),
    "wav2vec2": (make_wav2vec2, ""),
    "bert": (make_bert, ""),
}
"""What writes each kind: to a file of this name, or to a folder where there is none."""


def make_untrained(name: str, settings: UntrainedModel, cache: Path) -> Origin:
    """A model with random weights: the same seed gives the same bytes.

    Made once for a seed and the code that makes it.
    """
    make, file = MAKERS[settings.untrained]
    folder = untrained_folder(settings, cache)
    if not folder.is_dir():
        with _atomic_folder(folder) as temporary, torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            make(temporary / file)
    path = folder / file
    sha256 = file_sha256(path) if file else folder_sha256(path)
    return Origin(name, path, sha256, f"untrained: random weights of seed {settings.seed}")


def untrained_folder(settings: UntrainedModel, cache: Path) -> Path:
    """Where a model of this seed, and of the code that makes it now, lies in `cache`."""
    code = code_digest("emoscale.representations.weights.untrained")[:16]
    return cache.absolute() / "untrained" / f"{settings.untrained}-{settings.seed}-{code}"


@contextlib.contextmanager
def _atomic_folder(target: Path) -> Iterator[Path]:
    """Give a temporary folder beside `target`; on a clean exit it takes the name `target`.

    Where another process was faster, its folder stays: both hold the same.
    """
    with temporary_folder(target) as outer:
        temporary = outer / target.name  # as readable as any new folder, which `outer` is not
        temporary.mkdir()
        yield temporary
        for path in temporary.iterdir():  # some libraries give what they write to its owner only
            path.chmod(temporary.stat().st_mode & 0o666)
        try:
            os.replace(temporary, target)
        except OSError:
            if not target.is_dir():
                raise
