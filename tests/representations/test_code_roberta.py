"""RoBERTa on codes compared with fairseq (see make_code_roberta_references.py)."""

from __future__ import annotations

import argparse
import io
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emoscale.config.representations import CodeRobertaSettings, VqWav2VecSettings
from emoscale.representations.code_roberta_model import CodeRobertaModel, load_code_roberta
from emoscale.representations.contract import UtteranceFeatures
from emoscale.representations.registry import build_representation
from emoscale.runtime.errors import AudioError, CheckpointError
from tests.representations.test_acoustic import noise
from tests.representations.test_wav2vec import reference_waveform

FOLDER = Path(__file__).parent
REFERENCES = FOLDER / "code_roberta_references"
CODES = FOLDER / "wav2vec_references" / "vq_kmeans_shared.pt"


def create_model_folder(variant: str, folder: Path) -> Path:
    """Create a folder with the content of bert_kmeans.tar."""
    folder.mkdir()
    shutil.copy(REFERENCES / f"{variant}.pt", folder / "bert_kmeans.pt")
    shutil.copy(REFERENCES / "dict.txt", folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_model_folder("today", tmp_path_factory.mktemp("bert") / "kmeans")


def build(model: Path, **options: Any) -> Any:
    return build_representation(
        CodeRobertaSettings.model_validate(
            {"kind": "code_roberta", "checkpoint": str(CODES), "model": str(model), **options}
        )
    )


def extract_codes(waveform: np.ndarray) -> np.ndarray:
    representation = build_representation(
        VqWav2VecSettings(kind="vq_wav2vec", checkpoint=str(CODES))
    )
    return np.asarray(representation.extract([waveform])[0])


@torch.inference_mode()
def hidden_states(loaded: CodeRobertaModel, codes: np.ndarray) -> np.ndarray:
    """Compute ``[3, frames, 16]`` of codes ``[frames, 2]`` with the network, as one sequence."""
    numbers = [loaded.token_ids.get(f"{first}-{second}", 3) for first, second in codes]
    output = loaded.network(torch.tensor([[0, *numbers, 2]]), output_hidden_states=True)
    return np.asarray(torch.stack(output.hidden_states)[:, 0, 1:-1])


@pytest.mark.parametrize("variant", ["today", "old"])
def test_hidden_states_equal_fairseqs(variant: str, tmp_path: Path) -> None:
    expected = np.load(REFERENCES / f"{variant}.npz")["states"]
    folder = create_model_folder(variant, tmp_path / "model")
    loaded = load_code_roberta(folder)
    codes = np.load(CODES.with_suffix(".npz"))["codes"]
    unknown = [f"{first}-{second}" not in loaded.token_ids for first, second in codes]
    assert sum(unknown) == 2  # so <unk> is compared as well
    states = hidden_states(loaded, codes)
    assert expected.std(axis=(1, 2)).min() > 0.5
    np.testing.assert_allclose(states, expected, atol=1e-5, rtol=0)
    (features,) = build(folder, layer="all").extract([reference_waveform()])
    np.testing.assert_allclose(features.frames.astype(float), expected, atol=0.003)


def test_representation_attributes_and_frames(model: Path) -> None:
    representation = build(model)
    assert (representation.modality, representation.dimension, representation.frame_rate) == (
        "audio",
        16,
        100.0,
    )
    (features,) = representation.extract([reference_waveform()])
    expected = np.load(REFERENCES / "today.npz")["states"]
    assert isinstance(features, UtteranceFeatures)
    assert features.frames.dtype == np.dtype(representation.dtype) == np.float16
    assert features.chunks == 1
    np.testing.assert_allclose(features.frames.astype(float), expected[-1], atol=0.003)
    with pytest.raises(AudioError, match="464 samples are fewer than the 465 of one frame"):
        representation.extract([noise(464 / 16_000)])


def test_layers(model: Path) -> None:
    all_layers = build(model, layer="all")
    assert all_layers.layers == (0, 1, 2)
    frames = all_layers.extract([reference_waveform()])[0].frames
    two_layers = build(model, layer=[-1, 0])
    assert two_layers.layers == (0, 2)
    assert np.array_equal(two_layers.extract([reference_waveform()])[0].frames, frames[[0, 2]])
    one_layer = build(model, layer=1)
    assert not one_layer.layers
    assert np.array_equal(one_layer.extract([reference_waveform()])[0].frames, frames[1])
    with pytest.raises(CheckpointError, match="has the hidden states 0 to 2; there is no layer 3"):
        build(model, layer=3)


def test_long_utterances_are_computed_in_chunks(model: Path) -> None:
    loaded = load_code_roberta(model)
    assert loaded.max_tokens == 32
    waveform = noise(1.0)
    codes = extract_codes(waveform)
    assert len(codes) == 98
    starts = [0, 15, 30, 45, 60, 68]
    chunk_states = {start: hidden_states(loaded, codes[start : start + 30]) for start in starts}
    expected = np.empty((3, 98, 16))
    for frame in range(98):
        start = min(starts, key=lambda start: abs(frame - (start + 14.5)))
        expected[:, frame] = chunk_states[start][:, frame - start]
    (features,) = build(model, layer="all").extract([waveform])
    assert features.chunks == 6
    np.testing.assert_allclose(features.frames.astype(float), expected, atol=0.003)


@settings(max_examples=8)
@given(lengths=st.lists(st.integers(465, 9_000), min_size=1, max_size=4))
def test_features_are_independent_of_the_batch(model: Path, lengths: list[int]) -> None:
    representation = build(model)
    batch = [noise(length / 16_000, seed) for seed, length in enumerate(lengths)]
    for waveform, features in zip(batch, representation.extract(batch), strict=True):
        assert np.array_equal(features.frames, representation.extract([waveform])[0].frames)


def test_precision(model: Path) -> None:
    exact = build(model).extract([reference_waveform()])[0].frames.astype(float)
    rounded = build(model, precision="bfloat16").extract([reference_waveform()])[0].frames
    error = np.linalg.norm(rounded - exact) / np.linalg.norm(exact)
    assert 1e-4 < error < 0.02


@pytest.mark.parametrize(("name", "mode"), [("bert.tar", "w"), ("bert.tar.gz", "w:gz")])
def test_archive_equals_its_folder(model: Path, tmp_path: Path, name: str, mode: Any) -> None:
    with tarfile.open(tmp_path / name, mode) as archive:
        archive.add(model, "../../bert_kmeans")
    packed, unpacked = build(tmp_path / name), build(model)
    assert packed.checkpoint_sha256 == unpacked.checkpoint_sha256
    assert np.array_equal(
        packed.extract([reference_waveform()])[0].frames,
        unpacked.extract([reference_waveform()])[0].frames,
    )
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_digest_depends_on_codes_checkpoint_and_dictionary(model: Path, tmp_path: Path) -> None:
    digests = {build(model).checkpoint_sha256}
    digests.add(build(create_model_folder("old", tmp_path / "other")).checkpoint_sha256)
    shorter = create_model_folder("today", tmp_path / "shorter")
    lines = (shorter / "dict.txt").read_text().splitlines()
    (shorter / "dict.txt").write_text("\n".join(lines[:-1]))
    digests.add(build(shorter).checkpoint_sha256)
    codes = FOLDER / "wav2vec_references" / "vq_kmeans.pt"
    digests.add(build(model, checkpoint=str(codes)).checkpoint_sha256)
    assert len(digests) == 4


def without_dictionary(folder: Path) -> None:
    (folder / "dict.txt").unlink()


def with_two_checkpoints(folder: Path) -> None:
    shutil.copy(folder / "bert_kmeans.pt", folder / "second.pt")


def with_truncated_dictionary(folder: Path) -> None:
    lines = (folder / "dict.txt").read_text().splitlines()
    (folder / "dict.txt").write_text("\n".join(lines[:200]))


def with_repeated_line(folder: Path) -> None:
    lines = (folder / "dict.txt").read_text().splitlines()
    (folder / "dict.txt").write_text("\n".join([*lines[:-1], lines[0]]))


def with_binary_dictionary(folder: Path) -> None:
    (folder / "dict.txt").write_bytes(b"\xff\xfe 3\n")


def with_unrelated_dictionary(folder: Path) -> None:
    lines = [f"word{number} 3" for number in range(320)]
    (folder / "dict.txt").write_text("\n".join(lines))


def with_truncated_checkpoint(folder: Path) -> None:
    content = (folder / "bert_kmeans.pt").read_bytes()
    (folder / "bert_kmeans.pt").write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_dictionary, r"and dict.txt, but contains bert_kmeans\.pt"),
        (with_two_checkpoints, r"contains bert_kmeans\.pt, second\.pt, dict\.txt"),
        (with_truncated_dictionary, r"has 325 symbols, but dict\.txt has 204; use the dictionary"),
        (with_repeated_line, "line 320 of dict.txt is not a new symbol and its count: '0-1 1000'"),
        (with_binary_dictionary, "dict.txt is not UTF-8"),
        (
            with_unrelated_dictionary,
            "its dictionary has no symbols of 2 codes below 20 joined by hyph",
        ),
        (with_truncated_checkpoint, r"bert_kmeans\.pt is (damaged|refused)"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_damaged_models_are_refused(
    tmp_path: Path, damage: Callable[[Path], None], message: str, packed: bool
) -> None:
    folder = create_model_folder("today", tmp_path / "model")
    damage(folder)
    if packed:
        with tarfile.open(tmp_path / "model.tar", "w") as archive:
            archive.add(folder, "model")
        folder = tmp_path / "model.tar"
    with pytest.raises(CheckpointError, match=message) as caught:
        build(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


Change = Callable[[dict[str, Any]], object]


def arguments_of(content: dict[str, Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = vars(content["args"])
    return arguments


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda c: c["model"].pop("decoder.sentence_encoder.layers.1.fc1.bias"),
            "another architecture: it lacks encoder.layer.1.intermediate.dense.bias",
        ),
        (lambda c: c["model"].update(extra=torch.zeros(1)), "it has extra, which its"),
        (lambda c: arguments_of(c).update(encoder_layers=3), r"it lacks encoder\.layer\.2"),
        (lambda c: arguments_of(c).update(tokens_per_sample=40), "position_embeddings.weight of"),
        (lambda c: arguments_of(c).update(encoder_attention_heads=3), "not supported"),
        (lambda c: arguments_of(c).update(activation_fn="swish"), "activation_fn swish"),
        (lambda c: arguments_of(c).update(no_scale_embedding=False), "scales its embeddings"),
        (
            lambda c: c["model"].update(
                {"decoder.sentence_encoder.layer_norm.weight": torch.zeros(16)}
            ),
            "has the layer norm before each layer",
        ),
        (lambda c: c.update(model={"feature": torch.zeros(1)}), "it has no encoder"),
    ],
)
def test_other_architectures_are_refused(tmp_path: Path, change: Change, message: str) -> None:
    folder = create_model_folder("old", tmp_path / "model")
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = torch.load(folder / "bert_kmeans.pt", weights_only=True)
    change(content)
    torch.save(content, folder / "bert_kmeans.pt")
    with pytest.raises(CheckpointError, match=message) as caught:
        build(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_not_models(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist; download it"):
        build(tmp_path / "none.tar")
    (tmp_path / "text.tar").write_text("not an archive")
    with pytest.raises(CheckpointError, match="is damaged or not an archive"):
        build(tmp_path / "text.tar")
    with pytest.raises(CheckpointError, match=r"is damaged or not an archive.*or name a folder"):
        build(REFERENCES / "today.pt")
    folder = create_model_folder("today", tmp_path / "model")
    for name in ("cut.tar", "cut.tar.gz"):
        complete = io.BytesIO()
        with tarfile.open(fileobj=complete, mode="w:gz" if name.endswith("gz") else "w") as archive:
            archive.add(folder, "model")
        (tmp_path / name).write_bytes(complete.getvalue()[: len(complete.getvalue()) // 2])
        with pytest.raises(
            CheckpointError, match=r"is (damaged|refused)|must contain one checkpoint"
        ):
            build(tmp_path / name)


def test_symbolic_links_in_an_archive_are_ignored(tmp_path: Path) -> None:
    folder = create_model_folder("today", tmp_path / "model")
    (folder / "dict.txt").unlink()
    (folder / "dict.txt").symlink_to("/etc/hostname")
    with tarfile.open(tmp_path / "model.tar", "w") as archive:
        archive.add(folder, "model")
    with pytest.raises(CheckpointError, match=r"but contains bert_kmeans\.pt$"):
        build(tmp_path / "model.tar")


class Malicious:
    """Object whose unpickling executes code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("pwned",)


def test_malicious_pickle_in_an_archive_is_not_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = create_model_folder("today", tmp_path / "model")
    torch.save({"args": Malicious(), "model": {}}, folder / "bert_kmeans.pt")
    with tarfile.open("model.tar", "w") as archive:
        archive.add(folder, "model")
    with pytest.raises(
        CheckpointError, match=r"model\.tar/bert_kmeans\.pt is refused: it contains"
    ):
        build(tmp_path / "model.tar")
    assert not Path("pwned").exists()
