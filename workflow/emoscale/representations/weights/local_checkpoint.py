"""Checkpoints on this machine, and the JSON record of each that the workflow keeps."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from emoscale.config.checkpoints import source_of
from emoscale.runtime.errors import CheckpointError
from emoscale.runtime.files import write_json
from emoscale.runtime.provenance import digest, file_sha256


@dataclass(frozen=True)
class LocalCheckpoint:
    """A file or folder of pre-trained weights on this machine."""

    name: str
    """Its name in the configuration, below `checkpoints`."""

    path: Path
    """Absolute path of a file, or of a model's folder."""

    sha256: str
    """Digest of the file; of a folder, see `folder_sha256`."""

    pretrained_weights: str
    """Description for tables, such as `wav2vec_large.pt, sha256 ad40bf1e…`."""


@dataclass(frozen=True)
class CheckpointRecord:
    """Identity of a fetched checkpoint, without its path.

    Later steps depend on the record's file. It changes neither with the location of the cache nor
    when the digest is added to the configuration.
    """

    name: str
    """Its name in the configuration, below `checkpoints`."""

    sha256: str
    """Digest of the file or folder."""

    pretrained_weights: str
    """Description for tables."""

    source: str = ""
    """Its settings as JSON, see `emoscale.config.checkpoints.source_of`."""


def write_checkpoint_record(path: Path | str, checkpoint: LocalCheckpoint, settings: Any) -> None:
    """Write the record of a checkpoint as JSON, atomically.

    Parameters
    ----------
    path : Path or str
        The file to write.
    checkpoint : LocalCheckpoint
        The fetched checkpoint.
    settings : CheckpointSettings
        Its settings.
    """
    record = CheckpointRecord(
        checkpoint.name, checkpoint.sha256, checkpoint.pretrained_weights, source_of(settings)
    )
    write_json(path, asdict(record))


def read_checkpoint_record(path: Path | str) -> CheckpointRecord:
    """Read a file that `write_checkpoint_record` wrote.

    Parameters
    ----------
    path : Path or str
        The file.

    Returns
    -------
    CheckpointRecord
        The record.

    Raises
    ------
    CheckpointError
        If the file is missing or damaged.
    """
    try:
        return CheckpointRecord(**json.loads(Path(path).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist; run again") from None
    except (OSError, ValueError, TypeError):
        raise CheckpointError(f"{path} is damaged; remove it and run again") from None


def pretrained_checkpoint(path: Path, record: CheckpointRecord, weights: str) -> LocalCheckpoint:
    """Return a checkpoint that the study has pre-trained, in the folder beside its record.

    Parameters
    ----------
    path : Path
        Record of the checkpoint.
    record : CheckpointRecord
        Its content.
    weights : str
        Path of the weights in the checkpoint's folder.

    Returns
    -------
    LocalCheckpoint
        Path, present digest and description of the checkpoint.

    Raises
    ------
    CheckpointError
        If the weights are missing.
    """
    location = (path.with_suffix("") / weights).absolute()
    if not location.exists():
        raise CheckpointError(f"checkpoints.{record.name}: {location} does not exist")
    sha256 = weights_sha256(location)
    return LocalCheckpoint(record.name, location, sha256, record.pretrained_weights)


def weights_sha256(weights: Path) -> str:
    """Return the digest of a file or folder of weights.

    Parameters
    ----------
    weights : Path
        The file or folder.

    Returns
    -------
    str
        That of the file, or `folder_sha256`.
    """
    return folder_sha256(weights) if weights.is_dir() else file_sha256(weights)


def check_stated_digest(path: Path | str, settings: Any) -> None:
    """Check that weights which a study has fetched have the digest that its configuration states.

    Parameters
    ----------
    path : Path or str
        Record of the checkpoint. If there is none, or it is of other settings, the checkpoint has
        yet to be fetched, which checks the digest.
    settings : CheckpointSettings
        Settings of the checkpoint.

    Raises
    ------
    CheckpointError
        If the digests differ, or the record is damaged.
    """
    stated = getattr(settings, "sha256", None)
    if stated is None or not Path(path).exists():
        return
    record = read_checkpoint_record(path)
    if record.source == source_of(settings) and record.sha256 != stated:
        raise CheckpointError(
            f"checkpoints.{record.name}.sha256 is {stated}, but the study was computed with "
            f"weights of sha256 {record.sha256} ({path}); correct sha256, or remove that file to "
            "fetch other weights"
        )


def folder_sha256(folder: Path) -> str:
    """Return a digest of the names and contents of all files in a folder, except hidden ones.

    Snakemake puts a hidden file into a folder that a step has written.

    Parameters
    ----------
    folder : Path
        The folder; symbolic links to files are followed.

    Returns
    -------
    str
        Digest, hexadecimal.
    """
    files = sorted(
        path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")
    )
    return digest({path.relative_to(folder).as_posix(): file_sha256(path) for path in files})
