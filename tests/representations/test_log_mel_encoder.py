"""Encoders of log-mel features: small networks of each architecture with random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from emoscale.config.representations import TransformersAudioSettings
from emoscale.representations.audio_models import LOG_MEL_TYPES
from emoscale.representations.log_mel_encoder import LogMelEncoder
from emoscale.representations.registry import build_representation
from emoscale.representations.torchaudio_guard import import_torchaudio
from emoscale.runtime.errors import AudioError, CheckpointError
from tests.representations.test_acoustic import noise

import_torchaudio()
import transformers  # noqa: E402

SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
ADAPTER: dict[str, Any] = {
    **{**SMALL, "add_adapter": True, "use_intermediate_ffn_before_adapter": True},
    **{"position_embeddings_type": "rotary", "vocab_size": 9},
}
PARAKEET: dict[str, Any] = {**SMALL, "subsampling_conv_channels": 8}
TRANSDUCER: dict[str, Any] = {
    **{"encoder_config": {**PARAKEET, "num_mel_bins": 128}, "vocab_size": 9},
    **{"decoder_hidden_size": 8, "num_decoder_layers": 1, "pad_token_id": 2, "blank_token_id": 8},
}
QWEN: dict[str, Any] = {
    "model_type": "qwen3_asr_encoder",
    "d_model": 16,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "downsample_hidden_size": 4,
    "output_dim": 16,
}
LANGUAGE_MODEL: dict[str, Any] = {
    **{**SMALL, "model_type": "qwen3", "num_hidden_layers": 1},
    **{"num_key_value_heads": 2, "head_dim": 8, "vocab_size": 64},
}
DECODER: dict[str, Any] = {
    **{**SMALL, "model_type": "canary_decoder", "num_hidden_layers": 1, "vocab_size": 64},
    **{"pad_token_id": 2, "bos_token_id": 1, "eos_token_id": 3, "num_key_value_heads": 2},
}


class Checkpoint(NamedTuple):
    """A model as it is published, and the part of it that is used."""

    model: Callable[[], Any]
    feature_extractor: Any
    encoder: Callable[[Any], Any]
    frame_rate: float
    min_samples: int


CHECKPOINTS = {
    "wav2vec2-bert": Checkpoint(
        lambda: transformers.Wav2Vec2BertModel(transformers.Wav2Vec2BertConfig(**SMALL)),
        transformers.SeamlessM4TFeatureExtractor(),
        lambda model: model,
        50.0,
        560,
    ),
    "wav2vec2-bert-adapter": Checkpoint(
        lambda: transformers.Wav2Vec2BertForCTC(transformers.Wav2Vec2BertConfig(**ADAPTER)),
        transformers.SeamlessM4TFeatureExtractor(),
        lambda model: without_adapter(model.wav2vec2_bert),
        50.0,
        560,
    ),
    "parakeet_ctc": Checkpoint(
        lambda: transformers.ParakeetForCTC(
            transformers.ParakeetCTCConfig(encoder_config=PARAKEET, vocab_size=9)
        ),
        transformers.ParakeetFeatureExtractor(),
        lambda model: model.encoder,
        12.5,
        320,
    ),
    "parakeet_tdt": Checkpoint(
        lambda: transformers.ParakeetForTDT(transformers.ParakeetTDTConfig(**TRANSDUCER)),
        transformers.ParakeetFeatureExtractor(feature_size=128),
        lambda model: model.encoder,
        12.5,
        320,
    ),
    "canary": Checkpoint(
        lambda: transformers.CanaryForConditionalGeneration(
            transformers.CanaryConfig(
                encoder_config=PARAKEET, decoder_config=DECODER, vocab_size=64
            )
        ),
        transformers.ParakeetFeatureExtractor(),
        lambda model: model.model.encoder,
        12.5,
        320,
    ),
    "parakeet_encoder": Checkpoint(
        lambda: transformers.ParakeetEncoder(
            transformers.ParakeetEncoderConfig(**{**PARAKEET, "subsampling_factor": 4})
        ),
        transformers.ParakeetFeatureExtractor(),
        lambda model: model,
        25.0,
        320,
    ),
    "qwen3_asr": Checkpoint(
        lambda: transformers.Qwen3ASRForConditionalGeneration(
            transformers.Qwen3ASRConfig(audio_config=QWEN, text_config=LANGUAGE_MODEL)
        ),
        transformers.Qwen3ASRFeatureExtractor(),
        lambda model: model.model.audio_tower,
        13.0,
        1,
    ),
}


def without_adapter(model: Any) -> Any:
    model.adapter = model.intermediate_ffn = None
    return model


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Save each model, with its feature extractor."""
    root = tmp_path_factory.mktemp("models")
    for name, checkpoint in CHECKPOINTS.items():
        torch.manual_seed(1)
        model = checkpoint.model()
        for parameter in model.parameters():  # norms and biases are initialised to one and zero
            parameter.data += 0.3 * torch.randn_like(parameter)
        model.save_pretrained(root / name)
        checkpoint.feature_extractor.save_pretrained(root / name)
    return {name: root / name for name in CHECKPOINTS}


