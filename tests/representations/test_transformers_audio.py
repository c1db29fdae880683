"""wav2vec 2.0 and related models: small networks of each architecture with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
import torch
from safetensors.torch import load_file, save_file

from emoscale.config.representations import TransformersAudioSettings
from emoscale.representations.contract import UtteranceFeatures
from emoscale.representations.registry import build_representation
from emoscale.representations.throughput import count_operations
from emoscale.representations.torchaudio_guard import import_torchaudio
from emoscale.representations.transformers_audio import BATCH_INVARIANT_TYPES, TransformersAudio
from emoscale.representations.whisper import WhisperEncoder
from emoscale.runtime.errors import AudioError, CheckpointError
from tests.representations.test_acoustic import noise

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
LARGE: dict[str, Any] = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
CONFIGS = {
    "wav2vec2-base": transformers.Wav2Vec2Config(**SMALL),
    "wav2vec2-large": transformers.Wav2Vec2Config(**SMALL, **LARGE, conv_bias=True),
    "hubert": transformers.HubertConfig(**SMALL),
    "hubert-large": transformers.HubertConfig(**SMALL, **LARGE),
    "wavlm": transformers.WavLMConfig(**SMALL),
    "wavlm-large": transformers.WavLMConfig(**SMALL, **LARGE),
    "unispeech": transformers.UniSpeechConfig(**SMALL),
    "unispeech-sat": transformers.UniSpeechSatConfig(**SMALL),
    "unispeech-sat-large": transformers.UniSpeechSatConfig(**SMALL, **LARGE),
    "conformer": transformers.Wav2Vec2ConformerConfig(**SMALL),
    "conformer-rotary": transformers.Wav2Vec2ConformerConfig(
        **SMALL, feat_extract_norm="layer", position_embeddings_type="rotary"
    ),
    "data2vec": transformers.Data2VecAudioConfig(**SMALL),
}
READ_BEYOND_THE_END = {"data2vec", "conformer", "conformer-rotary"}
ENCODER_OF_30_SECONDS: dict[str, Any] = {
    "d_model": 16,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
}
WHISPER = transformers.WhisperConfig(
    **ENCODER_OF_30_SECONDS,
    decoder_layers=1,
    decoder_attention_heads=2,
    decoder_ffn_dim=32,
    vocab_size=60,
    pad_token_id=0,
    bos_token_id=1,
    eos_token_id=2,
    decoder_start_token_id=1,
)
VOXTRAL = transformers.VoxtralConfig(
    audio_config={
        **{"model_type": "voxtral_encoder", "hidden_size": 16, "num_hidden_layers": 2},
        **{"num_attention_heads": 2, "intermediate_size": 64, "num_mel_bins": 80},
    },
    text_config={
        **{"model_type": "llama", "hidden_size": 16, "num_hidden_layers": 1, "head_dim": 8},
        **{"num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 16},
        **{"vocab_size": 64},
    },
)


def save_model(folder: Path, name: str, normalise: bool = True) -> Path:
    torch.manual_seed(1)
    model = transformers.AutoModel.from_config(CONFIGS[name])
    for parameter in model.parameters():  # norms and biases are initialised to one and zero
        parameter.data += 0.05 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=normalise).save_pretrained(folder)
    return folder


def build(folder: Path, layer: Any = -1, **settings: Any) -> TransformersAudio:
    representation = build_representation(
        TransformersAudioSettings(
            kind="transformers_audio",
            model=str(folder),
            layer=layer,
            storage_dtype="float32",
            **settings,
        )
    )
    assert isinstance(representation, TransformersAudio)
    return representation


def unchunked_frames(features: UtteranceFeatures) -> np.ndarray:
    assert features.chunks == 1
    return np.asarray(features.frames)


def reference_states(folder: Path, waveform: np.ndarray) -> list[np.ndarray]:
    """Compute the hidden states by transformers; the last one is the model's output."""
    model = transformers.AutoModel.from_pretrained(folder).eval()
    normalised = (waveform - waveform.mean()) / np.sqrt(waveform.var() + 1e-7)
    with torch.inference_mode():
        output = model(torch.from_numpy(normalised)[None], output_hidden_states=True)
    return [state[0].numpy() for state in (*output.hidden_states[:-1], output.last_hidden_state)]


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("layer", [0, 1, -1])
def test_hidden_states_against_transformers(tmp_path: Path, name: str, layer: int) -> None:
    representation = build(save_model(tmp_path, name), layer)
    waveform: Any = noise(0.7)
    frames = unchunked_frames(representation.extract([waveform])[0])
    np.testing.assert_allclose(frames, reference_states(tmp_path, waveform)[layer], atol=2e-5)
    assert (representation.dimension, representation.frame_rate, representation.layers) == (
        16,
        50.0,
        (),
    )


