"""The native backend compared with fairseq on the same checkpoints; prints the differences.

FAIRSEQ_PYTHON=<a Python with fairseq> pytest -s tests/fairseq
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from emoscale.representations.fairseq_checkpoints import (
    FairseqCheckpoint,
    load_fairseq_checkpoint,
    load_weights,
)
from emoscale.representations.quantiser import (
    Quantiser,
    QuantiserArchitecture,
    build_quantiser,
    code_vectors,
)
from emoscale.representations.wav2vec_model import Wav2Vec, Wav2VecArchitecture
from tests.fairseq.backend import extract_with_fairseq, needs_fairseq

pytestmark = needs_fairseq

LARGEST_DIFFERENCE = 1e-4

LARGE = {"log_compression": True, "skip_connections_agg": True, "residual_scale": 0.5}
"""Flags of wav2vec_large; its layers are the defaults."""

SMALL = {
    "conv_feature_layers": "[(16, 10, 5), (16, 8, 4)] + [(16, 4, 2)] * 3 + [(16, 1, 1)] * 2",
    "conv_aggregator_layers": "[(16, 2, 1), (16, 3, 1), (16, 4, 1), (16, 5, 1)]",
}
FLAGS: dict[str, dict[str, Any]] = {
    "no flags": {},
    "log compression": {"log_compression": True},
    "skip connections, encoder": {"skip_connections_feat": True, "residual_scale": 0.25},
    "skip connections, context": {"skip_connections_agg": True},
    "skip connections, wider context": {
        "skip_connections_agg": True,
        "conv_aggregator_layers": "[(16, 2, 1), (24, 3, 1), (24, 4, 1)]",
    },
    "gelu": {"activation": "gelu"},
    "zero padding": {"agg_zero_pad": True},
    "no bias, no affine norm": {"no_conv_bias": True, "non_affine_group_norm": True},
}
QUANTISERS: dict[str, dict[str, Any]] = {
    "gumbel": {"vq_type": "gumbel", "vq_depth": 2, "activation": "gelu"},
    "gumbel, shared": {"vq_type": "gumbel", "combine_groups": True},
    "k-means": {"vq_type": "kmeans", "log_compression": True},
    "k-means, shared": {"vq_type": "kmeans", "combine_groups": True},
}

Rows = list[tuple[str, str, int, float]]


@pytest.fixture(scope="module")
def differences() -> Iterator[Rows]:
    """Checkpoint, output, number of utterances, and the largest difference.

    For codes, the difference is the fraction of codes that differ. The rows are printed at the end.
    """
    rows: Rows = []
    yield rows
    print(f"\n{'checkpoint':34}{'output':8}{'utterances':>10}{'largest difference':>20}")
    for name, output, utterances, difference in rows:
        print(f"{name:34}{output:8}{utterances:10}{difference:20.1e}")


def random_waveforms(count: int, max_seconds: float) -> dict[str, np.ndarray]:
    """Noise of 0.5 s to `max_seconds` at 16 kHz, with random amplitudes."""
    generator = np.random.default_rng(count)
    lengths = generator.integers(8_000, round(max_seconds * 16_000), size=count)
    amplitudes = 10 ** generator.uniform(-2, -0.5, size=count)
    return {
        str(number): generator.normal(0.0, amplitude, length).astype(np.float32)
        for number, (length, amplitude) in enumerate(zip(lengths, amplitudes, strict=True))
    }


def write_checkpoint(path: Path, arguments: dict[str, Any]) -> Path:
    """Write random weights in half precision and an args Namespace, as fairseq does."""
    torch.manual_seed(len(path.stem))
    architecture = Wav2VecArchitecture.from_arguments(arguments)
    model = Wav2Vec(architecture)
    if "vq_type" in arguments:
        channels = architecture.encoder[-1][0]
        quantiser = build_quantiser(QuantiserArchitecture.from_arguments(arguments, channels))
        for parameter in quantiser.parameters():
            nn.init.normal_(parameter)
        model.vector_quantizer = quantiser
    for parameter in model.parameters():  # norms and biases are initialised to one and zero
        parameter.data += 0.1 * torch.randn_like(parameter)
    weights = {name: value.half() for name, value in model.state_dict().items()}
    namespace = argparse.Namespace(arch="wav2vec", prediction_steps=12, offset="auto", **arguments)
    torch.save({"args": namespace, "model": weights}, path)
    return path


def load_wav2vec(checkpoint: FairseqCheckpoint) -> Wav2Vec:
    model = Wav2Vec(Wav2VecArchitecture.from_arguments(checkpoint.arguments))
    load_weights(model, checkpoint, ("vector_quantizer.",))
    return model.eval()


def load_quantiser(checkpoint: FairseqCheckpoint) -> Quantiser:
    channels = Wav2VecArchitecture.from_arguments(checkpoint.arguments).encoder[-1][0]
    quantiser = build_quantiser(
        QuantiserArchitecture.from_arguments(checkpoint.arguments, channels)
    )
    prefix = "vector_quantizer."
    weights = {
        name.removeprefix(prefix): value
        for name, value in checkpoint.weights.items()
        if name.startswith(prefix)
    }
    load_weights(quantiser, dataclasses.replace(checkpoint, weights=weights), ())
    return quantiser.eval()


def largest_difference(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> float:
    """Largest absolute difference over all utterances, whose shapes must agree."""
    assert ours.keys() == theirs.keys()
    for key, frames in ours.items():
        assert frames.shape == theirs[key].shape
        assert theirs[key].dtype == np.float32
        assert theirs[key].std() > 0.05
    return max(float(np.abs(frames - theirs[key]).max()) for key, frames in ours.items())


@torch.inference_mode()
def compare(
    name: str, path: Path, waveforms: dict[str, np.ndarray], differences: Rows, folder: Path
) -> None:
    model = load_wav2vec(load_fairseq_checkpoint(path))
    z = {key: model.encode(torch.from_numpy(samples)[None]) for key, samples in waveforms.items()}
    outputs = {"z": z, "c": {key: model.contextualise(frames) for key, frames in z.items()}}
    for output, tensors in outputs.items():
        ours = {key: frames[0].T.numpy() for key, frames in tensors.items()}
        theirs = extract_with_fairseq(path, output, waveforms, folder)
        difference = largest_difference(ours, theirs)
        differences.append((name, output, len(ours), difference))
        assert difference < LARGEST_DIFFERENCE


def test_wav2vec_large(differences: Rows, tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "wav2vec_large.pt", LARGE)
    weights = load_fairseq_checkpoint(path).weights
    assert sum(value.numel() for value in weights.values()) == 29_390_848
    compare("wav2vec_large", path, random_waveforms(20, 4.0), differences, tmp_path)


@pytest.mark.parametrize("flags", FLAGS)
def test_every_flag(flags: str, differences: Rows, tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "wav2vec.pt", SMALL | FLAGS[flags])
    compare(flags, path, random_waveforms(5, 2.0), differences, tmp_path)


@pytest.mark.parametrize("kind", QUANTISERS)
@torch.inference_mode()
def test_quantisers(kind: str, differences: Rows, tmp_path: Path) -> None:
    arguments = SMALL | {"vq_vars": 40, "vq_groups": 2} | QUANTISERS[kind]
    path = write_checkpoint(tmp_path / "vq-wav2vec.pt", arguments)
    checkpoint = load_fairseq_checkpoint(path)
    model, quantiser = load_wav2vec(checkpoint), load_quantiser(checkpoint)
    waveforms = random_waveforms(5, 2.0)
    codes = {
        key: quantiser(model.encode(torch.from_numpy(samples)[None]))
        for key, samples in waveforms.items()
    }
    theirs = extract_with_fairseq(path, "codes", waveforms, tmp_path)
    np.testing.assert_array_equal(theirs.pop("codebook"), quantiser.codebook().numpy())
    difference_rate = 0.0
    for key, ours in codes.items():
        assert theirs[key].dtype == np.int16
        assert len(np.unique(theirs[key])) > 3
        difference_rate = max(difference_rate, float(np.mean(ours[0].numpy() != theirs[key])))
    differences.append((kind, "codes", len(codes), difference_rate))
    assert difference_rate == 0
    contexts = {
        key: model.contextualise(code_vectors(ours, quantiser.codebook()))[0].T.numpy()
        for key, ours in codes.items()
    }
    difference = largest_difference(contexts, extract_with_fairseq(path, "c", waveforms, tmp_path))
    differences.append((kind, "c", len(codes), difference))
    assert difference < LARGEST_DIFFERENCE
