"""Recordings and other files in a folder and its subfolders."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NoReturn

from emoscale.audio.decoding import SUFFIXES
from emoscale.corpus.readers import CorpusManifest
from emoscale.runtime.errors import CorpusError


def corpus_files(
    root: Path, manifest: CorpusManifest, suffixes: Collection[str] = SUFFIXES
) -> Iterator[str]:
    """List the recordings, or other files, in a folder; linked folders are read, but none twice.

    Hidden files and folders, the `._` files and `__MACOSX` folders that macOS adds to archives, and
    the `~$` files of office programs are left out.

    Parameters
    ----------
    root : Path
        The folder.
    manifest : CorpusManifest
        Rejects the links to folders that are read under another name.
    suffixes : collection of str
        Suffixes of the files, in lower case; default: those of recordings.

    Yields
    ------
    str
        Path relative to `root`, with `/` between folders.

    Raises
    ------
    CorpusError
        If a folder cannot be read.
    """
    visited = {os.path.realpath(root)}
    for folder, subfolders, files in os.walk(root, followlinks=True, onerror=_raise_unreadable):
        relative = Path(folder).relative_to(root)
        names = sorted(name for name in subfolders if not name.startswith((".", "__MACOSX")))
        subfolders.clear()
        for name in names:
            target = os.path.realpath(Path(folder) / name)
            if target in visited:
                manifest.reject(
                    str(relative / name),
                    "read already",
                    f"{relative / name} is a link to {target}, which is read under another name",
                )
            else:
                visited.add(target)
                subfolders.append(name)
        for name in sorted(files):
            if Path(name).suffix.lower() in suffixes and not name.startswith((".", "~$")):
                yield (relative / name).as_posix()


def _raise_unreadable(error: OSError) -> NoReturn:
    raise CorpusError(f"{error.filename} cannot be read: {error.strerror}") from None