@pytest.mark.parametrize(("layer", "indices"), [("all", (0, 1, 2)), ([-1, 0], (0, 2)), ([1], (1,))])
def test_several_layers(tmp_path: Path, layer: Any, indices: tuple[int, ...]) -> None:
    representation = build(save_model(tmp_path, "wav2vec2-large"), layer)
    waveform: Any = noise(0.7)
    frames = unchunked_frames(representation.extract([waveform])[0])
    states = reference_states(tmp_path, waveform)
    assert representation.layers == indices
    expected = np.stack([states[index] for index in indices])
    np.testing.assert_allclose(frames, expected, atol=2e-5)


def test_the_default_storage_dtype_is_float16(tmp_path: Path) -> None:
    settings = TransformersAudioSettings(
        kind="transformers_audio", model=str(save_model(tmp_path, "hubert"))
    )
    representation: Any = build_representation(settings)
    assert representation.dtype == "float16"
    assert representation.extract([noise(0.5)])[0].frames.dtype == np.float16


@pytest.mark.parametrize("name", CONFIGS)
def test_an_utterance_does_not_depend_on_its_batch(tmp_path: Path, name: str) -> None:
    representation = build(save_model(tmp_path, name), "all")
    batch: list[Any] = [noise(0.4, 1), 3 * noise(1.1, 2), noise(0.1, 3), noise(1.1, 4)]
    batched = (
        representation.extract(batch) if CONFIGS[name].model_type in BATCH_INVARIANT_TYPES else []
    )
    for waveform, features in zip(batch, batched, strict=False):
        single = unchunked_frames(representation.extract([waveform])[0])
        frames = unchunked_frames(features)
        assert frames.shape == single.shape == (3, (len(waveform) - 400) // 320 + 1, 16)
        assert np.linalg.norm(frames - single) / np.linalg.norm(single) < 1e-5
    assert bool(batched) == (name not in READ_BEYOND_THE_END)


@pytest.mark.parametrize("name", sorted(READ_BEYOND_THE_END))
def test_model_types_that_depend_on_padding_are_not_batched(tmp_path: Path, name: str) -> None:
    """Their convolutions read beyond the end, so padding changes the last frames."""
    representation = build(save_model(tmp_path, name))
    short: Any = noise(0.5, 1)
    batched = unchunked_frames(representation.extract([short, noise(1.0, 2)])[0])
    single = unchunked_frames(representation.extract([short])[0])
    assert np.abs(batched - single).max() > 1e-3
    representation.to("cpu")
    assert representation.batch_seconds == 0.0


@pytest.mark.parametrize("name", CONFIGS)
def test_operations_can_be_counted(tmp_path: Path, name: str) -> None:
    one, two = (count_operations(build(save_model(tmp_path, name)), n) for n in (1.0, 2.0))
    assert 1e6 < one < two


def test_long_utterances_are_computed_in_chunks(tmp_path: Path) -> None:
    folder = save_model(tmp_path, "wav2vec2-large", normalise=False)
    representation = build(folder, [1, 2], chunk_seconds=5.0)
    waveform: Any = noise(12.3)
    (features,) = representation.extract([waveform])
    whole = build(folder, [1, 2]).extract([waveform])[0]
    assert (features.chunks, whole.chunks) == (4, 1)
    assert features.frames.shape == whole.frames.shape == (2, 614, 16)
    # The first frames are taken from the first chunk.
    first = representation.extract([waveform[: 5 * 16_000 + 80]])[0]
    np.testing.assert_allclose(features.frames[:, :180], first.frames[:, :180], atol=1e-5)
    assert not np.allclose(features.frames, whole.frames, atol=1e-3)
    # An utterance of exactly the limit is not chunked.
    assert representation.extract([noise(5.0)])[0].chunks == 1


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_precision(tmp_path: Path, precision: Any) -> None:
    folder = save_model(tmp_path, "wav2vec2-base")
    waveform: Any = noise(1.0)
    exact = unchunked_frames(build(folder).extract([waveform])[0])
    frames = unchunked_frames(build(folder, precision=precision).extract([waveform])[0])
    error = np.linalg.norm(frames - exact) / np.linalg.norm(exact)
    assert error == 0 if precision == "float32" else 1e-4 < error < 0.05


def test_the_preprocessing_of_the_model_is_applied(tmp_path: Path) -> None:
    unnormalised = build(save_model(tmp_path / "unnormalised", "wav2vec2-large", normalise=False))
    normalised = build(save_model(tmp_path / "normalised", "wav2vec2-large", normalise=True))
    quiet: Any = 0.01 * noise(0.5)
    frames = unchunked_frames(unnormalised.extract([quiet])[0])
    normalised_frames = unchunked_frames(normalised.extract([quiet])[0])
    assert not np.allclose(frames, normalised_frames, atol=0.05)
    assert unnormalised.checkpoint_sha256 != normalised.checkpoint_sha256


def test_the_digest_depends_on_the_weights(tmp_path: Path) -> None:
    first = build(save_model(tmp_path / "one", "hubert"))
    assert (
        first.checkpoint_sha256 == build(save_model(tmp_path / "two", "hubert")).checkpoint_sha256
    )
    path = tmp_path / "two" / "model.safetensors"
    weights = load_file(path)
    weights["encoder.layers.0.attention.k_proj.bias"] += 1
    save_file(weights, path, metadata={"format": "pt"})
    assert first.checkpoint_sha256 != build(tmp_path / "two").checkpoint_sha256


def test_half_precision_weights_are_computed_in_float32(tmp_path: Path) -> None:
    folder = save_model(tmp_path, "hubert")
    path = folder / "model.safetensors"
    halved = {name: value.half() for name, value in load_file(path).items()}
    save_file(halved, path, metadata={"format": "pt"})
    transformers.AutoModel.from_pretrained(folder, dtype="float16").save_pretrained(folder)
    representation = build(folder)
    frames = unchunked_frames(representation.extract([noise(0.5)])[0])
    assert frames.dtype == np.float32
    assert not np.array_equal(frames, frames.astype(np.float16))


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    path = save_model(tmp_path, "wav2vec2-base") / "model.safetensors"
    weights = load_file(path)
    del weights["encoder.layers.1.attention.k_proj.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks weights .*encoder\.layers\.1\.attention"):
        build(tmp_path)


def test_damaged_and_mismatched_weights_are_refused(tmp_path: Path) -> None:
    folder = save_model(tmp_path, "wav2vec2-base")
    path = folder / "model.safetensors"
    content = path.read_bytes()
    weights = {
        name: value.clone() for name, value in load_file(path).items()
    }  # copies, because the file is overwritten
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="cannot be loaded as a speech model"):
        build(folder)
    name = "encoder.layers.1.attention.k_proj.weight"
    save_file({**weights, name: torch.ones(3, 3)}, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=f"lacks weights of its model: {name}"):
        build(folder)
    path.unlink()
    torch.save({"args": Path("not a tensor")}, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="damaged or contains more than weights"):
        build(folder)


