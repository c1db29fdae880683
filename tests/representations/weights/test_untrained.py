"""Models with random weights: in the public formats, small, reproducible, not degenerate."""

from __future__ import annotations

import argparse
import itertools
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from emoscale.audio.waveform import SAMPLE_RATE
from emoscale.config.checkpoints import UntrainedModel
from emoscale.config.corpus import DemoCorpus
from emoscale.config.representations import (
    TransformersAudioSettings,
    VqWav2VecSettings,
    Wav2VecSettings,
)
from emoscale.corpus.demo.script import plan_session
from emoscale.representations.fairseq_checkpoints import load_fairseq_checkpoint
from emoscale.representations.registry import build_representation
from emoscale.representations.torchaudio_guard import import_torchaudio
from emoscale.representations.weights.fetching import fetch_checkpoint
from emoscale.representations.weights.local_checkpoint import LocalCheckpoint
from emoscale.representations.weights.untrained import WRITERS
from emoscale.runtime.errors import CheckpointError
from tests.representations.test_acoustic import noise

import_torchaudio()
import transformers  # noqa: E402

SEEDS = (1, 2, 3)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def create(kind: Any, cache: Path, seed: int = 1) -> LocalCheckpoint:
    return fetch_checkpoint("small", UntrainedModel(untrained=kind, seed=seed), cache)


