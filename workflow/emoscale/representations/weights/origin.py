"""Where a checkpoint's weights lie, what they are, and the small file that says so."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from emoscale.runtime.errors import CheckpointError
from emoscale.runtime.files import write_json
from emoscale.runtime.provenance import digest, file_sha256


@dataclass(frozen=True)
class Origin:
    """Pre-trained weights on this machine, and what the configuration's name for them is."""

    name: str

    path: Path
    """Absolute; of a file, or of the folder of a model."""

    sha256: str
    """Of the file; of a folder, `folder_sha256`."""

    weights: str
    """What tables say of them, such as `wav2vec_large.pt, sha256 ad40bf1e…`."""


@dataclass(frozen=True)
class Stamp:
    """What fetching leaves for the steps after it: what the weights are, not where.

    So neither another cache nor a digest that is stated later changes it.
    """

    name: str
    sha256: str
    weights: str


def write_stamp(path: Path | str, origin: Origin) -> None:
    """Write the stamp of `origin` as JSON, atomically."""
    write_json(path, {"name": origin.name, "sha256": origin.sha256, "weights": origin.weights})


def read_stamp(path: Path | str) -> Stamp:
    """Read what `write_stamp` wrote; raises `CheckpointError` where it is missing or damaged."""
    try:
        return Stamp(**json.loads(Path(path).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist; run again") from None
    except (OSError, ValueError, TypeError):
        raise CheckpointError(f"{path} is damaged; remove it and run again") from None


def folder_sha256(folder: Path) -> str:
    """Digest of the names and the content of all files in `folder`, links followed."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest({path.relative_to(folder).as_posix(): file_sha256(path) for path in files})
