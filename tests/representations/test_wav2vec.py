"""wav2vec compared with fairseq (see make_wav2vec_references.py), and malicious checkpoints."""

from __future__ import annotations

import argparse
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emoscale.config.representations import Wav2VecSettings
from emoscale.representations import wav2vec, wav2vec_long
from emoscale.representations.fairseq_checkpoints import load_fairseq_checkpoint, load_weights
from emoscale.representations.registry import build_representation
from emoscale.representations.wav2vec import Wav2VecFeatures
from emoscale.representations.wav2vec_model import (
    ArchitectureError,
    Wav2Vec,
    Wav2VecArchitecture,
    parse_layers,
)
from emoscale.runtime.errors import AudioError, CheckpointError
from tests.representations.test_acoustic import noise

REFERENCES = Path(__file__).parent / "wav2vec_references"
VARIANTS = sorted(path.stem for path in REFERENCES.glob("*.pt") if not path.stem.startswith("vq_"))


def reference_waveform() -> np.ndarray:
    return np.random.default_rng(5).normal(0.0, 0.1, 4_000).astype(np.float32)


def load_model(path: Path) -> Wav2Vec:
    checkpoint = load_fairseq_checkpoint(path)
    model = Wav2Vec(Wav2VecArchitecture.from_arguments(checkpoint.arguments))
    load_weights(model, checkpoint, ("wav2vec_predictions.",))
    return model.eval()


def test_every_flag_has_a_reference() -> None:
    assert VARIANTS == ["gelu", "large", "no_bias", "plain", "skip_feat", "widening", "zero_pad"]


