"""A minimal complete study: eight recordings, two folds, one training size."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.audit.speech import speech, write_corpus
from tests.conftest import PROJECT

STUDY: dict[str, Any] = {
    "study": "small",
    "corpus": {"reader": "csv", "root": "recordings"},
    "shards": 1,
    "labels": {"classes": {"active": ["angry"], "calm": ["sad"]}},
    "representations": {"mfcc": {"kind": "mfcc", "coefficients": 13}},
    "protocol": {"fold_unit": "session", "folds": 2, "repeats": 1, "development": "random"},
    "sizes": ["all"],
    "models": {"svm": {"kind": "estimator", "method": "linear_svm"}},
    "experiments": {"mfcc": {"representations": ["mfcc"], "model": "svm"}},
}
ROWS: list[dict[str, Any]] = [
    {
        "file": f"{session}{sex}{number}.wav",
        "wave": speech(100 * session + 10 * number + (sex == "M"), 0.6),
        "speaker": f"{session}{sex}",
        "session": session,
        "emotion": ["angry", "sad"][number % 2],
    }
    for session in (1, 2)
    for sex in "FM"
    for number in range(2)
]


def environment() -> dict[str, str]:
    """Return environment variables that select this checkout's library."""
    return {**os.environ, "PYTHONPATH": str(PROJECT / "workflow")}


def write_config(folder: Path, config: dict[str, Any], name: str = "small") -> Path:
    path = folder / "config" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(config))
    return path


def snakemake(folder: Path, config: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [
        str(Path(sys.executable).with_name("snakemake")),
        *("--snakefile", str(PROJECT / "Snakefile"), "--configfile", str(config)),
        *("--cores", "2", *arguments),
    ]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish(folder: Path) -> None:
    """Write the corpus and run the whole study once."""
    write_corpus(folder / "recordings", ROWS)
    ran = snakemake(folder, write_config(folder, STUDY))
    assert ran.returncode == 0, ran.stdout