def test_unusable_models_are_reported(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="deep does not exist; name the folder of a speech"):
        build(tmp_path / "missing" / "folder" / "deep")
    save_model(tmp_path / "hubert", "hubert")
    for layer in (3, -4, [0, 3]):
        with pytest.raises(CheckpointError, match=r"hidden states 0 to 2; there is no layer"):
            build(tmp_path / "hubert", layer=layer)
    (tmp_path / "hubert" / "preprocessor_config.json").unlink()
    with pytest.raises(CheckpointError, match="cannot be loaded as a speech model"):
        build(tmp_path / "hubert")
    transformers.BertConfig(hidden_size=8, num_attention_heads=2).save_pretrained(tmp_path / "bert")
    with pytest.raises(
        CheckpointError, match=r"of the type bert; transformers_audio supports wav2vec2"
    ):
        build(tmp_path / "bert")


def test_an_utterance_that_is_too_short_is_reported(tmp_path: Path) -> None:
    representation = build(save_model(tmp_path, "wav2vec2-base"))
    assert unchunked_frames(representation.extract([noise(400 / 16_000)])[0]).shape == (1, 16)
    with pytest.raises(AudioError, match="399 samples are fewer than the 400 of one frame"):
        representation.extract([noise(399 / 16_000)])


@pytest.mark.parametrize("sample_rate", [8_000, 24_000])
def test_waveforms_are_resampled_to_the_rate_of_the_model(tmp_path: Path, sample_rate: int) -> None:
    folder = save_model(tmp_path, "hubert")
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=sample_rate).save_pretrained(folder)
    representation = build(folder)
    waveform: Any = noise(0.7)
    resampled = soxr.resample(waveform, 16_000, sample_rate, quality="VHQ")
    frames = unchunked_frames(representation.extract([waveform])[0])
    np.testing.assert_allclose(frames, reference_states(folder, resampled)[-1], atol=2e-5)
    assert representation.frame_rate == sample_rate / 320
    assert len(frames) == (len(resampled) - 400) // 320 + 1
    assert build(folder, chunk_seconds=5.0).extract([noise(5.1)])[0].chunks == 2


