"""Where a checkpoint's weights lie, what they are, and the small file that says so."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoscale.errors import CheckpointError
from emoscale.files import write_json
from emoscale.provenance import digest, file_sha256


@dataclass(frozen=True)
class Weights:
    """Pre-trained weights on this machine."""

    path: Path
    """Absolute; of a file, or of the folder of a model."""

    sha256: str
    """Of the file; of a folder, `folder_sha256`."""

    phrase: str
    """What tables say of them, such as `wav2vec_large.pt, sha256 ad40bf1e…`."""


@dataclass(frozen=True)
class Origin:
    """What the configuration's name for a checkpoint stands for."""

    name: str
    path: Path
    sha256: str
    weights: str
    """The phrase for tables."""

    settings: dict[str, Any]
    """What the configuration says."""


def write_origin(path: Path | str, origin: Origin) -> None:
    """Write `origin` as JSON, atomically."""
    write_json(path, {**dataclasses.asdict(origin), "path": str(origin.path)})


def read_origin(path: Path | str) -> Origin:
    """Read what `write_origin` wrote.

    Raises `CheckpointError` where the file is missing or damaged, or the weights that it names are
    no longer there.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        origin = Origin(**{**content, "path": Path(content["path"])})
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist; run again") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise CheckpointError(f"{path} is damaged; remove it and run again") from None
    if not origin.path.exists():
        raise CheckpointError(
            f"the weights of checkpoints.{origin.name} are no longer at {origin.path}; "
            f"remove {path} and run again"
        )
    return origin


def folder_sha256(folder: Path) -> str:
    """Digest of the names and the content of all files in `folder`, links followed."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest({path.relative_to(folder).as_posix(): file_sha256(path) for path in files})
