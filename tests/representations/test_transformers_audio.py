"""wav2vec 2.0 and its family: small models of the true architectures, with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from emoscale.config.representations import TransformersAudioSettings
from emoscale.errors import AudioError, CheckpointError
from emoscale.representations.registry import build_representation
from emoscale.representations.transformers_audio import TransformersAudio
from emoscale.torchaudio_guard import import_torchaudio
from tests.representations.test_spectral import noise

import_torchaudio()
import transformers  # noqa: E402

SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
CONFIGS = {
    "wav2vec2-base": transformers.Wav2Vec2Config(**SMALL),
    "wav2vec2-large": transformers.Wav2Vec2Config(
        **SMALL, feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True
    ),
    "hubert": transformers.HubertConfig(**SMALL),
    "wavlm": transformers.WavLMConfig(**SMALL),
    "data2vec": transformers.Data2VecAudioConfig(**SMALL),
}


def save_model(folder: Path, name: str, normalise: bool = True) -> Path:
    torch.manual_seed(1)
    transformers.AutoModel.from_config(CONFIGS[name]).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=normalise).save_pretrained(folder)
    return folder


def build(folder: Path, layer: int = -1) -> TransformersAudio:
    settings = TransformersAudioSettings(kind="transformers_audio", model=str(folder), layer=layer)
    made = build_representation(settings)
    assert isinstance(made, TransformersAudio)
    return made


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("layer", [0, 1, -1])
def test_a_hidden_state_is_the_models(tmp_path: Path, name: str, layer: int) -> None:
    made = build(save_model(tmp_path, name), layer)
    waveform = noise(0.7)
    (frames,) = made.extract([waveform])
    model = transformers.AutoModel.from_pretrained(tmp_path).eval()
    normalised = (waveform - waveform.mean()) / np.sqrt(waveform.var() + 1e-7)
    with torch.inference_mode():
        states = model(torch.from_numpy(normalised)[None], output_hidden_states=True).hidden_states
    np.testing.assert_allclose(frames.astype(float), states[layer][0].numpy(), atol=0.004)
    assert frames.dtype == np.float16
    assert (made.dimension, made.frame_rate) == (16, 50.0)


@pytest.mark.parametrize("name", CONFIGS)
def test_an_utterance_does_not_depend_on_its_batch(tmp_path: Path, name: str) -> None:
    made = build(save_model(tmp_path, name))
    batch: list[Any] = [noise(0.4, 1), 3 * noise(1.1, 2), noise(0.1, 3)]
    for waveform, frames in zip(batch, made.extract(batch), strict=True):
        assert np.array_equal(frames, made.extract([waveform])[0])
        assert len(frames) == (len(waveform) - 400) // 320 + 1


def test_the_models_own_preprocessing_is_honoured(tmp_path: Path) -> None:
    plain = build(save_model(tmp_path / "plain", "wav2vec2-large", normalise=False))
    normalised = build(save_model(tmp_path / "normalised", "wav2vec2-large", normalise=True))
    quiet: Any = 0.01 * noise(0.5)
    assert not np.allclose(plain.extract([quiet])[0], normalised.extract([quiet])[0], atol=0.05)
    assert plain.checkpoint_sha256 != normalised.checkpoint_sha256


def test_the_digest_is_of_the_weights(tmp_path: Path) -> None:
    one = build(save_model(tmp_path / "one", "hubert"))
    assert one.checkpoint_sha256 == build(save_model(tmp_path / "two", "hubert")).checkpoint_sha256
    path = tmp_path / "two" / "model.safetensors"
    weights = load_file(path)
    weights["encoder.layers.0.attention.k_proj.bias"] += 1
    save_file(weights, path, metadata={"format": "pt"})
    assert one.checkpoint_sha256 != build(tmp_path / "two").checkpoint_sha256


def test_missing_weights_are_not_made_up(tmp_path: Path) -> None:
    path = save_model(tmp_path, "wav2vec2-base") / "model.safetensors"
    weights = load_file(path)
    del weights["encoder.layers.1.attention.k_proj.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks weights .*encoder\.layers\.1\.attention"):
        build(tmp_path)


def test_what_cannot_be_used_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CheckpointError, match="cannot be loaded as a model"):
        build(tmp_path / "nothing" / "here" / "deep")
    save_model(tmp_path / "hubert", "hubert")
    with pytest.raises(CheckpointError, match="hidden states 0 to 2; layer 3 is none"):
        build(tmp_path / "hubert", layer=3)
    (tmp_path / "hubert" / "preprocessor_config.json").unlink()
    with pytest.raises(CheckpointError, match="cannot be loaded as a model"):
        build(tmp_path / "hubert")
    transformers.BertConfig(hidden_size=8, num_attention_heads=2).save_pretrained(tmp_path / "bert")
    with pytest.raises(
        CheckpointError, match=r"of the type bert; transformers_audio takes wav2vec2"
    ):
        build(tmp_path / "bert")


def test_too_short(tmp_path: Path) -> None:
    made = build(save_model(tmp_path, "wav2vec2-base"))
    assert made.extract([noise(400 / 16_000)])[0].shape == (1, 16)
    with pytest.raises(AudioError, match="399 samples are fewer than the 400 of one frame"):
        made.extract([noise(399 / 16_000)])