@pytest.fixture(scope="module")
def whisper_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whisper")
    torch.manual_seed(2)
    transformers.WhisperModel(WHISPER).save_pretrained(folder)
    transformers.WhisperFeatureExtractor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def voxtral_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("voxtral")
    torch.manual_seed(2)
    transformers.VoxtralForConditionalGeneration(VOXTRAL).save_pretrained(folder)
    transformers.WhisperFeatureExtractor().save_pretrained(folder)
    return folder


def build_whisper(folder: Path, layer: Any = -1) -> WhisperEncoder:
    representation = build_representation(
        TransformersAudioSettings(
            kind="transformers_audio", model=str(folder), layer=layer, storage_dtype="float32"
        )
    )
    assert isinstance(representation, WhisperEncoder)
    return representation


@pytest.mark.parametrize("name", ["whisper", "voxtral"])
@pytest.mark.parametrize("layer", [0, 1, -1, [0, 1], [1, 2], "all"])
def test_encoders_of_30_seconds_against_transformers(
    whisper_folder: Path, voxtral_folder: Path, name: str, layer: Any
) -> None:
    folder = whisper_folder if name == "whisper" else voxtral_folder
    representation = build_whisper(folder, layer)
    waveform: Any = noise(0.51)
    (features,) = representation.extract([waveform])
    model = transformers.AutoModel.from_pretrained(folder).eval()
    encoder = model.encoder if name == "whisper" else model.audio_tower
    extractor = transformers.WhisperFeatureExtractor.from_pretrained(folder)
    inputs = extractor(waveform, sampling_rate=16_000, return_tensors="pt").input_features
    with torch.inference_mode():
        output = encoder(inputs, output_hidden_states=True)
    states = [
        state[0, :26].numpy() for state in output.hidden_states
    ]  # 0.51 s, rounded up to 26 frames
    indices = [0, 1, 2] if layer == "all" else layer
    expected = np.stack(states)[indices]
    np.testing.assert_allclose(features.frames, expected, atol=2e-5)
    assert (representation.dimension, representation.frame_rate, features.chunks) == (16, 50.0, 1)


def test_whisper_computes_chunks_of_30_seconds(whisper_folder: Path) -> None:
    representation = build_whisper(whisper_folder)
    waveform: Any = noise(31.0)
    (features,) = representation.extract([waveform])
    assert (features.chunks, len(features.frames)) == (2, 1550)
    (remainder,) = representation.extract([waveform[30 * 16_000 :]])
    np.testing.assert_allclose(features.frames[1500:], remainder.frames, atol=1e-5)
    batched = representation.extract([waveform[:8000], waveform[30 * 16_000 :]])
    np.testing.assert_allclose(batched[1].frames, remainder.frames, atol=1e-5)