def build(folder: Path, layer: Any = -1, **settings: Any) -> LogMelEncoder:
    representation = build_representation(
        TransformersAudioSettings(
            kind="transformers_audio",
            model=str(folder),
            layer=layer,
            storage_dtype="float32",
            **settings,
        )
    )
    assert isinstance(representation, LogMelEncoder)
    return representation


def reference_states(name: str, folder: Path, waveform: np.ndarray) -> list[np.ndarray]:
    """Compute the hidden states by transformers; the last one is the encoder's output."""
    checkpoint = CHECKPOINTS[name]
    encoder = checkpoint.encoder(type(checkpoint.model()).from_pretrained(folder).eval())
    inputs = checkpoint.feature_extractor(
        waveform,
        sampling_rate=16_000,
        padding="longest",
        return_attention_mask=True,
        return_tensors="pt",
    )
    mask = "input_features_mask" if name == "qwen3_asr" else "attention_mask"
    with torch.inference_mode():
        output = encoder(
            inputs.input_features, **{mask: inputs.attention_mask}, output_hidden_states=True
        )
    states = [*output.hidden_states[:-1], output.last_hidden_state]
    return [state.reshape(-1, 16).numpy() for state in states]


def test_every_model_type_is_tested(folders: dict[str, Path]) -> None:
    tested = {build(folder)._type for folder in folders.values()}
    assert tested == set(LOG_MEL_TYPES)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_hidden_states_against_transformers(folders: dict[str, Path], name: str) -> None:
    waveform: Any = noise(1.3)
    states = reference_states(name, folders[name], waveform)
    count = int(1.3 * CHECKPOINTS[name].frame_rate)
    for layer, index in ((0, 0), (1, 1), (-1, 2), ([1, -1], [1, 2]), ("all", [0, 1, 2])):
        representation = build(folders[name], layer)
        (features,) = representation.extract([waveform])
        frames = features.frames
        assert abs(frames.shape[-2] - count) <= 1
        expected = np.stack(states)[index]
        np.testing.assert_allclose(frames, expected[..., : frames.shape[-2], :], atol=2e-5)
        # Only an incomplete last frame of the padding is missing.
        assert expected.shape[-2] - frames.shape[-2] in (0, 1)
        assert representation.layers == (() if isinstance(index, int) else tuple(index))
    assert (representation.dimension, representation.frame_rate, features.chunks) == (
        16,
        CHECKPOINTS[name].frame_rate,
        1,
    )


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_an_utterance_does_not_depend_on_its_batch(folders: dict[str, Path], name: str) -> None:
    representation = build(folders[name], "all")
    batch: list[Any] = [noise(0.4, 1), 3 * noise(1.1, 2), noise(0.1, 3), noise(1.13, 4)]
    for waveform, features in zip(batch, representation.extract(batch), strict=True):
        (single,) = representation.extract([waveform])
        np.testing.assert_array_equal(features.frames, single.frames)
        assert np.isfinite(features.frames).all()


