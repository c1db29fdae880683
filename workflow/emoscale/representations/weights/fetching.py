"""Download of pre-trained weights to a cache, with a check of their digest."""

from __future__ import annotations

import hashlib
import re
import urllib.parse
from pathlib import Path

from emoscale.config.checkpoints import (
    DownloadedFile,
    FetchedCheckpoint,
    HubModel,
    UntrainedModel,
)
from emoscale.representations.weights.local_checkpoint import LocalCheckpoint, folder_sha256
from emoscale.runtime.errors import CheckpointError, error_summary
from emoscale.runtime.files import write_text
from emoscale.runtime.provenance import file_sha256

RETRIES = 2
"""Further attempts after a download failed, since a lost connection may be restored."""

SETTINGS_AND_TOKENIZERS = ["*.json", "*.txt", "*.model"]
"""Patterns of the small files of a model on the Hugging Face hub."""

WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
"""Patterns of its weights; the second, a pickle, is used only if nothing matches the first."""


def fetch_checkpoint(
    name: str, settings: FetchedCheckpoint, cache: Path, offline: bool = False
) -> LocalCheckpoint:
    """Download a checkpoint unless it is in the cache, and check its digest.

    A checkpoint in the cache is used without network access.

    Parameters
    ----------
    name : str
        Its name in the configuration, below `checkpoints`.
    settings : FetchedCheckpoint
        Source of the weights.
    cache : Path
        Folder of the cache.
    offline : bool
        Whether downloads are forbidden.

    Returns
    -------
    LocalCheckpoint
        Path, digest and description of the checkpoint.

    Raises
    ------
    CheckpointError
        If the checkpoint cannot be downloaded, written or read, or has another digest.
    """
    cache = cache.absolute()
    try:
        match settings:
            case DownloadedFile():
                return _fetch_file(name, settings, cache, offline)
            case HubModel():
                return _fetch_hub_model(name, settings, cache, offline)
            case UntrainedModel():
                from emoscale.representations.weights.untrained import (  # imports torch
                    create_untrained_checkpoint,
                )

                return create_untrained_checkpoint(name, settings, cache)
    except CheckpointError as error:
        raise CheckpointError(f"checkpoints.{name}: {error}") from None
    except OSError as error:
        raise CheckpointError(
            f"checkpoints.{name}: {error.filename or cache}: {error.strerror or error}; the cache "
            "needs free space and write permission: provide them or name another cache, and run "
            "again"
        ) from None


def is_in_cache(settings: FetchedCheckpoint, cache: Path) -> bool:
    """Return whether a checkpoint is complete in the cache; nothing is written.

    Parameters
    ----------
    settings : FetchedCheckpoint
        Source of the weights.
    cache : Path
        Folder of the cache.

    Returns
    -------
    bool
        True if `fetch_checkpoint` would write nothing to the cache.
    """
    match settings:
        case DownloadedFile():
            path = cached_path(settings.url, cache)
            return path.is_file() and bool(settings.sha256 or _digest_file(path).is_file())
        case HubModel():
            from huggingface_hub.errors import HFValidationError

            try:
                return _snapshot(settings, cache.absolute(), local_only=True).is_dir()
            except (HFValidationError, OSError):
                return False
        case UntrainedModel():
            from emoscale.representations.weights.untrained import untrained_folder

            return untrained_folder(settings, cache).is_dir()


def cached_path(url: str, cache: Path) -> Path:
    """Return the path of a downloaded file in the cache: one folder per URL, and the file's name.

    Parameters
    ----------
    url : str
        Address of the file.
    cache : Path
        Folder of the cache.

    Returns
    -------
    Path
        Absolute path; its last component contains only letters, digits and `._-`.

    Examples
    --------
    >>> cached_path("https://example.org/models/wav2vec_large.pt?download=1", Path("/cache"))
    PosixPath('/cache/ae2d68dee2a1417b/wav2vec_large.pt')
    """
    last = urllib.parse.unquote(urllib.parse.urlsplit(url).path.rpartition("/")[2])
    name = re.sub(r"[^A-Za-z0-9._-]", "_", last).lstrip(".")[-100:] or "weights"
    return cache.absolute() / hashlib.sha256(url.encode()).hexdigest()[:16] / name


