"""vq-wav2vec compared with fairseq (see make_wav2vec_references.py), and storage of codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emoscale.config.representations import VqWav2VecSettings, Wav2VecSettings
from emoscale.representations import wav2vec, wav2vec_long
from emoscale.representations.registry import build_representation
from emoscale.representations.vq_wav2vec import VqWav2VecFeatures
from emoscale.runtime.errors import CheckpointError, StoreError
from emoscale.store.index import FeatureStore, index_shards
from emoscale.store.shard import ShardHeader, read_shard
from emoscale.store.writer import write_shard
from tests.representations.test_acoustic import noise
from tests.representations.test_wav2vec import REFERENCES, reference_waveform

VARIANTS = ["vq_gumbel", "vq_gumbel_shared", "vq_kmeans", "vq_kmeans_shared"]


def build(variant: str, output: str, **options: Any) -> VqWav2VecFeatures:
    settings = VqWav2VecSettings.model_validate(
        {
            "kind": "vq_wav2vec",
            "checkpoint": str(REFERENCES / f"{variant}.pt"),
            "output": output,
            **options,
        }
    )
    representation = build_representation(settings)
    assert isinstance(representation, VqWav2VecFeatures)
    return representation


@pytest.mark.parametrize("variant", VARIANTS)
def test_codes_and_vectors_equal_fairseqs(variant: str) -> None:
    representation, expected = build(variant, "codes"), np.load(REFERENCES / f"{variant}.npz")
    (codes,) = representation.extract([reference_waveform()])
    assert codes.dtype == np.int16
    assert len(np.unique(expected["codes"])) > 3
    assert np.array_equal(codes, expected["codes"])
    assert representation.codebook is not None
    vectors = np.concatenate(
        [codebook[codes[:, group]] for group, codebook in enumerate(representation.codebook)],
        axis=1,
    )
    np.testing.assert_allclose(vectors, expected["vectors"], atol=1e-6)
    assert representation.dimension == vectors.shape[1]


@pytest.mark.parametrize("variant", VARIANTS)
def test_c_equals_fairseqs(variant: str) -> None:
    representation, expected = build(variant, "c"), np.load(REFERENCES / f"{variant}.npz")
    (frames,) = representation.extract([reference_waveform()])
    assert representation.codebook is None
    assert frames.dtype == np.float16
    np.testing.assert_allclose(frames.astype(float), expected["c"], atol=0.003)


@pytest.mark.parametrize("variant", VARIANTS)
def test_codes_are_independent_of_batch_and_blocks(
    variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    representation = build(variant, "codes")
    batch = [noise(length, seed) for seed, length in enumerate((0.4, 1.3, 0.05))]
    single = [representation.extract([waveform])[0] for waveform in batch]
    for codes, expected in zip(representation.extract(batch), single, strict=True):
        assert np.array_equal(codes, expected)
    monkeypatch.setattr(wav2vec, "LONG_SECONDS", 0.0)
    monkeypatch.setattr(wav2vec_long, "_BLOCK_FRAMES", 11)
    for waveform, expected in zip(batch, single, strict=True):
        assert np.array_equal(representation.extract([waveform])[0], expected)


@pytest.mark.parametrize("variant", VARIANTS)
def test_quantiser_remains_in_float32_at_any_precision(variant: str) -> None:
    exact, rounded = (build(variant, "codes", precision=p) for p in ("float32", "bfloat16"))
    expected = exact._quantiser.state_dict()
    for name, value in rounded._quantiser.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_checkpoint_of_the_other_kind_is_refused() -> None:
    with pytest.raises(CheckpointError, match="use kind: vq_wav2vec"):
        build_representation(
            Wav2VecSettings(kind="wav2vec", checkpoint=str(REFERENCES / "vq_gumbel.pt"))
        )
    with pytest.raises(CheckpointError, match="no supported quantiser"):
        build("plain", "codes")


def test_store_of_codes_returns_vectors(tmp_path: Path) -> None:
    representation = build("vq_gumbel", "codes")
    assert representation.codebook is not None
    header = ShardHeader(
        "{}", representation.dimension, 100.0, "", "", representation.checkpoint_sha256
    )
    features = representation.extract([reference_waveform(), reference_waveform()[:2000]])
    for name, keys in (("00.h5", ["a", "b"]), ("01.h5", [])):
        stored = features if keys else []
        write_shard(
            tmp_path / name, header, keys, stored, representation.dtype, representation.codebook
        )
    contents = read_shard(tmp_path / "00.h5")
    assert contents.codebook is not None
    assert np.array_equal(contents.codebook, representation.codebook)
    assert contents.frames.shape == (23 + 10, 2)
    index_shards(sorted(tmp_path.glob("*.h5")), tmp_path / "index.parquet")
    store = FeatureStore(tmp_path / "index.parquet")
    loaded = store.load(["b", "a"])
    expected = np.load(REFERENCES / "vq_gumbel.npz")["vectors"]
    frames = loaded.gather([0, 1])
    assert frames.dtype == np.float16
    np.testing.assert_allclose(frames[10:].astype(float), expected, atol=1e-3)
    assert store.dimension == expected.shape[1]


@pytest.mark.parametrize(
    ("codes", "codebook_shape", "message"),
    [
        ([[0, 20]], (2, 20, 4), "has a code outside the codebook of 20 codes"),
        ([[-1, 0]], (2, 20, 4), "has a code outside the codebook of 20 codes"),
        ([[0, 0]], (2, 20, 3), "2 groups of 3 values do not have the dimension 8"),
        ([[0, 0, 0]], (2, 20, 4), "expected at least one frame of 2 values"),
    ],
)
def test_invalid_codes_are_refused(
    tmp_path: Path, codes: list[list[int]], codebook_shape: tuple[int, int, int], message: str
) -> None:
    header = ShardHeader("{}", 8, 100.0, "", "")
    with pytest.raises(StoreError, match=message):
        write_shard(
            tmp_path / "00.h5",
            header,
            ["a"],
            [np.array(codes)],
            "int16",
            np.zeros(codebook_shape, dtype=np.float32),
        )
