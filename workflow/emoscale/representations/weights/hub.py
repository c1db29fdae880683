"""Models of the Hugging Face hub, downloaded once into the cache."""

from __future__ import annotations

import re
from pathlib import Path

from emoscale.config.checkpoints import HubModel
from emoscale.representations.weights.origin import Weights, folder_sha256
from emoscale.runtime.errors import CheckpointError

SETTINGS_AND_TOKENIZERS = ["*.json", "*.txt", "*.model"]
SAFETENSORS = ["*.safetensors"]
PICKLED = ["pytorch_model*.bin"]
"""Only where a model has no safetensors; transformers reads them without running anything."""

_NOT_AT_THE_TOP = ["*/*"]


def fetch_hub_model(settings: HubModel, cache: Path, offline: bool = False) -> Weights:
    """A model's folder, from `cache` where it is whole there, otherwise downloaded into it.

    A branch that was downloaded stays as it was, whatever the hub has since. Raises
    `CheckpointError`.
    """
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    cache = cache.absolute()
    try:
        (cache / "hub").mkdir(parents=True, exist_ok=True)
        try:
            folder = _snapshot(settings, cache, local=True)
        except LocalEntryNotFoundError:
            if offline:
                raise CheckpointError(
                    f"{settings.hub} ({settings.revision}) is not whole in {cache / 'hub'} and "
                    "nothing is downloaded offline; run once without offline"
                ) from None
            folder = _download(settings, cache)
        sha256 = folder_sha256(folder)
    except HFValidationError as error:
        raise CheckpointError(
            f"{settings.hub} is no name of a model: {_first_line(error)}; mend it"
        ) from None
    except OSError as error:
        raise CheckpointError(
            f"{error.filename or cache / 'hub'}: {error.strerror or error}; the cache needs room "
            "and the right to write: mend that or name another, and run again"
        ) from None
    return Weights(folder, sha256, f"{settings.hub} at {folder.name[:8]}")


def is_hub_model_there(settings: HubModel, cache: Path) -> bool:
    """Whether the model's folder is whole in `cache`."""
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return _snapshot(settings, cache.absolute(), local=True).is_dir()
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return False


def _download(settings: HubModel, cache: Path) -> Path:
    import httpx2
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    where = f"{settings.hub} on the hub"
    try:
        return _snapshot(settings, cache, local=False)
    except GatedRepoError:
        raise CheckpointError(
            f"{where} is given only to those who accepted its terms; accept them on its page, "
            "log in with `hf auth login`, and run again"
        ) from None
    except RevisionNotFoundError:
        raise CheckpointError(
            f"{where} has no revision {settings.revision}; name a branch, tag or commit"
        ) from None
    except RepositoryNotFoundError:
        raise CheckpointError(
            f"{where} does not exist, or is private; mend its name, or log in with `hf auth login`"
        ) from None
    except (LocalEntryNotFoundError, HfHubHTTPError, httpx2.HTTPError) as error:
        cause = error.__cause__ or error
        raise CheckpointError(
            f"{where} cannot be reached ({_first_line(cause)}); connect to a network and run "
            f"again, or copy the model's cache to {cache / 'hub'}"
        ) from None


def _snapshot(settings: HubModel, cache: Path, local: bool) -> Path:
    """The folder with everything that is needed; raises what huggingface_hub raises."""
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def snapshot(patterns: list[str]) -> Path:
        return Path(
            huggingface_hub.snapshot_download(
                settings.hub,
                revision=settings.revision,
                cache_dir=cache / "hub",
                allow_patterns=patterns,
                ignore_patterns=_NOT_AT_THE_TOP,
                local_files_only=local,
            )
        )

    folder = snapshot(SETTINGS_AND_TOKENIZERS + SAFETENSORS)
    if not _has(folder, SAFETENSORS):
        folder = snapshot(SETTINGS_AND_TOKENIZERS + PICKLED)
        if not _has(folder, PICKLED):
            if local:
                raise LocalEntryNotFoundError(f"{folder} holds no weights")
            raise CheckpointError(
                f"{settings.hub} on the hub has no weights that can be read (safetensors, or "
                "pytorch_model.bin); name another model"
            )
    return folder


def _has(folder: Path, patterns: list[str]) -> bool:
    return any(any(folder.glob(pattern)) for pattern in patterns)


def _first_line(error: BaseException) -> str:
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return re.sub(r"\s+", " ", text)[:200]