@pytest.mark.parametrize("name", CHECKPOINTS)
@pytest.mark.parametrize("time", [0.3, 1.55, 2.9])
def test_frames_are_at_their_times(folders: dict[str, Path], name: str, time: float) -> None:
    waveform: Any = 0.01 * noise(3.1)
    changed = waveform.copy()
    changed[round(time * 16_000) - 80 :][:160] += noise(0.01, 7)
    representation = build(folders[name], 0)
    frames, with_burst = (each.frames for each in representation.extract([waveform, changed]))
    frame = int(np.linalg.norm(with_burst - frames, axis=1).argmax())
    rate = CHECKPOINTS[name].frame_rate
    assert abs(frame / rate - time) <= 1 / rate + 0.02  # windows have 25 to 45 ms


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_long_utterances_are_computed_in_chunks(folders: dict[str, Path], name: str) -> None:
    representation = build(folders[name], [1, 2], chunk_seconds=5.0)
    waveform: Any = noise(12.34)
    (features,) = representation.extract([waveform])
    (whole,) = build(folders[name], [1, 2]).extract([waveform])
    assert features.chunks > 1 == whole.chunks
    assert features.frames.shape == whole.frames.shape
    assert np.isfinite(features.frames).all()
    period = 16_000 if name == "qwen3_asr" else round(16_000 / CHECKPOINTS[name].frame_rate)
    chunk = 5 * 16_000 // period * period
    (first,) = representation.extract([waveform[:chunk]])
    count = round(3.5 * CHECKPOINTS[name].frame_rate)
    np.testing.assert_allclose(features.frames[:, :count], first.frames[:, :count], atol=1e-5)
    (last,) = representation.extract([waveform[-(-len(waveform) // period) * period - chunk :]])
    count = round(1.0 * CHECKPOINTS[name].frame_rate)
    np.testing.assert_allclose(features.frames[:, -count:], last.frames[:, -count:], atol=1e-5)


def test_the_positions_of_parakeet_limit_a_chunk(tmp_path: Path) -> None:
    config = transformers.ParakeetEncoderConfig(**PARAKEET, max_position_embeddings=70)
    transformers.ParakeetEncoder(config).save_pretrained(tmp_path)
    transformers.ParakeetFeatureExtractor().save_pretrained(tmp_path)
    (features,) = build(tmp_path).extract([noise(6.0)])  # 75 frames
    assert (features.chunks, features.frames.shape) == (2, (75, 16))


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_utterances_that_are_too_short_are_reported(folders: dict[str, Path], name: str) -> None:
    representation = build(folders[name])
    shortest = CHECKPOINTS[name].min_samples
    (features,) = representation.extract([noise(shortest / 16_000)])
    assert len(features.frames) == 1
    assert np.isfinite(features.frames).all()
    message = f"{shortest - 1} samples are fewer than the {shortest} of one frame"
    with pytest.raises(AudioError, match=message):
        representation.extract([noise(1.0)[: shortest - 1]])


def test_frames_of_added_silence_are_dropped(folders: dict[str, Path]) -> None:
    """Qwen3-ASR's feature extractor extends waveforms to half a second."""
    (features,) = build(folders["qwen3_asr"]).extract([noise(0.3)])
    assert len(features.frames) == 4


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_precision(folders: dict[str, Path], name: str) -> None:
    exact, approximate = (
        build(folders[name], precision=precision) for precision in ("float32", "bfloat16")
    )
    approximate.to("cpu")
    waveform: Any = noise(1.0)
    (expected,), (features,) = exact.extract([waveform]), approximate.extract([waveform])
    error = np.linalg.norm(features.frames - expected.frames) / np.linalg.norm(expected.frames)
    assert 1e-4 < error < 0.05


def test_a_model_without_weights_of_its_encoder_is_refused(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    for file in folders["qwen3_asr"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    del weights["model.audio_tower.layers.1.fc1.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks weights of its model: layers\.1\.fc1"):
        build(tmp_path)


def test_another_feature_extractor_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    for file in folders["wav2vec2-bert"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    with pytest.raises(
        CheckpointError, match=r"Wav2Vec2FeatureExtractor, which does not compute the input_feat"
    ):
        build(tmp_path)
