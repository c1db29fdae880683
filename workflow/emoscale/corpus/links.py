"""Files of a corpus that are links to somewhere else."""

from __future__ import annotations

import os
from pathlib import Path


def target_outside(file: Path, root: Path) -> str | None:
    """Where `file` leads, if it is a link to a file outside the corpus; None for all others.

    The root itself and folders in it may be links, as where sessions lie on other disks: those are
    laid by the user. A single file that is one may have come with the corpus.
    """
    if not os.path.islink(file):  # noqa: PTH114 - says no to names that no file system knows
        return None
    target = os.path.realpath(file)
    for folder in file.parents:
        if target.startswith(f"{os.path.realpath(folder)}/"):
            return None
        if folder == root:
            break
    return target
