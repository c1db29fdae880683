"""Which files a study makes, and which of a results folder are another's."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

TABLES = (
    "runs",
    "scores",
    "confusion",
    "trials",
    "layer_weights",
    "predictions",
    "comparisons",
    "slices",
    "slice_gaps",
    "efficiency",
    "forecast",
    "published",
)
"""Tables of every finished study."""

_CORPUS = "recordings|rejected|utterances|talkers|acoustics|same_recordings|duplicates|audit"
_MADE = re.compile(
    rf"""(audit|report)\.html
    | (benchmarks|logs)/.*
    | checkpoints/[^/]+\.json
    | checkpoints/cache/.*
    | corpus/survey\.json
    | corpus/({_CORPUS})\.parquet
    | corpus/(rejected|audit)\.csv
    | corpus/(shards|rejected|texts|tested|measured)/\d+\.parquet
    | (features|perturbed/[^/]+)/[^/]+/(index\.parquet|\d+\.h5)
    | protocol/([^/]+\.parquet|checks\.json)
    | runs/[^/]+/[^/]+/[^/]+/(run\.json|(model|\.kept)\.safetensors|(history|predictions)\.parquet)
    | robustness/[^/]+/[^/]+/[^/]+\.parquet
    | tables/({"|".join((*TABLES, "robustness"))})\.(parquet|csv)
    | figures/[^/]+\.(html|svg)""",
    re.VERBOSE,
)
_WRITTEN = (
    "checkpoints/",
    "corpus/",
    "features/",
    "figures/",
    "perturbed/",
    "protocol/",
    "robustness/",
    "runs/",
    "tables/",
)
_ASIDE = re.compile(r".*\.(damaged|aside)\d*")


def is_made_by_a_study(name: str) -> bool:
    """Whether a study makes a file of this name, a path from its folder.

    >>> is_made_by_a_study("features/mfcc/00.h5"), is_made_by_a_study("features/mfcc/copy.h5")
    (True, False)
    """
    return _MADE.fullmatch(name) is not None


def is_set_aside(name: str) -> bool:
    """Whether it was moved aside as damaged, or with a damaged file."""
    return _ASIDE.fullmatch(name) is not None


def is_half_written(name: str) -> bool:
    """Whether a step that was killed left it: what is written has a hidden name first."""
    return Path(name).name.startswith(".") and name.startswith(_WRITTEN)


def files_of(folder: Path, without: frozenset[str]) -> tuple[set[str], set[str]]:
    """Regular files of a folder, and what is neither that nor a folder, by their paths from it.

    Folders at the top named in `without` are passed over. A link to a file counts as the file where
    it leads to one within the folder.
    """
    regular: set[str] = set()
    other: set[str] = set()
    root = folder.resolve()
    for place, folders, names in os.walk(folder):
        if Path(place) == folder:
            folders[:] = [name for name in folders if name not in without]
        for name in names:
            path = Path(place, name)
            relative = path.relative_to(folder).as_posix()
            try:
                real = path.resolve(strict=True)
                fine = stat.S_ISREG(real.stat().st_mode) and real.is_relative_to(root)
            except (OSError, RuntimeError):  # a link that leads nowhere, or in a circle
                fine = False
            (regular if fine else other).add(relative)
    return regular, other
