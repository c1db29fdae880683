"""scripts/fetch_checkpoint.py, as a workflow and as a person run it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emoscale.errors import CheckpointError
from emoscale.weights.origin import read_origin
from tests.conftest import PROJECT
from tests.weights.file_server import FileServer, serving
from tests.weights.model_hub import ModelHub, serving_hub


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
    assert Path(written["path"]).read_bytes() == content
    assert written == {
        "name": "speech",
        "path": written["path"],
        "sha256": sha256,
        "weights": f"weights.pt, sha256 {sha256[:8]}…",
        "settings": {"url": server.url(), "sha256": None},
    }


def test_a_model_of_the_hub(tmp_path: Path) -> None:
    files = {"config.json": b"{}", "model.safetensors": b"weights"}
    with serving_hub(ModelHub(files)) as hub:
        ran = run(tmp_path, '{"hub": "lab/model"}', HF_ENDPOINT=hub.endpoint, HF_HUB_OFFLINE="0")
    assert ran.returncode == 0, ran.stderr
    origin = read_origin(tmp_path / "results" / "speech.json")
    assert origin.weights == "lab/model at 0123abcd"
    assert {path.name: path.read_bytes() for path in origin.path.iterdir()} == files


def test_an_untrained_model_says_so(tmp_path: Path) -> None:
    ran = run(tmp_path, '{"untrained": "wav2vec", "seed": 7}', "--offline")
    assert (ran.returncode, ran.stderr) == (0, "")
    path = tmp_path / "results" / "speech.json"
    origin = read_origin(path)
    assert origin.weights == "untrained: random weights of seed 7"
    assert origin.settings == {"untrained": "wav2vec", "seed": 7}
    assert origin.path.is_absolute()
    origin.path.unlink()
    with pytest.raises(
        CheckpointError,
        match=r"^the weights of checkpoints\.speech are no longer at .*wav2vec\.pt; remove .*"
        r"speech\.json and run again$",
    ):
        read_origin(path)


def test_what_was_not_written_whole_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "speech.json"
    with pytest.raises(CheckpointError, match=r"speech\.json does not exist; run again$"):
        read_origin(path)
    for content in ("{", "[]", '{"path": "/"}', '{"name": "speech"}'):
        path.write_text(content)
        with pytest.raises(CheckpointError, match=r"speech\.json is damaged; remove it and run"):
            read_origin(path)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            '{"url": "http://127.0.0.1/w.pt"}',
            "Error: checkpoints.speech: http://127.0.0.1/w.pt is not in the cache and nothing is "
            "downloaded offline; put the file at ",
        ),
        (
            '{"hub": "lab/model"}',
            "Error: checkpoints.speech: lab/model (main) is not whole in ",
        ),
        ("{", "Error: --settings: Invalid JSON"),
    ],
)
def test_a_mistake_is_a_sentence(tmp_path: Path, settings: str, sentence: str) -> None:
    ran = run(tmp_path, settings, "--offline")
    assert ran.returncode == 1
    assert ran.stderr.startswith(sentence)
    assert ran.stderr.count("\n") == 1
    assert not (tmp_path / "results").exists()