@pytest.mark.parametrize("variant", VARIANTS)
@torch.inference_mode()
def test_z_and_c_equal_fairseqs(variant: str) -> None:
    model = load_model(REFERENCES / f"{variant}.pt")
    expected = np.load(REFERENCES / f"{variant}.npz")
    z = model.encode(torch.from_numpy(reference_waveform())[None])
    c = model.contextualise(z)
    for ours, theirs in ((z, expected["z"]), (c, expected["c"])):
        assert theirs.std() > 0.05
        np.testing.assert_allclose(ours[0].T.numpy(), theirs, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_architecture_of_the_public_model() -> None:
    arguments = {"log_compression": True, "skip_connections_agg": True, "residual_scale": 0.5}
    model = Wav2Vec(Wav2VecArchitecture.from_arguments(arguments))
    assert sum(parameter.numel() for parameter in model.parameters()) == 29_390_848
    assert model.architecture.hop_samples == 160
    assert model.architecture.minimum_samples == 465
    for samples in (465, 624, 625, 10_000):
        frames = model.encode(torch.randn(1, samples)).shape
        assert frames == (1, 512, (samples - 465) // 160 + 1)


@pytest.mark.parametrize("output", ["z", "c"])
def test_representation_attributes_and_frames(output: str) -> None:
    path = REFERENCES / "large.pt"
    representation = build_representation(
        Wav2VecSettings.model_validate(
            {"kind": "wav2vec", "checkpoint": str(path), "output": output}
        )
    )
    assert (representation.dimension, representation.frame_rate) == (8, 100.0)
    (frames,) = representation.extract([reference_waveform()])
    expected = np.load(REFERENCES / "large.npz")[output]
    assert frames.dtype == np.float16
    np.testing.assert_allclose(frames.astype(float), expected, atol=0.003)
    with pytest.raises(AudioError, match="464 samples are fewer than the 465 of one frame"):
        representation.extract([noise(464 / 16_000)])


def build(variant: str, output: str = "c", **options: Any) -> Wav2VecFeatures:
    representation = build_representation(
        Wav2VecSettings.model_validate(
            {
                "kind": "wav2vec",
                "checkpoint": str(REFERENCES / f"{variant}.pt"),
                "output": output,
                "storage_dtype": "float32",
                **options,
            }
        )
    )
    assert isinstance(representation, Wav2VecFeatures)
    return representation


def relative_error(actual: Any, expected: Any) -> float:
    """Relative error in the Euclidean norm over the whole array."""
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


@settings(max_examples=25)
@given(
    lengths=st.lists(st.integers(465, 6_000), min_size=1, max_size=4),
    variant=st.sampled_from([name for name in VARIANTS if name != "skip_feat"]),
    output=st.sampled_from(["z", "c"]),
)
def test_frames_are_independent_of_the_batch(lengths: list[int], variant: str, output: str) -> None:
    representation = build(variant, output)
    batch = [noise(length / 16_000, seed) for seed, length in enumerate(lengths)]
    for waveform, frames in zip(batch, representation.extract(batch), strict=True):
        (single,) = representation.extract([waveform])
        assert frames.shape == single.shape
        assert relative_error(frames, single) < 1e-5


@pytest.mark.parametrize("output", ["z", "c"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_computation_in_blocks_gives_the_same_frames(
    variant: str, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    representation, waveform = build(variant, output), noise(2.03)
    (expected,) = representation.extract([waveform])
    monkeypatch.setattr(wav2vec, "LONG_SECONDS", 1.0)
    for block_frames in (7, 50, 100_000):
        monkeypatch.setattr(wav2vec_long, "_BLOCK_FRAMES", block_frames)
        (frames,) = representation.extract([waveform])
        assert frames.shape == expected.shape
        assert relative_error(frames, expected) < 1e-5


def test_error_of_bfloat16() -> None:
    waveform = reference_waveform()
    exact = build("large").extract([waveform])[0]
    (frames,) = build("large", precision="bfloat16").extract([waveform])
    assert 1e-4 < relative_error(frames, exact) < 0.05


class Malicious:
    """Object whose unpickling executes code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("pwned",)


def test_malicious_pickle_is_not_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open("bad.pt", "wb") as file:
        pickle.dump({"args": Malicious(), "model": {}}, file, protocol=2)
    torch.save({"args": Malicious(), "model": {}}, "worse.pt")
    for name in ("bad.pt", "worse.pt"):
        with pytest.raises(CheckpointError, match=f"{name} is refused|{name} is damaged"):
            load_fairseq_checkpoint(name)
    assert not Path("pwned").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"model": {}}, "is not a fairseq checkpoint"),
        ([1, 2], "is not a fairseq checkpoint"),
        ({"args": argparse.Namespace(a=1), "model": {}}, "is not a fairseq checkpoint"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=message):
        load_fairseq_checkpoint(tmp_path / "other.pt")


def test_missing_truncated_and_empty_files(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        load_fairseq_checkpoint(tmp_path / "no.pt")
    content = (REFERENCES / "plain.pt").read_bytes()
    for length in (0, 10, len(content) // 2, len(content) - 10):
        (tmp_path / "cut.pt").write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=r"cut\.pt is (damaged|refused)"):
            load_fairseq_checkpoint(tmp_path / "cut.pt")


def load_content() -> dict[str, Any]:
    with torch.serialization.safe_globals([argparse.Namespace]):
        content: dict[str, Any] = torch.load(REFERENCES / "plain.pt", weights_only=True)
    return content


def settings_of_changed_checkpoint(tmp_path: Path, **flags: Any) -> Wav2VecSettings:
    content = load_content()
    for name, value in flags.items():
        setattr(content["args"], name, value)
    torch.save(content, tmp_path / "changed.pt")
    return Wav2VecSettings(kind="wav2vec", checkpoint=str(tmp_path / "changed.pt"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"conv_aggregator_layers": "[(8, 2, 1)]"}, "its architecture does not"),
        ({"conv_aggregator_layers": "[(8, 2, 1)] * 5"}, "of shape|lacks"),
        ({"aggregator": "gru"}, "aggregator gru is not supported"),
        ({"activation": "tanh"}, "activation tanh is not supported"),
        ({"conv_feature_layers": "__import__('os').mkdir('pwned')"}, "are not supported"),
    ],
)
def test_message_for_another_architecture(
    tmp_path: Path, flags: dict[str, Any], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        build_representation(settings_of_changed_checkpoint(tmp_path, **flags))


@pytest.mark.parametrize("text", ["[]", "[(1, 2)]", "[(0, 1, 1)]", "x", "[(1,1,1)] * 10**9", "("])
def test_invalid_layers(text: str) -> None:
    with pytest.raises(ArchitectureError, match="are not supported"):
        parse_layers(text)


def test_zip_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with (
        zipfile.ZipFile(REFERENCES / "plain.pt") as original,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name in original.namelist():
            archive.writestr(name, original.read(name))
        archive.writestr("archive/data/more", bytes(50_000_000))
    with pytest.raises(CheckpointError, match=r"bomb.pt is refused: it would unpack from"):
        load_fairseq_checkpoint(path)
