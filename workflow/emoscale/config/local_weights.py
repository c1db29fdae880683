"""Files and folders of pre-trained weights that a study names by their paths."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from emoscale.config.configuration_file import line_of_key
from emoscale.config.representations import ExternalSettings, expand_home
from emoscale.config.settings import reference_parts
from emoscale.config.study import Study
from emoscale.runtime.errors import ConfigurationError


def local_weights(settings: Any, checkpoints: Collection[str]) -> list[str]:
    """Return the paths of weights that a representation names, with `~` expanded.

    Of a representation from outside the project, these are the texts in `options` that are an
    existing file, or an existing folder with a `/` in its path.

    Parameters
    ----------
    settings : RepresentationSettings
        Settings of the representation.
    checkpoints : collection of str
        Names under `checkpoints`, which are no paths.

    Returns
    -------
    list of str
        Paths.
    """
    if isinstance(settings, ExternalSettings):
        paths = [expand_home(text) for text in _texts_in(settings.options)]
        return [path for path in paths if _is_file_or_path_of_folder(path)]
    return [path for _, path in _local_values(settings, checkpoints)]


def local_initial_weights(study: Study, checkpoint: str) -> str | None:
    """Return the path of weights that the pre-training of a checkpoint continues from.

    Parameters
    ----------
    study : Study
        The study.
    checkpoint : str
        Name of the checkpoint.

    Returns
    -------
    str or None
        The path, with `~` expanded; None if it continues from no weights, or from those of a
        checkpoint that is listed under `checkpoints`.
    """
    settings = study.pretraining_of(checkpoint)
    initial = None if settings is None else settings.continue_from
    return None if initial is None or initial in study.checkpoints else expand_home(initial)


def check_local_weights(study: Study, files: Sequence[Path | str] = ()) -> None:
    """Check that the weights that experiments use exist, or are listed under `checkpoints`.

    Parameters
    ----------
    study : Study
        The study.
    files : sequence of Path or str
        Configuration files: the error message then names the line.

    Raises
    ------
    ConfigurationError
        If weights are neither.
    """
    references = [name for each in study.experiments.values() for name in each.representations]
    named: list[tuple[list[str], str]] = []
    for name in sorted({reference_parts(reference)[0] for reference in references}):
        for key, path in _local_values(study.representations[name], study.checkpoints):
            named.append((["representations", name, key], path))
    for name in study.checkpoints:
        initial = local_initial_weights(study, name)
        if initial is not None:
            named.append((["checkpoints", name, "continue_from"], initial))
    for keys, path in named:
        if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises for a long text
            line = line_of_key(files, keys)
            raise ConfigurationError(
                f"the configuration: {'.'.join(keys)}: {path} does not exist and is not listed "
                f"under checkpoints (available: {', '.join(study.checkpoints) or 'none'}); "
                "correct it, or list the model there" + (f" ({line})" if line else "")
            )


def _local_values(settings: Any, checkpoints: Collection[str]) -> list[tuple[str, str]]:
    values = [(key, getattr(settings, key)) for key in getattr(settings, "checkpoint_keys", ())]
    return [(key, expand_home(value)) for key, value in values if value not in checkpoints]


def _is_file_or_path_of_folder(text: str) -> bool:
    # A word such as "results" may have another meaning. pathlib's functions raise for a long text.
    is_folder = "/" in text and os.path.isdir(text)  # noqa: PTH112
    return is_folder or os.path.isfile(text)  # noqa: PTH113


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts_in(each)
