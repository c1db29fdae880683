"""RoBERTa over codes, against fairseq's numbers (see make_code_roberta_references.py)."""

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
from emoscale.representations.contract import Extracted
from emoscale.representations.registry import build_representation
from emoscale.runtime.errors import AudioError, CheckpointError
from tests.representations.test_acoustic import noise
from tests.representations.test_wav2vec import reference_waveform

HERE = Path(__file__).parent
REFERENCES = HERE / "code_roberta_references"
CODES = HERE / "wav2vec_references" / "vq_kmeans_shared.pt"


def folder_of(variant: str, place: Path) -> Path:
    """What is in bert_kmeans.tar, as a folder."""
    place.mkdir()
    shutil.copy(REFERENCES / f"{variant}.pt", place / "bert_kmeans.pt")
    shutil.copy(REFERENCES / "dict.txt", place)
    return place


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of("today", tmp_path_factory.mktemp("bert") / "kmeans")


def build(model: Path, **options: Any) -> Any:
    return build_representation(
        CodeRobertaSettings.model_validate(
            {"kind": "code_roberta", "checkpoint": str(CODES), "model": str(model), **options}
        )
    )


def codes_of(waveform: np.ndarray) -> np.ndarray:
    made = build_representation(VqWav2VecSettings(kind="vq_wav2vec", checkpoint=str(CODES)))
    return np.asarray(made.extract([waveform])[0])


@torch.inference_mode()
def hidden_states(loaded: CodeRobertaModel, codes: np.ndarray) -> np.ndarray:
    """[3, T, 16] of codes [T, 2] by the network as it is, as one sequence."""
    numbers = [loaded.symbols.get(f"{first}-{second}", 3) for first, second in codes]
    output = loaded.network(torch.tensor([[0, *numbers, 2]]), output_hidden_states=True)
    return np.asarray(torch.stack(output.hidden_states)[:, 0, 1:-1])


@pytest.mark.parametrize("variant", ["today", "old"])
def test_every_hidden_state_is_fairseqs(variant: str, tmp_path: Path) -> None:
    expected = np.load(REFERENCES / f"{variant}.npz")["states"]
    folder = folder_of(variant, tmp_path / "model")
    loaded = load_code_roberta(folder)
    codes = np.load(CODES.with_suffix(".npz"))["codes"]
    unknown = [f"{first}-{second}" not in loaded.symbols for first, second in codes]
    assert sum(unknown) == 2  # so <unk> is compared too
    states = hidden_states(loaded, codes)
    assert expected.std(axis=(1, 2)).min() > 0.5
    np.testing.assert_allclose(states, expected, atol=1e-5, rtol=0)
    (features,) = build(folder, layer="all").extract([reference_waveform()])
    np.testing.assert_allclose(features.frames.astype(float), expected, atol=0.003)


def test_as_a_representation(model: Path) -> None:
    made = build(model)
    assert (made.modality, made.dimension, made.frame_rate) == ("audio", 16, 100.0)
    (features,) = made.extract([reference_waveform()])
    expected = np.load(REFERENCES / "today.npz")["states"]
    assert isinstance(features, Extracted)
    assert features.frames.dtype == np.dtype(made.dtype) == np.float16
    assert features.chunks == 1
    np.testing.assert_allclose(features.frames.astype(float), expected[-1], atol=0.003)
    with pytest.raises(AudioError, match="464 samples are fewer than the 465 of one frame"):
        made.extract([noise(464 / 16_000)])


def test_layers(model: Path) -> None:
    every = build(model, layer="all")
    assert every.layers == (0, 1, 2)
    frames = every.extract([reference_waveform()])[0].frames
    some = build(model, layer=[-1, 0])
    assert some.layers == (0, 2)
    assert np.array_equal(some.extract([reference_waveform()])[0].frames, frames[[0, 2]])
    one = build(model, layer=1)
    assert not one.layers
    assert np.array_equal(one.extract([reference_waveform()])[0].frames, frames[1])
    with pytest.raises(CheckpointError, match="has the hidden states 0 to 2; layer 3 is none"):
        build(model, layer=3)


