"""Pre-trained weights by their name in the configuration: downloaded once, and held to a digest."""

from __future__ import annotations

import hashlib
import re
import urllib.parse
from pathlib import Path

from emoscale.config.checkpoints import (
    CheckpointSettings,
    DownloadedFile,
    HubModel,
    UntrainedModel,
)
from emoscale.representations.weights.origin import Origin, folder_sha256
from emoscale.runtime.errors import CheckpointError, reason_of
from emoscale.runtime.files import write_text
from emoscale.runtime.provenance import file_sha256

RETRIES = 2
"""Tries of a download after the first one; the connection may come back."""

SETTINGS_AND_TOKENIZERS = ["*.json", "*.txt", "*.model"]
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
"""Of a model on the hub: pickled ones only where it has no others."""


def fetch_checkpoint(
    name: str, settings: CheckpointSettings, cache: Path, offline: bool = False
) -> Origin:
    """Make sure that the weights of `checkpoints.<name>` are in `cache`, and say what they are.

    What is there already needs no network. Raises `CheckpointError`, with the name.
    """
    cache = cache.absolute()
    try:
        match settings:
            case DownloadedFile():
                return _fetch_file(name, settings, cache, offline)
            case HubModel():
                return _fetch_hub_model(name, settings, cache, offline)
            case UntrainedModel():
                from emoscale.representations.weights.untrained import make_untrained  # with torch

                return make_untrained(name, settings, cache)
    except CheckpointError as error:
        raise CheckpointError(f"checkpoints.{name}: {error}") from None
    except OSError as error:
        raise CheckpointError(
            f"checkpoints.{name}: {error.filename or cache}: {error.strerror or error}; the cache "
            "needs room and the right to write: mend that or name another, and run again"
        ) from None


def is_in_cache(settings: CheckpointSettings, cache: Path) -> bool:
    """Whether `fetch_checkpoint` would write nothing to `cache`; looking writes nothing either."""
    match settings:
        case DownloadedFile():
            path = cached_path(settings.url, cache)
            return path.is_file() and bool(settings.sha256 or _record_of(path).is_file())
        case HubModel():
            from huggingface_hub.errors import HFValidationError

            try:
                return _snapshot(settings, cache.absolute(), local=True).is_dir()
            except (HFValidationError, OSError):
                return False
        case UntrainedModel():
            from emoscale.representations.weights.untrained import untrained_folder

            return untrained_folder(settings, cache).is_dir()


def cached_path(url: str, cache: Path) -> Path:
    """Where the file at `url` lies in `cache`: a folder an address, and the file's own name.

    >>> cached_path("https://example.org/models/wav2vec_large.pt?download=1", Path("/cache"))
    PosixPath('/cache/ae2d68dee2a1417b/wav2vec_large.pt')
    """
    last = urllib.parse.unquote(urllib.parse.urlsplit(url).path.rpartition("/")[2])
    name = re.sub(r"[^A-Za-z0-9._-]", "_", last).lstrip(".")[-100:] or "weights"
    return cache.absolute() / hashlib.sha256(url.encode()).hexdigest()[:16] / name


def _fetch_file(name: str, settings: DownloadedFile, cache: Path, offline: bool) -> Origin:
    """The file at an address, with the configuration's digest or that of the first download."""
    path = cached_path(settings.url, cache)
    record = _record_of(path)
    is_new = not path.is_file()
    if is_new and offline:
        raise CheckpointError(
            f"{settings.url} is not in the cache and nothing is downloaded offline; put the file "
            f"at {path}, or run without offline"
        )
    if is_new:
        _download(settings.url, path)
    found, wanted = file_sha256(path), settings.sha256
    says, place = "as the configuration says", "mend sha256"
    if wanted is None and record.is_file():
        wanted = record.read_text(encoding="utf-8").strip()
        says, place = "as at the first download", f"remove {record}"
    if is_new and wanted not in (None, found):
        path.unlink()
        raise CheckpointError(
            f"{settings.url} gave a file of sha256 {found}, not {wanted} {says}; it is removed: "
            f"where the new file is right, {place}, and run again"
        )
    if wanted not in (None, found):
        raise CheckpointError(
            f"{path} has sha256 {found}, not {wanted} {says}: it is damaged or was changed; "
            f"remove it and run again to download {settings.url}"
        )
    if is_new or wanted is None:
        write_text(record, found + "\n")
    return Origin(name, path, found, f"{path.name}, sha256 {found[:8]}…")


