"""`scripts/fetch_checkpoint.py` writes checkpoints to the cache and records of them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emoscale.config.checkpoints import DownloadedFile, HubModel, UntrainedModel
from emoscale.representations.weights.local_checkpoint import read_checkpoint_record
from emoscale.representations.weights.resolving import find_checkpoints
from emoscale.runtime.errors import CheckpointError
from tests.conftest import PROJECT
from tests.representations.weights.file_server import FileServer, serving
from tests.representations.weights.model_hub import ModelHub, serving_hub


def run(
    folder: Path, settings: str, *options: str, **environment: str
) -> subprocess.CompletedProcess:
    program = [
        sys.executable, str(PROJECT / "scripts" / "fetch_checkpoint.py"),
        "--name", "speech", "--settings", settings, "--cache", str(folder / "cache"),
        "--output", str(folder / "results" / "speech.json"), *options,
    ]  # fmt: skip
    return subprocess.run(
        program,
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "no_proxy": "*", **environment},
    )


def test_a_file_is_downloaded_and_described(tmp_path: Path) -> None:
    content = bytes(range(256)) * 1_000
    with serving(FileServer(content)) as server:
        settings = json.dumps({"url": server.url()})
        ran = run(tmp_path, settings)
        assert ran.returncode == 0, ran.stderr
        again = run(tmp_path, settings, "--offline")
        assert (again.returncode, again.stderr) == (0, "")
        assert len(server.requests) == 1
    written = json.loads((tmp_path / "results" / "speech.json").read_text())
    sha256 = hashlib.sha256(content).hexdigest()
    (cached,) = (tmp_path / "cache").glob("*/weights.pt")
    assert cached.read_bytes() == content
    assert written == {
        "name": "speech",
        "sha256": sha256,
        "pretrained_weights": f"weights.pt, sha256 {sha256[:8]}…",
        "source": settings.replace(" ", ""),
    }


def test_a_hub_model(tmp_path: Path) -> None:
    files = {"config.json": b"{}", "model.safetensors": b"weights"}
    with serving_hub(ModelHub(files)) as hub:
        ran = run(tmp_path, '{"hub": "lab/model"}', HF_ENDPOINT=hub.endpoint, HF_HUB_OFFLINE="0")
    assert ran.returncode == 0, ran.stderr
    record = tmp_path / "results" / "speech.json"
    assert read_checkpoint_record(record).pretrained_weights == "lab/model at 0123abcd"
    (checkpoint,) = find_checkpoints(
        [record], {"speech": HubModel(hub="lab/model")}, tmp_path / "cache"
    )
    assert {path.name: path.read_bytes() for path in checkpoint.path.iterdir()} == files


UNTRAINED = UntrainedModel(untrained="wav2vec", seed=7)


def test_cached_weights_are_compared_with_the_record(tmp_path: Path) -> None:
    ran = run(tmp_path, UNTRAINED.model_dump_json(), "--offline")
    assert (ran.returncode, ran.stderr) == (0, "")
    record = tmp_path / "results" / "speech.json"
    (checkpoint,) = find_checkpoints([record], {"speech": UNTRAINED}, tmp_path / "cache")
    assert checkpoint.pretrained_weights == "untrained: random weights of seed 7"
    assert checkpoint.path.is_absolute()
    # The same checkpoint may be in another cache.
    (moved,) = find_checkpoints([record], {"speech": UNTRAINED}, tmp_path / "elsewhere")
    assert moved.sha256 == checkpoint.sha256
    assert moved.path != checkpoint.path
    checkpoint.path.write_bytes(checkpoint.path.read_bytes() + b"more")
    with pytest.raises(
        CheckpointError, match=r"checkpoints\.speech: .*when it was made or fetched; if"
    ):
        find_checkpoints([record], {"speech": UNTRAINED}, tmp_path / "cache")


def test_missing_weights_are_reported(tmp_path: Path) -> None:
    run(tmp_path, UNTRAINED.model_dump_json())
    record = tmp_path / "results" / "speech.json"
    missing = DownloadedFile(url="https://example.org/w.pt")
    with pytest.raises(CheckpointError, match=r"; to make it again, remove .*speech\.json"):
        find_checkpoints([record], {"speech": missing}, tmp_path / "cache")


def test_damaged_records_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "speech.json"
    with pytest.raises(CheckpointError, match=r"speech\.json does not exist; run again$"):
        read_checkpoint_record(path)
    for content in ("{", "[]", '{"path": "/"}', '{"name": "speech"}'):
        path.write_text(content)
        with pytest.raises(CheckpointError, match=r"speech\.json is damaged; remove it and run"):
            read_checkpoint_record(path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            '{"url": "http://127.0.0.1/w.pt"}',
            "Error: checkpoints.speech: http://127.0.0.1/w.pt is not in the cache and nothing is "
            "downloaded offline; put the file at ",
        ),
        (
            '{"hub": "lab/model"}',
            "Error: checkpoints.speech: lab/model (main) is not complete in ",
        ),
        ("{", "Error: --settings: Invalid JSON"),
    ],
)
def test_mistakes_are_reported(tmp_path: Path, settings: str, message: str) -> None:
    ran = run(tmp_path, settings, "--offline")
    assert ran.returncode == 1
    assert ran.stderr.startswith(message)
    assert ran.stderr.count("\n") == 1
    assert not (tmp_path / "results").exists()