def test_long_utterances_are_computed_in_windows(model: Path) -> None:
    loaded = load_code_roberta(model)
    assert loaded.longest == 32
    waveform = noise(1.0)
    codes = codes_of(waveform)
    assert len(codes) == 98
    starts = [0, 15, 30, 45, 60, 68]
    parts = {start: hidden_states(loaded, codes[start : start + 30]) for start in starts}
    expected = np.empty((3, 98, 16))
    for frame in range(98):
        start = min(starts, key=lambda start: abs(frame - (start + 14.5)))
        expected[:, frame] = parts[start][:, frame - start]
    (features,) = build(model, layer="all").extract([waveform])
    assert features.chunks == 6
    np.testing.assert_allclose(features.frames.astype(float), expected, atol=0.003)


@settings(max_examples=8)
@given(lengths=st.lists(st.integers(465, 9_000), min_size=1, max_size=4))
def test_an_utterance_does_not_depend_on_its_batch(model: Path, lengths: list[int]) -> None:
    made = build(model)
    batch = [noise(length / 16_000, seed) for seed, length in enumerate(lengths)]
    for waveform, features in zip(batch, made.extract(batch), strict=True):
        assert np.array_equal(features.frames, made.extract([waveform])[0].frames)


def test_precision(model: Path) -> None:
    exact = build(model).extract([reference_waveform()])[0].frames.astype(float)
    rounded = build(model, precision="bfloat16").extract([reference_waveform()])[0].frames
    error = np.linalg.norm(rounded - exact) / np.linalg.norm(exact)
    assert 1e-4 < error < 0.02


@pytest.mark.parametrize(("name", "mode"), [("bert.tar", "w"), ("bert.tar.gz", "w:gz")])
def test_an_archive_is_what_its_folder_is(
    model: Path, tmp_path: Path, name: str, mode: Any
) -> None:
    with tarfile.open(tmp_path / name, mode) as archive:
        archive.add(model, "../../bert_kmeans")
    packed, unpacked = build(tmp_path / name), build(model)
    assert packed.checkpoint_sha256 == unpacked.checkpoint_sha256
    assert np.array_equal(
        packed.extract([reference_waveform()])[0].frames,
        unpacked.extract([reference_waveform()])[0].frames,
    )
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_digest_is_of_codes_checkpoint_and_dictionary(model: Path, tmp_path: Path) -> None:
    digests = {build(model).checkpoint_sha256}
    digests.add(build(folder_of("old", tmp_path / "other")).checkpoint_sha256)
    shorter = folder_of("today", tmp_path / "shorter")
    lines = (shorter / "dict.txt").read_text().splitlines()
    (shorter / "dict.txt").write_text("\n".join(lines[:-1]))
    digests.add(build(shorter).checkpoint_sha256)
    codes = HERE / "wav2vec_references" / "vq_kmeans.pt"
    digests.add(build(model, checkpoint=str(codes)).checkpoint_sha256)
    assert len(digests) == 4


def without_dictionary(folder: Path) -> None:
    (folder / "dict.txt").unlink()


def with_two_checkpoints(folder: Path) -> None:
    shutil.copy(folder / "bert_kmeans.pt", folder / "second.pt")


def with_a_truncated_dictionary(folder: Path) -> None:
    lines = (folder / "dict.txt").read_text().splitlines()
    (folder / "dict.txt").write_text("\n".join(lines[:200]))


def with_a_line_twice(folder: Path) -> None:
    lines = (folder / "dict.txt").read_text().splitlines()
    (folder / "dict.txt").write_text("\n".join([*lines[:-1], lines[0]]))


def with_bytes_in_the_dictionary(folder: Path) -> None:
    (folder / "dict.txt").write_bytes(b"\xff\xfe 3\n")


def with_words_in_the_dictionary(folder: Path) -> None:
    lines = [f"word{number} 3" for number in range(320)]
    (folder / "dict.txt").write_text("\n".join(lines))


