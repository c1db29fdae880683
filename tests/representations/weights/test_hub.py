"""Models of the hub, from a local stand-in for it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest

from emoscale.config.checkpoints import HubModel
from emoscale.representations.weights.fetching import fetch_checkpoint
from emoscale.representations.weights.origin import Origin
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
    "tf_model.h5": b"others",
    "README.md": b"# A model",
    "onnx/model.safetensors": b"others",
}


def at(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let huggingface_hub ask `endpoint`, as HF_ENDPOINT does at its import."""
    constants = huggingface_hub.constants
    rest = constants.HUGGINGFACE_CO_URL_TEMPLATE.removeprefix(constants.ENDPOINT)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + rest)
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelHub]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    with serving_hub(ModelHub(dict(FILES))) as made:
        at(made.endpoint, monkeypatch)
        yield made


def fetch(
    cache: Path, name: str = "lab/model", revision: str = "main", offline: bool = False
) -> Origin:
    return fetch_checkpoint("speech", HubModel(hub=name, revision=revision), cache, offline)


def test_what_is_needed_is_downloaded_once(hub: ModelHub, tmp_path: Path) -> None:
    made = fetch(tmp_path)
    assert made.path.is_absolute()
    assert {path.name: path.read_bytes() for path in made.path.iterdir()} == NEEDED
    assert hub.downloaded == set(NEEDED)
    assert made.weights == "lab/model at 0123abcd"
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in NEEDED.items()}
    assert made.sha256 == digest(digests)
    hub.requests.clear()
    assert fetch(tmp_path) == made
    assert fetch(tmp_path, offline=True) == made
    assert fetch(tmp_path, revision=COMMIT) == made
    assert hub.requests == []


def test_pickled_weights_only_where_there_are_no_others(hub: ModelHub, tmp_path: Path) -> None:
    del hub.files["model.safetensors"]
    made = fetch(tmp_path)
    assert (made.path / "pytorch_model.bin").read_bytes() == b"pickled weights"
    assert not (made.path / "training_args.bin").exists()
    hub.requests.clear()
    assert fetch(tmp_path, offline=True) == made
    assert hub.requests == []


def test_a_model_without_weights(hub: ModelHub, tmp_path: Path) -> None:
    del hub.files["model.safetensors"], hub.files["pytorch_model.bin"]
    with pytest.raises(CheckpointError, match=r"has no weights that can be read"):
        fetch(tmp_path)


@pytest.mark.parametrize("missing", ["model.safetensors", "vocab.txt"])
def test_a_download_that_broke_off_is_not_taken(
    hub: ModelHub, tmp_path: Path, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.drop_at = missing
    with pytest.raises(CheckpointError, match=r"lab/model on the hub cannot be reached \("):
        fetch(tmp_path)
    with pytest.raises(CheckpointError, match=r"lab/model \(main\) is not whole in .*run once w"):
        fetch(tmp_path, offline=True)
    hub.drop_at = ""
    assert {path.name for path in fetch(tmp_path).path.iterdir()} == set(NEEDED)


def test_a_cache_that_was_copied_without_its_listing_is_used(hub: ModelHub, tmp_path: Path) -> None:
    made = fetch(tmp_path)
    for listing in (tmp_path / "hub").rglob("trees/*.json"):
        listing.unlink()
    assert fetch(tmp_path, offline=True) == made
    (made.path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="is not whole"):
        fetch(tmp_path, offline=True)


@pytest.mark.parametrize(
    ("name", "revision", "sentence"),
    [
        ("lab/nothing", "main", r"lab/nothing on the hub does not exist, or is private; mend"),
        ("lab/gated", "main", r"lab/gated .* only to those who accepted its terms; accept them"),
        ("lab/model", "v9", r"lab/model on the hub has no revision v9; name a branch, tag or c"),
        ("lab/--model..", "main", r"lab/--model\.\. is no name of a model: Repo id"),
    ],
)
def test_what_cannot_be_had_is_one_sentence(
    hub: ModelHub, tmp_path: Path, name: str, revision: str, sentence: str
) -> None:
    with pytest.raises(CheckpointError, match=rf"^checkpoints\.speech: {sentence}") as caught:
        fetch(tmp_path, name, revision)
    assert "\n" not in str(caught.value)


def test_no_network(hub: ModelHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at("http://127.0.0.1:9", monkeypatch)
    with pytest.raises(CheckpointError, match=r"cannot be reached \(.*refused.*\); connect to a n"):
        fetch(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match=r"cannot be reached \(.*\); connect to a network"):
        fetch(tmp_path)


def test_a_cache_that_cannot_be_written(hub: ModelHub, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(CheckpointError, match=r"Not a directory; the cache needs room"):
        fetch(tmp_path / "cache")