def _fetch_file(name: str, settings: DownloadedFile, cache: Path, offline: bool) -> LocalCheckpoint:
    """Fetch a file whose digest is that of the configuration or of the first download."""
    path = cached_path(settings.url, cache)
    digest_file = _digest_file(path)
    is_new = not path.is_file()
    if is_new and offline:
        raise CheckpointError(
            f"{settings.url} is not in the cache and nothing is downloaded offline; put the file "
            f"at {path}, or run without offline"
        )
    if is_new:
        _download(settings.url, path)
    actual, expected = file_sha256(path), settings.sha256
    source, remedy = "as in the configuration", "correct sha256"
    if expected is None and digest_file.is_file():
        expected = digest_file.read_text(encoding="utf-8").strip()
        source, remedy = "as at the first download", f"remove {digest_file}"
    if is_new and expected not in (None, actual):
        path.unlink()
        raise CheckpointError(
            f"{settings.url} has sha256 {actual}, not {expected} {source}; the downloaded file was "
            f"removed: if it is the correct one, {remedy}, and run again"
        )
    if expected not in (None, actual):
        raise CheckpointError(
            f"{path} has sha256 {actual}, not {expected} {source}: it is damaged or was changed; "
            f"remove it and run again to download {settings.url}"
        )
    if is_new or expected is None:
        write_text(digest_file, actual + "\n")
    return LocalCheckpoint(name, path, actual, f"{path.name}, sha256 {actual[:8]}…")


def _download(url: str, path: Path) -> None:
    """Download a file; pooch renames it to `path` when it is complete."""
    import pooch
    import requests

    manager = pooch.create(
        path.parent, "", registry={path.name: None}, urls={path.name: url}, retry_if_failed=RETRIES
    )
    try:
        manager.fetch(path.name, downloader=pooch.HTTPDownloader(chunk_size=1 << 20))
    except requests.RequestException as error:
        raise CheckpointError(
            f"{url} cannot be downloaded ({error_summary(error)}); correct the address or connect "
            f"to a network, and run again, or put the file at {path}"
        ) from None
    path.chmod(path.parent.stat().st_mode & 0o666)  # other users may read the cache as well
    with path.open("rb") as file:
        start = file.read(512).lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        path.unlink()
        raise CheckpointError(f"{url} is a web page, not a file of weights; correct the address")


def _digest_file(path: Path) -> Path:
    """File next to a download that stores its digest."""
    return path.with_name(path.name + ".sha256")


def _fetch_hub_model(name: str, settings: HubModel, cache: Path, offline: bool) -> LocalCheckpoint:
    """Fetch a model of the hub; a downloaded branch is not updated when the hub changes."""
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = _snapshot(settings, cache, local_only=True)
    except HFValidationError as error:
        raise CheckpointError(
            f"{settings.hub} is not the name of a model: {error_summary(error)}; correct it"
        ) from None
    except LocalEntryNotFoundError:
        if offline:
            raise CheckpointError(
                f"{settings.hub} ({settings.revision}) is not complete in {cache / 'hub'} and "
                "nothing is downloaded offline; run once without offline"
            ) from None
        folder = _download_hub_model(settings, cache)
    return LocalCheckpoint(
        name, folder, folder_sha256(folder), f"{settings.hub} at {folder.name[:8]}"
    )


def _download_hub_model(settings: HubModel, cache: Path) -> Path:
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    model = f"{settings.hub} on the hub"
    try:
        return _snapshot(settings, cache, local_only=False)
    except GatedRepoError:
        problem = (
            "is available only to users who accepted its terms; accept them on its page, log in "
            "with `hf auth login`, and run again"
        )
    except RevisionNotFoundError:
        problem = f"has no revision {settings.revision}; name a branch, tag or commit"
    except RepositoryNotFoundError:
        problem = "does not exist, or is private; correct its name, or log in with `hf auth login`"
    except CheckpointError:
        raise
    except Exception as error:  # the hub's interface does not document its HTTP client's errors
        if isinstance(error, OSError) and error.errno:  # an error of the cache's disk
            raise
        problem = (
            f"cannot be reached ({error_summary(error.__cause__ or error)}); connect to a network "
            f"and run again, or copy the model's cache to {cache / 'hub'}"
        )
    raise CheckpointError(f"{model} {problem}")


def _snapshot(settings: HubModel, cache: Path, local_only: bool) -> Path:
    """Folder with all necessary files of a model; raises the errors of huggingface_hub."""
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    for pattern in WEIGHTS:
        folder = Path(
            huggingface_hub.snapshot_download(
                settings.hub,
                revision=settings.revision,
                cache_dir=cache / "hub",
                allow_patterns=[*SETTINGS_AND_TOKENIZERS, pattern],
                ignore_patterns=["*/*"],  # no files of subfolders
                local_files_only=local_only,
            )
        )
        if any(folder.glob(pattern)):
            return folder
    if local_only:
        raise LocalEntryNotFoundError(f"{folder} contains no weights")
    raise CheckpointError(
        f"{settings.hub} on the hub has no weights in a supported format (safetensors, or "
        "pytorch_model.bin); name another model"
    )