def with_a_truncated_checkpoint(folder: Path) -> None:
    content = (folder / "bert_kmeans.pt").read_bytes()
    (folder / "bert_kmeans.pt").write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (without_dictionary, r"and dict.txt, and of these has bert_kmeans\.pt"),
        (with_two_checkpoints, r"has bert_kmeans\.pt, second\.pt, dict\.txt"),
        (with_a_truncated_dictionary, r"knows 325 symbols and dict\.txt 204; take the dictionary"),
        (with_a_line_twice, "line 320 of dict.txt is not a new symbol and its count: '0-1 1000'"),
        (with_bytes_in_the_dictionary, "dict.txt is not text"),
        (with_words_in_the_dictionary, "its dictionary has no 2 codes below 20 joined by hyphens"),
        (with_a_truncated_checkpoint, r"bert_kmeans\.pt is (damaged|refused)"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_damaged_models_are_refused(
    tmp_path: Path, spoil: Callable[[Path], None], sentence: str, packed: bool
) -> None:
    folder = folder_of("today", tmp_path / "model")
    spoil(folder)
    if packed:
        with tarfile.open(tmp_path / "model.tar", "w") as archive:
            archive.add(folder, "model")
        folder = tmp_path / "model.tar"
    with pytest.raises(CheckpointError, match=sentence) as caught:
        build(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


Change = Callable[[dict[str, Any]], object]


def arguments_of(content: dict[str, Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = vars(content["args"])
    return arguments


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda c: c["model"].pop("decoder.sentence_encoder.layers.1.fc1.bias"),
            "another architecture: it lacks encoder.layer.1.intermediate.dense.bias",
        ),
        (lambda c: c["model"].update(extra=torch.zeros(1)), "it has extra, which its"),
        (lambda c: arguments_of(c).update(encoder_layers=3), r"it lacks encoder\.layer\.2"),
        (lambda c: arguments_of(c).update(tokens_per_sample=40), "position_embeddings.weight of"),
        (lambda c: arguments_of(c).update(encoder_attention_heads=3), "not understood"),
        (lambda c: arguments_of(c).update(activation_fn="swish"), "activation_fn swish"),
        (lambda c: arguments_of(c).update(no_scale_embedding=False), "scales its embeddings"),
        (
            lambda c: c["model"].update(
                {"decoder.sentence_encoder.layer_norm.weight": torch.zeros(16)}
            ),
            "normalises before each layer",
        ),
        (lambda c: c.update(model={"feature": torch.zeros(1)}), "it has no encoder"),
    ],
)
def test_other_networks_are_refused(tmp_path: Path, change: Change, sentence: str) -> None:
    folder = folder_of("old", tmp_path / "model")
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = torch.load(folder / "bert_kmeans.pt", weights_only=True)
    change(content)
    torch.save(content, folder / "bert_kmeans.pt")
    with pytest.raises(CheckpointError, match=sentence) as caught:
        build(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist; download it"):
        build(tmp_path / "none.tar")
    (tmp_path / "text.tar").write_text("not an archive")
    with pytest.raises(CheckpointError, match="is damaged or no archive"):
        build(tmp_path / "text.tar")
    with pytest.raises(CheckpointError, match=r"is damaged or no archive.*or name a folder"):
        build(REFERENCES / "today.pt")
    folder = folder_of("today", tmp_path / "model")
    for name in ("cut.tar", "cut.tar.gz"):
        whole = io.BytesIO()
        with tarfile.open(fileobj=whole, mode="w:gz" if name.endswith("gz") else "w") as archive:
            archive.add(folder, "model")
        (tmp_path / name).write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
        with pytest.raises(CheckpointError, match=r"is (damaged|refused)|must hold one checkpoint"):
            build(tmp_path / name)


def test_links_in_an_archive_are_not_followed(tmp_path: Path) -> None:
    folder = folder_of("today", tmp_path / "model")
    (folder / "dict.txt").unlink()
    (folder / "dict.txt").symlink_to("/etc/hostname")
    with tarfile.open(tmp_path / "model.tar", "w") as archive:
        archive.add(folder, "model")
    with pytest.raises(CheckpointError, match=r"and of these has bert_kmeans\.pt$"):
        build(tmp_path / "model.tar")


class Malicious:
    """What a stranger's pickle may hold."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("pwned",)


def test_a_malicious_pickle_in_an_archive_is_refused_and_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = folder_of("today", tmp_path / "model")
    torch.save({"args": Malicious(), "model": {}}, folder / "bert_kmeans.pt")
    with tarfile.open("model.tar", "w") as archive:
        archive.add(folder, "model")
    with pytest.raises(CheckpointError, match=r"model\.tar/bert_kmeans\.pt is refused: it holds"):
        build(tmp_path / "model.tar")
    assert not Path("pwned").exists()