def _download(url: str, path: Path) -> None:
    """Download a file, which pooch gives its name once it is whole."""
    import pooch
    import requests

    manager = pooch.create(
        path.parent, "", registry={path.name: None}, urls={path.name: url}, retry_if_failed=RETRIES
    )
    try:
        manager.fetch(path.name, downloader=pooch.HTTPDownloader(chunk_size=1 << 20))
    except requests.RequestException as error:
        raise CheckpointError(
            f"{url} cannot be downloaded ({reason_of(error)}); mend the address or connect to a "
            f"network, and run again, or put the file at {path}"
        ) from None
    path.chmod(path.parent.stat().st_mode & 0o666)  # others read the cache, too
    with path.open("rb") as file:
        begin = file.read(512).lstrip().lower()
    if begin.startswith((b"<!doctype html", b"<html")):
        path.unlink()
        raise CheckpointError(f"{url} gives a page, not a file of weights; mend the address")


def _record_of(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _fetch_hub_model(name: str, settings: HubModel, cache: Path, offline: bool) -> Origin:
    """A model's folder; a downloaded branch stays as it was, whatever the hub has since."""
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = _snapshot(settings, cache, local=True)
    except HFValidationError as error:
        raise CheckpointError(
            f"{settings.hub} is no name of a model: {reason_of(error)}; mend it"
        ) from None
    except LocalEntryNotFoundError:
        if offline:
            raise CheckpointError(
                f"{settings.hub} ({settings.revision}) is not whole in {cache / 'hub'} and nothing "
                "is downloaded offline; run once without offline"
            ) from None
        folder = _download_hub_model(settings, cache)
    return Origin(name, folder, folder_sha256(folder), f"{settings.hub} at {folder.name[:8]}")


def _download_hub_model(settings: HubModel, cache: Path) -> Path:
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    model = f"{settings.hub} on the hub"
    try:
        return _snapshot(settings, cache, local=False)
    except GatedRepoError:
        problem = (
            "is given only to those who accepted its terms; accept them on its page, log in with "
            "`hf auth login`, and run again"
        )
    except RevisionNotFoundError:
        problem = f"has no revision {settings.revision}; name a branch, tag or commit"
    except RepositoryNotFoundError:
        problem = "does not exist, or is private; mend its name, or log in with `hf auth login`"
    except CheckpointError:
        raise
    except Exception as error:  # its HTTP client's errors are no part of the hub's interface
        if isinstance(error, OSError) and error.errno:  # of the cache's disk
            raise
        problem = (
            f"cannot be reached ({reason_of(error.__cause__ or error)}); connect to a network and "
            f"run again, or copy the model's cache to {cache / 'hub'}"
        )
    raise CheckpointError(f"{model} {problem}")


def _snapshot(settings: HubModel, cache: Path, local: bool) -> Path:
    """The folder with everything that is needed; raises what huggingface_hub raises."""
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    for weights in WEIGHTS:
        folder = Path(
            huggingface_hub.snapshot_download(
                settings.hub,
                revision=settings.revision,
                cache_dir=cache / "hub",
                allow_patterns=[*SETTINGS_AND_TOKENIZERS, weights],
                ignore_patterns=["*/*"],  # at the top alone
                local_files_only=local,
            )
        )
        if any(folder.glob(weights)):
            return folder
    if local:
        raise LocalEntryNotFoundError(f"{folder} holds no weights")
    raise CheckpointError(
        f"{settings.hub} on the hub has no weights that can be read (safetensors, or "
        "pytorch_model.bin); name another model"
    )
