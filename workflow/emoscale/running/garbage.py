"""Files under results folders that no configuration needs any more, and how they are removed."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emoscale.config.configuration_file import read_configuration_file
from emoscale.errors import ConfigurationError, UserError
from emoscale.running.estimate import bytes_of
from emoscale.running.graph import Graph, read_graph
from emoscale.running.lock import read_lock

# Names as they are written: `resolve` would follow the links that must not be followed.
# ruff: noqa: PTH100

_RUN_FILES = (
    r"(predictions\.parquet|history\.parquet|run\.json|(\.resume|\.kept|model)\.safetensors)"
)
_KINDS = [
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("features", r"features/[^/]+/([^/]+\.h5|index\.parquet)"),
        ("perturbed features", r"perturbed/[^/]+/[^/]+/([^/]+\.h5|index\.parquet)"),
        ("runs", rf"runs/[^/]+/[^/]+/[^/]+/{_RUN_FILES}"),
        ("robustness tests", r"robustness/[^/]+/[^/]+/[^/]+\.parquet"),
        ("protocol", r"protocol/[^/]+\.parquet"),
        (
            "corpus parts",
            r"corpus/((shards|rejected|texts|measured|tested)/[^/]+|talkers)\.parquet",
        ),
        ("checkpoint stamps", r"checkpoints/[^/]+\.json"),
        ("waveforms for fairseq", r"fairseq/[^/]+/[^/]+\.(npz|json)"),
        ("logs", r"logs/.+\.log"),
    )
]
# What `atomic_path` leaves where it was killed: a dot, the name, eight letters.
_TEMPORARY = re.compile(
    r"\..+\.[a-z0-9_]{8}(\.(parquet|csv|json|h5|safetensors|html|svg|npz|npy))?"
)
_TEMPORARY_PLACES = {
    "features",
    "perturbed",
    "runs",
    "robustness",
    "protocol",
    "corpus",
    "checkpoints",
    "fairseq",
    "tables",
    "figures",
}


@dataclass(frozen=True)
class Rubbish:
    """A file, or the whole folder of a study without a configuration."""

    path: Path
    kind: str
    bytes: int


@dataclass
class StudyFolder:
    """A results folder, and what the configurations that name it need of it."""

    folder: Path
    needed: set[Path] = field(default_factory=set)
    untouched: set[Path] = field(default_factory=set)
    """Folders in it that are not the workflow's: a corpus, a cache of weights."""
    configfiles: set[Path] = field(default_factory=set)
    """That name it, with their links followed."""
    unplanned: str = ""
    """Why it cannot be said what is needed; such a folder is left alone."""


def study_folders(
    configfiles: Iterable[Path], given: Sequence[Path] = (), overrides: Sequence[str] = ()
) -> dict[Path, StudyFolder]:
    """What each results folder is needed for, by all `configfiles` and those `given`.

    `overrides` are for those `given`. Raises `ConfigurationError` where a file does not even say
    which study it is of, because anything may then be needed.
    """
    chosen = {path.resolve() for path in given}
    folders: dict[Path, StudyFolder] = {}
    files = {path.resolve(): path for path in [*configfiles, *given]}
    for resolved, path in sorted(files.items()):
        try:
            graph = read_graph([path], overrides if resolved in chosen else ())
        except ConfigurationError as error:
            folder = _named_folder(path)
            entry = folders.setdefault(folder, StudyFolder(folder))
            entry.unplanned = str(error)
            entry.configfiles.add(resolved)
            continue
        folder = Path(os.path.abspath(graph.study.folder))
        entry = folders.setdefault(folder, StudyFolder(folder))
        entry.configfiles.add(resolved)
        _add(entry, graph)
    return folders


def find_rubbish(study: StudyFolder) -> list[Rubbish]:
    """What no configuration needs in a results folder; links are neither listed nor followed."""
    if study.unplanned or study.folder.is_symlink():
        return []
    needed_folders = {path.parent for path in study.needed}
    found = []
    for place, folders, names in os.walk(study.folder, followlinks=False):
        here = Path(place)
        folders[:] = sorted(name for name in folders if here / name not in study.untouched)
        for name in sorted(names):
            path = here / name
            kind = _kind_of(path.relative_to(study.folder))
            kept = path in study.needed or (
                name in (".resume.safetensors", ".kept.safetensors") and here in needed_folders
            )
            if kind is not None and not kept and not path.is_symlink():
                found.append(Rubbish(path, kind, bytes_of(str(path))))
    return found


