"""Models of the Hugging Face hub, from a local replacement of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest

from emoscale.config.checkpoints import HubModel
from emoscale.representations.weights.fetching import fetch_checkpoint
from emoscale.representations.weights.local_checkpoint import LocalCheckpoint
from emoscale.runtime.errors import CheckpointError
from emoscale.runtime.provenance import digest
from tests.representations.weights.model_hub import COMMIT, ModelHub, serving_hub

NEEDED = {
    "config.json": b'{"model_type": "wav2vec2"}',
    "preprocessor_config.json": b"{}",
    "vocab.txt": b"[PAD]\n[UNK]\n",
    "model.safetensors": b"safe weights",
}
FILES = NEEDED | {
    "pytorch_model.bin": b"pickled weights",
    "training_args.bin": b"a pickle",
    "tf_model.h5": b"unused",
    "README.md": b"# A model",
    "onnx/model.safetensors": b"unused",
}


def set_endpoint(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the endpoint of huggingface_hub, as HF_ENDPOINT does at its import."""
    constants = huggingface_hub.constants
    path_template = constants.HUGGINGFACE_CO_URL_TEMPLATE.removeprefix(constants.ENDPOINT)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + path_template)
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelHub]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    with serving_hub(ModelHub(dict(FILES))) as hub:
        set_endpoint(hub.endpoint, monkeypatch)
        yield hub


def fetch(
    cache: Path, name: str = "lab/model", revision: str = "main", offline: bool = False
) -> LocalCheckpoint:
    return fetch_checkpoint("speech", HubModel(hub=name, revision=revision), cache, offline)


def test_necessary_files_are_downloaded_once(hub: ModelHub, tmp_path: Path) -> None:
    checkpoint = fetch(tmp_path)
    assert checkpoint.path.is_absolute()
    assert {path.name: path.read_bytes() for path in checkpoint.path.iterdir()} == NEEDED
    assert hub.downloaded_files == set(NEEDED)
    assert checkpoint.pretrained_weights == "lab/model at 0123abcd"
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in NEEDED.items()}
    assert checkpoint.sha256 == digest(digests)
    hub.requests.clear()
    assert fetch(tmp_path) == checkpoint
    assert fetch(tmp_path, offline=True) == checkpoint
    assert fetch(tmp_path, revision=COMMIT) == checkpoint
    assert hub.requests == []


def test_pickled_weights_are_the_fallback(hub: ModelHub, tmp_path: Path) -> None:
    del hub.files["model.safetensors"]
    checkpoint = fetch(tmp_path)
    assert (checkpoint.path / "pytorch_model.bin").read_bytes() == b"pickled weights"
    assert not (checkpoint.path / "training_args.bin").exists()
    hub.requests.clear()
    assert fetch(tmp_path, offline=True) == checkpoint
    assert hub.requests == []


def test_model_without_weights(hub: ModelHub, tmp_path: Path) -> None:
    del hub.files["model.safetensors"], hub.files["pytorch_model.bin"]
    with pytest.raises(CheckpointError, match=r"has no weights in a supported format"):
        fetch(tmp_path)


@pytest.mark.parametrize("missing", ["model.safetensors", "vocab.txt"])
def test_interrupted_download_is_not_used(
    hub: ModelHub, tmp_path: Path, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.drop_at = missing
    with pytest.raises(CheckpointError, match=r"lab/model on the hub cannot be reached \("):
        fetch(tmp_path)
    with pytest.raises(
        CheckpointError, match=r"lab/model \(main\) is not complete in .*run once w"
    ):
        fetch(tmp_path, offline=True)
    hub.drop_at = ""
    assert {path.name for path in fetch(tmp_path).path.iterdir()} == set(NEEDED)


def test_cache_without_its_file_listing_is_used(hub: ModelHub, tmp_path: Path) -> None:
    checkpoint = fetch(tmp_path)
    for listing in (tmp_path / "hub").rglob("trees/*.json"):
        listing.unlink()
    assert fetch(tmp_path, offline=True) == checkpoint
    (checkpoint.path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="is not complete"):
        fetch(tmp_path, offline=True)


@pytest.mark.parametrize(
    ("name", "revision", "message"),
    [
        ("lab/nothing", "main", r"lab/nothing on the hub does not exist, or is private; correct"),
        ("lab/gated", "main", r"lab/gated .* only to users who accepted its terms; accept t"),
        ("lab/model", "v9", r"lab/model on the hub has no revision v9; name a branch, tag or c"),
        ("lab/--model..", "main", r"lab/--model\.\. is not the name of a model: Repo id"),
    ],
)
def test_message_of_a_failed_download(
    hub: ModelHub, tmp_path: Path, name: str, revision: str, message: str
) -> None:
    with pytest.raises(CheckpointError, match=rf"^checkpoints\.speech: {message}") as caught:
        fetch(tmp_path, name, revision)
    assert "\n" not in str(caught.value)


def test_no_network(hub: ModelHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_endpoint("http://127.0.0.1:9", monkeypatch)
    with pytest.raises(CheckpointError, match=r"cannot be reached \(.*refused.*\); connect to a n"):
        fetch(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match=r"cannot be reached \(.*\); connect to a network"):
        fetch(tmp_path)


def test_cache_that_is_not_writable(hub: ModelHub, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(CheckpointError, match=r"Not a directory; the cache needs free space"):
        fetch(tmp_path / "cache")
