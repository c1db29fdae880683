"""The commands of the README and the tutorials, in a copy of the tracked files in a new folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import yaml

PROJECT = Path(__file__).resolve().parents[2]
TUTORIALS = "docs/tutorials"
PAGES = ("README.md", *(f"{TUTORIALS}/{n}.md" for n in ("first-study", "own-corpus", "cluster")))
NOT_RUN = {
    "make test": "it would run itself",
    ".venv/bin/pip install": "the copy uses the installed packages",
    ".venv/bin/hf download": "it needs a network",
}
"""Beginnings of commands that are not run, and why.

The example of own-representation.md is run by tests/representations/test_external.py.
"""

PLANNED = (
    *("config/iemocap.yaml", "config/emodb.yaml", "config/pretraining.yaml"),
    "profiles/slurm",
)
"""Commands with these get a dry run: the corpora are not free, and there is no cluster."""

LABELS = ("angry", "happy", "neutral", "sad")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (PROJECT / ".git").exists(), reason="needs the list of tracked files"),
]


def code_blocks(page: str, language: str) -> list[str]:
    text = (PROJECT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def commands(page: str) -> Iterator[str]:
    """Yield the commands of a page, without comments and with continued lines joined."""
    for block in code_blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            command = re.sub(r"\s+#\s.*", "", line).strip()
            if command and not command.startswith("#"):
                yield command


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy") / "emoscale"
    command = ["git", "-c", "safe.directory=*", "-C", str(PROJECT), "ls-files", "-z"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)
    environment = folder / ".venv"
    environment.mkdir()
    for path in Path(sys.prefix).iterdir():
        if path.name not in (".demo", ".dev"):
            (environment / path.name).symlink_to(path)
    for installed in (".demo", ".dev"):  # what `make` looks for
        (environment / installed).touch()
    demo = folder / "config" / "demo.yaml"
    text = demo.read_text().replace("utterances_per_session: 120", "utterances_per_session: 60")
    text = re.sub(r"^    steps: \d+", "    steps: 20", text, flags=re.MULTILINE)
    text = text.replace("warmup_steps: 100", "warmup_steps: 5")
    text = text.replace("folds: 5", "folds: 2\n  test_units: [Ses01, Ses02]")
    demo.write_text(re.sub(r"maximum_steps: \d+", "maximum_steps: 20", text))
    return folder


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders for the paths that the pages name."""
    folder = tmp_path_factory.mktemp("corpus") / "recordings"
    generator = np.random.default_rng(1)
    rows = [
        (f"s{speaker}_{take}.wav", f"s{speaker}", LABELS[take % 4], "FM"[speaker % 2])
        for speaker in range(5)
        for take in range(8)
    ]
    (folder / "labels").mkdir(parents=True)
    for name, *_ in rows:
        soundfile.write(folder / name, generator.normal(0, 0.1, 8_000), 16_000)
    header = "file,speaker,emotion,sex\n"
    (folder / "utterances.csv").write_text(header + "".join(",".join(row) + "\n" for row in rows))
    others = "Filename\tspk_id\tlabel\tsex\n"
    lines = ["\t".join(row) + "\n" for row in rows]
    lines[0] = lines[0].replace("angry", "annoyed")  # a label of the tutorial's class anger
    (folder / "labels" / "all.tsv").write_text(others + "".join(lines))
    emodb = tmp_path_factory.mktemp("emodb")
    (emodb / "03a01Fa.wav").touch()
    dataset = tmp_path_factory.mktemp("dataset")
    audio = {"bytes": (folder / rows[0][0]).read_bytes(), "path": rows[0][0]}
    columns = {"audio": [audio], "speaker_id": ["s0"], "label": ["angry"]}
    pq.write_table(pa.table(columns), dataset / "train-00000-of-00001.parquet")
    return {
        "/path/to/recordings": str(folder),
        "/path/to/dataset": str(dataset),
        "/path/to/emodb": str(emodb),
        "/path/to/IEMOCAP_full_release": "results/demo/generated",  # of its layout
    }


def test_every_command_of_the_pages(copy: Path, recordings: dict[str, str]) -> None:
    environment = {**os.environ, "PYTHONPATH": ""}
    ran = 0
    for page in PAGES:
        for text in code_blocks(page, "yaml"):
            study = yaml.safe_load(text)
            if isinstance(study, dict) and "study" in study:
                for path, folder in recordings.items():
                    text = text.replace(path, folder)
                text = text.replace("sizes: [20, 80, all]", "sizes: [20, all]")
                text += "training: {maximum_steps: 20}\n"
                (copy / "config" / "mine.yaml").write_text(text)
                shutil.rmtree(copy / "results" / "mine", ignore_errors=True)
        for command in commands(page):
            if command.startswith(tuple(NOT_RUN)):
                continue
            for path, folder in recordings.items():
                command = command.replace(path, folder)
            if any(name in command for name in PLANNED) and "--dry-run" not in command:
                command += " --dry-run"
            process = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command],
                cwd=copy,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            # Of a session of the demo, some recordings cannot be used, on purpose.
            partial = "generated/Session1 " in command and "skipped, see above" in process.stderr
            assert process.returncode == int(partial), (
                f"{page}: {command}\n{process.stderr[-3000:]}"
            )
            ran += 1
    assert ran >= 12
    assert (copy / "results" / "recordings" / "report.html").is_file()
    assert "My corpus" in (copy / "results" / "mine" / "report.html").read_text()
    assert (copy / "results" / "demo" / "report.html").is_file()
    assert (copy / "predictions.csv").read_text().count("Ses01") > 50