def unnamed_studies(studies: Iterable[StudyFolder]) -> list[Rubbish]:
    """Folders beside those of the studies that look like a study's and that nothing names."""
    named = {study.folder for study in studies}
    found = []
    for results in sorted({folder.parent for folder in named}):
        for folder in sorted(results.iterdir()) if results.is_dir() else []:
            looks_so = (folder / "logs").is_dir() and (folder / "benchmarks").is_dir()
            if folder not in named and looks_so and not folder.is_symlink():
                found.append(Rubbish(folder, "study without configuration", bytes_of(str(folder))))
    return found


def refuse_while_locked() -> None:
    """Raise `UserError` where a run holds the lock on the working folder."""
    lock = read_lock()
    if lock is None:
        return
    if lock.alive:
        raise UserError(
            f"a run is going on (process {', '.join(map(str, lock.processes))}), so nothing is "
            "removed; wait until it has ended"
        )
    raise UserError(
        f"a run{lock.elsewhere} holds the lock on this folder (.snakemake/locks), so nothing is "
        "removed; if it was killed, unlock with: snakemake --unlock"
    )


def remove(rubbish: Iterable[Rubbish], studies: Iterable[StudyFolder]) -> int:
    """Remove what was found, and folders that are empty then; gives the bytes that are free.

    Raises `UserError` where a run has begun since, or a path leads out of its results folder.
    """
    roots = {study.folder: study.folder.resolve() for study in studies}
    freed = 0
    for each in rubbish:
        refuse_while_locked()
        try:
            if each.path.is_dir() and not each.path.is_symlink():
                shutil.rmtree(each.path)  # it follows no links either
            else:
                _remove_file(each.path, roots)
        except OSError as error:
            raise UserError(
                f"{each.path} cannot be removed ({error.strerror}); what was listed before it is"
            ) from None
        freed += each.bytes
    return freed


def _remove_file(path: Path, roots: dict[Path, Path]) -> None:
    root = next(folder for folder in roots if path.is_relative_to(folder))
    if not path.parent.resolve().is_relative_to(roots[root]):
        raise UserError(f"{path} leads out of {root} by a link, so it is left alone")
    path.unlink(missing_ok=True)
    folder = path.parent
    while folder != root and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _add(entry: StudyFolder, graph: Graph) -> None:
    for step in graph.steps:
        for name in (*step.outputs, *step.logs):
            path = Path(os.path.abspath(name))
            (entry.untouched if path.is_dir() else entry.needed).add(path)
    cache = Path(graph.study.execution.checkpoint_cache).expanduser()
    roots = _roots_of(graph.study.corpus.model_dump(mode="json"))
    entry.untouched.update(Path(os.path.abspath(path)) for path in (cache, *map(Path, roots)))


def _roots_of(settings: Any) -> list[str]:
    """Folders of the corpus, wherever its settings name them."""
    if isinstance(settings, dict):
        own = [value for key, value in settings.items() if key == "root" and value]
        return [*map(str, own), *(root for each in settings.values() for root in _roots_of(each))]
    if isinstance(settings, list):
        return [root for each in settings for root in _roots_of(each)]
    return []


def _kind_of(path: Path) -> str | None:
    if path.parts[0] in _TEMPORARY_PLACES and _TEMPORARY.fullmatch(path.name):
        return "temporary files"
    text = path.as_posix()
    return next((kind for kind, pattern in _KINDS if pattern.fullmatch(text)), None)


def _named_folder(path: Path) -> Path:
    """The results folder of a configuration that is not whole."""
    try:
        config = read_configuration_file(path)
        study, results = config["study"], config.get("results", "results")
    except (ConfigurationError, KeyError):
        raise ConfigurationError(
            f"{path} does not say which study it is of, so what it needs is not known and nothing "
            "is removed; mend it or move it away"
        ) from None
    return Path(os.path.abspath(f"{results}/{study}"))
