"""vq-wav2vec against fairseq's own numbers (see make_wav2vec_references.py), and its storage."""

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
from emoscale.store import FeatureStore, ShardHeader, index_shards, read_shard, write_shard
from tests.representations.test_acoustic import noise
from tests.representations.test_wav2vec import REFERENCES, reference_waveform

VARIANTS = ["vq_gumbel", "vq_gumbel_shared", "vq_kmeans", "vq_kmeans_shared"]


def build(variant: str, output: str, **others: Any) -> VqWav2VecFeatures:
    settings = VqWav2VecSettings.model_validate(
        {
            "kind": "vq_wav2vec",
            "checkpoint": str(REFERENCES / f"{variant}.pt"),
            "output": output,
            **others,
        }
    )
    made = build_representation(settings)
    assert isinstance(made, VqWav2VecFeatures)
    return made


@pytest.mark.parametrize("variant", VARIANTS)
def test_codes_and_vectors_are_fairseqs(variant: str) -> None:
    made, expected = build(variant, "codes"), np.load(REFERENCES / f"{variant}.npz")
    (codes,) = made.extract([reference_waveform()])
    assert codes.dtype == np.int16
    assert len(np.unique(expected["codes"])) > 3
    assert np.array_equal(codes, expected["codes"])
    assert made.codebook is not None
    vectors = np.concatenate([book[codes[:, g]] for g, book in enumerate(made.codebook)], axis=1)
    np.testing.assert_allclose(vectors, expected["vectors"], atol=1e-6)
    assert made.dimension == vectors.shape[1]


@pytest.mark.parametrize("variant", VARIANTS)
def test_c_is_fairseqs(variant: str) -> None:
    made, expected = build(variant, "c"), np.load(REFERENCES / f"{variant}.npz")
    (frames,) = made.extract([reference_waveform()])
    assert made.codebook is None
    assert frames.dtype == np.float16
    np.testing.assert_allclose(frames.astype(float), expected["c"], atol=0.003)


@pytest.mark.parametrize("variant", VARIANTS)
def test_codes_do_not_depend_on_the_batch_or_the_pieces(
    variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = build(variant, "codes")
    batch = [noise(length, seed) for seed, length in enumerate((0.4, 1.3, 0.05))]
    alone = [made.extract([waveform])[0] for waveform in batch]
    for codes, own in zip(made.extract(batch), alone, strict=True):
        assert np.array_equal(codes, own)
    monkeypatch.setattr(wav2vec, "LONG_SECONDS", 0.0)
    monkeypatch.setattr(wav2vec_long, "_PIECE_FRAMES", 11)
    for waveform, own in zip(batch, alone, strict=True):
        assert np.array_equal(made.extract([waveform])[0], own)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_quantiser_stays_exact_whatever_the_precision(variant: str) -> None:
    made, rough = (build(variant, "codes", precision=p) for p in ("float32", "bfloat16"))
    exact = made._quantiser.state_dict()
    for name, value in rough._quantiser.state_dict().items():
        assert torch.equal(value, exact[name]), name


def test_kinds_are_not_mixed_up() -> None:
    with pytest.raises(CheckpointError, match="use kind: vq_wav2vec"):
        build_representation(
            Wav2VecSettings(kind="wav2vec", checkpoint=str(REFERENCES / "vq_gumbel.pt"))
        )
    with pytest.raises(CheckpointError, match="no quantiser that is known"):
        build("plain", "codes")


def test_codes_are_stored_and_vectors_are_read(tmp_path: Path) -> None:
    made = build("vq_gumbel", "codes")
    assert made.codebook is not None
    header = ShardHeader("{}", made.dimension, 100.0, "", "", made.checkpoint_sha256)
    features = made.extract([reference_waveform(), reference_waveform()[:2000]])
    for name, keys in (("00.h5", ["a", "b"]), ("01.h5", [])):
        shown = features if keys else []
        write_shard(tmp_path / name, header, keys, shown, made.dtype, made.codebook)
    contents = read_shard(tmp_path / "00.h5")
    assert contents.codebook is not None
    assert np.array_equal(contents.codebook, made.codebook)
    assert contents.frames.shape == (23 + 10, 2)
    index_shards(sorted(tmp_path.glob("*.h5")), tmp_path / "index.parquet")
    store = FeatureStore(tmp_path / "index.parquet")
    loaded = store.load(["b", "a"])
    expected = np.load(REFERENCES / "vq_gumbel.npz")["vectors"]
    assert loaded.frames.dtype == np.float16
    np.testing.assert_allclose(loaded.frames[10:].astype(float), expected, atol=1e-3)
    assert store.dimension == expected.shape[1]


@pytest.mark.parametrize(
    ("codes", "book", "sentence"),
    [
        ([[0, 20]], (2, 20, 4), "a code is not one of the codebook's 20"),
        ([[-1, 0]], (2, 20, 4), "a code is not one of the codebook's 20"),
        ([[0, 0]], (2, 20, 3), "2 groups of 3 values are not 8"),
        ([[0, 0, 0]], (2, 20, 4), "expected at least one frame of 2 values"),
    ],
)
def test_codes_that_are_none_are_refused(
    tmp_path: Path, codes: list[list[int]], book: tuple[int, int, int], sentence: str
) -> None:
    header = ShardHeader("{}", 8, 100.0, "", "")
    with pytest.raises(StoreError, match=sentence):
        write_shard(
            tmp_path / "00.h5",
            header,
            ["a"],
            [np.array(codes)],
            "int16",
            np.zeros(book, dtype=np.float32),
        )