def voice(seconds: float = 3.0) -> NDArray[np.float32]:
    """Synthetic syllables with varying pitch and low noise, ``[samples]``."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = 120 * (1 + 0.3 * np.sin(2 * np.pi * 0.7 * time))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    harmonics = sum(np.sin(number * phase) / number for number in range(1, 20))
    loudness = np.clip(np.sin(2 * np.pi * 3 * time) + 0.3, 0, None)
    noise_samples = np.random.default_rng(4).normal(size=len(time))
    return (0.1 * loudness * harmonics + 0.005 * noise_samples).astype(np.float32)


@pytest.mark.parametrize("kind", WRITERS)
def test_same_seed_gives_the_same_bytes(cache: Path, tmp_path: Path, kind: str) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    before = torch.get_rng_state()
    second = create(kind, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    torch.set_num_threads(threads)
    checkpoint = create(kind, cache)
    assert checkpoint.path.relative_to(cache) == second.path.relative_to(tmp_path)
    assert checkpoint.path.is_absolute()
    assert checkpoint.sha256 == second.sha256
    assert checkpoint.pretrained_weights == "untrained: random weights of seed 1"
    assert create(kind, cache, seed=2).sha256 != checkpoint.sha256


@pytest.mark.parametrize("kind", WRITERS)
def test_checkpoint_is_small_complete_and_created_once(cache: Path, kind: str) -> None:
    checkpoint = create(kind, cache)
    folder = checkpoint.path if checkpoint.path.is_dir() else checkpoint.path.parent
    files = list(folder.iterdir())
    assert sum(path.stat().st_size for path in files) < 2_000_000
    assert all(path.stat().st_mode & 0o777 == folder.stat().st_mode & 0o666 for path in files)
    assert not [path for path in folder.parent.iterdir() if path.name.startswith(".")]
    times = {path: path.stat().st_mtime_ns for path in files}
    assert create(kind, cache) == checkpoint
    assert {path: path.stat().st_mtime_ns for path in files} == times


def test_incomplete_checkpoint_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setitem(WRITERS, "wav2vec", (fail, "wav2vec.pt"))
        with pytest.raises(KeyboardInterrupt):
            create("wav2vec", tmp_path)
    assert list((tmp_path / "untrained").iterdir()) == []
    assert load_fairseq_checkpoint(create("wav2vec", tmp_path).path).weights


def test_checkpoint_of_a_faster_process_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_wav2vec, name = WRITERS["wav2vec"]

    def lose_the_race(path: Path) -> None:
        monkeypatch.setitem(WRITERS, "wav2vec", (write_wav2vec, name))
        create("wav2vec", tmp_path)
        path.write_bytes(b"slower")

    monkeypatch.setitem(WRITERS, "wav2vec", (lose_the_race, name))
    assert create("wav2vec", tmp_path).path.read_bytes() != b"slower"
    assert len(list((tmp_path / "untrained").iterdir())) == 1


def test_cache_that_is_not_writable(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(CheckpointError, match=r"Not a directory; the cache needs free space"):
        create("wav2vec", tmp_path / "cache")


def audio_settings(kind: str, path: Path) -> Any:
    match kind:
        case "wav2vec":
            return Wav2VecSettings(kind="wav2vec", checkpoint=str(path))
        case "vq_wav2vec":
            return VqWav2VecSettings(kind="vq_wav2vec", checkpoint=str(path), output="c")
        case _:
            return TransformersAudioSettings(kind="transformers_audio", model=str(path))


@pytest.mark.parametrize("kind", ["wav2vec", "vq_wav2vec", "wav2vec2"])
@pytest.mark.parametrize("seed", SEEDS)
def test_features_vary_in_time_and_between_sounds(cache: Path, kind: str, seed: int) -> None:
    representation = build_representation(audio_settings(kind, create(kind, cache, seed).path))
    assert (representation.modality, representation.dimension) == ("audio", 64)
    arrays = []
    for waveform in (noise(2.0, 1), noise(2.0, 2), voice()):
        (extracted,) = representation.extract([waveform])
        stored = np.asarray(getattr(extracted, "frames", extracted))
        assert stored.dtype == np.float16
        arrays.append(stored.reshape(-1, 64).astype(np.float64))
    for frames in arrays:
        assert np.isfinite(frames).all()
        assert np.median(frames.std(axis=0)) > 0.2
    noise_mean, other_noise_mean, voice_mean = (frames.mean(axis=0) for frames in arrays)
    assert np.abs(noise_mean - other_noise_mean).max() > 0.05
    assert np.abs(noise_mean - voice_mean).max() > 0.1


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sound", [lambda: noise(3.0), voice], ids=["noise", "voice"])
def test_many_codes_are_in_use(
    cache: Path, seed: int, sound: Callable[[], NDArray[np.float32]]
) -> None:
    path = create("vq_wav2vec", cache, seed).path
    representation = build_representation(
        VqWav2VecSettings(kind="vq_wav2vec", checkpoint=str(path))
    )
    (codes,) = representation.extract([sound()])
    codes = np.asarray(getattr(codes, "frames", codes))
    for group in codes.T:
        counts = np.bincount(group)
        assert (counts > 0).sum() >= 20
        assert counts.max() < len(codes) / 2


def test_fairseq_checkpoints_have_the_public_structure(cache: Path) -> None:
    """The structure is that of wav2vec_large and vq-wav2vec_kmeans, with fewer channels."""
    large = load_fairseq_checkpoint(create("wav2vec", cache).path)
    assert large.weights["wav2vec_predictions.project_to_steps.weight"].shape == (64, 64, 1, 12)
    assert large.weights["feature_aggregator.conv_layers.11.1.weight"].shape == (64, 64, 13)
    assert "feature_extractor.conv_layers.6.0.weight" in large.weights
    vq = load_fairseq_checkpoint(create("vq_wav2vec", cache).path)
    assert vq.weights["vector_quantizer.embedding"].shape == (320, 1, 32)
    assert "feature_extractor.conv_layers.7.0.weight" in vq.weights
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = torch.load(large.path, weights_only=True)
    assert {value.dtype for value in content["model"].values()} == {torch.float16}


def test_layers_of_wav2vec2_differ(cache: Path) -> None:
    model = transformers.AutoModel.from_pretrained(create("wav2vec2", cache).path).eval()
    assert model.config.model_type == "wav2vec2"
    with torch.inference_mode():
        states = model(torch.from_numpy(noise(1.0))[None], output_hidden_states=True).hidden_states
    assert len(states) == 4
    for before, after in itertools.pairwise(states):
        assert (before - after).abs().mean() > 0.1


def test_words_of_the_demo_corpus_are_single_tokens(cache: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(create("bert", cache).path)
    settings = DemoCorpus(reader="demo", root="unused", sessions=2)
    transcripts = [turn.text for session in (1, 2) for turn in plan_session(settings, session)]
    assert len(transcripts) > 50
    for transcript in transcripts:
        tokens = tokenizer.tokenize(transcript)
        assert not [token for token in tokens if token.startswith("##") or token == "[UNK]"]
    assert tokenizer.tokenize("Zebra 7") == ["z", "##e", "##b", "##r", "##a", "7"]
    assert "[UNK]" not in tokenizer.tokenize(string.printable)
    assert tokenizer.is_fast  # necessary for the character offsets of tokens


def test_bert_depends_on_the_context(cache: Path) -> None:
    folder = create("bert", cache).path
    model = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    states = []
    for transcript in ("Tom is here", "Tom is not here"):
        with torch.inference_mode():
            states.append(model(**tokenizer(transcript, return_tensors="pt")).last_hidden_state[0])
    assert states[0].isfinite().all()
    assert states[0].half().std(dim=0).min() > 0.05
    assert (states[0][1] - states[1][1]).abs().mean() > 0.05  # the same word, Tom, in both
    lines = (folder / "vocab.txt").read_text().splitlines()
    assert len(set(lines)) == len(lines) == model.config.vocab_size
    assert [tokenizer.convert_tokens_to_ids(line) for line in lines] == list(range(len(lines)))
