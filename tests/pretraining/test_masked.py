"""wav2vec 2.0's objective against transformers, and its training in the loop."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from emoscale.config.pretraining import FolderSpeech
from emoscale.config.pretraining import Wav2Vec2Pretraining as Wav2Vec2Settings
from emoscale.config.representations import TransformersAudioSettings
from emoscale.pretraining import masked, trainer
from emoscale.pretraining.crops import SpeechFile
from emoscale.pretraining.masked import MaskSample, Wav2Vec2Pretraining, normalise
from emoscale.pretraining.trainer import Work, train
from emoscale.representations.registry import build_representation
from emoscale.representations.torchaudio_guard import import_torchaudio
from emoscale.runtime.errors import CheckpointError, ConfigurationError

import_torchaudio()
import transformers  # noqa: E402

TINY: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "num_codevectors_per_group": 6,
    "codevector_dim": 8,
    "proj_codevector_dim": 8,
    "num_negatives": 10,
    "mask_time_length": 3,
}


def settings(architecture: Any = TINY, **values: Any) -> Wav2Vec2Settings:
    defaults: dict[str, Any] = {
        "speech": FolderSpeech(reader="folder", root="speech"),
        "steps": 20,
        "warmup_steps": 2,
        "learning_rate": 0.005,
        "batch_seconds": 6.0,
        "micro_batch_seconds": 3.0,
    }
    return Wav2Vec2Settings(pretrain="wav2vec2", architecture=architecture, **defaults | values)


def network(seed: int = 1, **values: Any) -> Wav2Vec2Pretraining:
    torch.manual_seed(seed)
    built = Wav2Vec2Pretraining(settings(TINY | values).configuration())
    with torch.no_grad():
        for parameter in built.parameters():  # norms and biases are initialised to one and zero
            parameter.add_(0.05 * torch.randn_like(parameter))
    return built


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def waveforms(batch: int = 2, samples: int = 16_000) -> torch.Tensor:
    values = np.random.default_rng(9).normal(0.02, 0.1, (batch, samples))
    return torch.from_numpy(values.astype(np.float32))


def direct(built: Wav2Vec2Pretraining, values: torch.Tensor, sampled: MaskSample) -> Any:
    """Compute transformers' output from waveforms that its preprocessor normalised."""
    preprocessor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    prepared = preprocessor(list(values.numpy()), sampling_rate=16_000, return_tensors="pt")
    return built.network(
        prepared.input_values,
        mask_time_indices=sampled.mask,
        sampled_negative_indices=sampled.negatives,
    )


@pytest.mark.parametrize("training", [True, False])
def test_loss_and_count_are_those_of_transformers(training: bool) -> None:
    built = network().train(training)
    built.set_step(200_000)
    sampled = built.sample(2, 16_000, generator())
    torch.manual_seed(3)
    objective = built(waveforms(), sampled)
    torch.manual_seed(3)
    expected = direct(built, waveforms(), sampled)
    assert objective.loss.item() == pytest.approx(expected.loss.item(), rel=1e-5)
    assert objective.count == int(sampled.mask.sum()) > 0
    # transformers' loss is a sum: without the diversity loss, about log(11) per masked frame
    per_frame = expected.contrastive_loss.item() / objective.count
    assert 0.2 < per_frame / np.log(11) < 5


def test_bfloat16_gives_nearly_the_same_loss() -> None:
    built = network().eval()
    sampled = built.sample(2, 16_000, generator())
    expected = built(waveforms(), sampled)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = built(waveforms(), sampled)
    assert rounded.loss.item() != expected.loss.item()
    assert rounded.loss.item() == pytest.approx(expected.loss.item(), rel=0.1)


def test_waveforms_are_normalised_as_by_the_preprocessor() -> None:
    short = waveforms(3, 20)
    short[2] = 0.1  # no variance
    preprocessor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    expected = preprocessor(list(short.numpy()), sampling_rate=16_000, return_tensors="np")
    assert np.abs(normalise(short).numpy() - expected.input_values).max() < 1e-4


def test_gradients_of_two_batches_add_and_reach_every_weight() -> None:
    built = network(hidden_dropout=0.0, activation_dropout=0.0, attention_dropout=0.0).eval()
    samples = [built.sample(2, 16_000, generator(seed)) for seed in (1, 2)]
    batches = [waveforms(), waveforms().flip(1)]
    for values, sampled in zip(batches, samples, strict=True):
        # In evaluation, codes are not differentiable: the quantiser's projection has no gradient.
        built.network.quantizer.train()
        torch.manual_seed(3)
        built(values, sampled).loss.backward()
    added = {name: parameter.grad for name, parameter in built.named_parameters()}
    built.zero_grad(set_to_none=True)
    losses = []
    for values, sampled in zip(batches, samples, strict=True):
        torch.manual_seed(3)
        losses.append(built(values, sampled).loss)
    (losses[0] + losses[1]).backward()
    for name, parameter in built.named_parameters():
        other = added[name]
        assert parameter.grad is not None
        assert other is not None
        assert torch.allclose(parameter.grad, other, rtol=1e-3, atol=1e-4), name
        assert parameter.grad.abs().max() > 0, name


def test_first_counts_the_frames_that_a_plain_computation_counts() -> None:
    built = network(num_codevectors_per_group=2).train()
    sampled = built.sample(3, 16_000, generator())
    torch.manual_seed(3)
    objective = built(waveforms(3), sampled)
    torch.manual_seed(3)
    output = direct(built, waveforms(3), sampled)
    states = output.projected_states.detach().numpy().reshape(-1, 8)
    quantised = output.projected_quantized_states.detach().numpy().reshape(-1, 8)
    negatives = sampled.negatives.reshape(len(states), -1).numpy()

    def cosine(one: Any, other: Any) -> float:
        return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))

    expected, equal = 0, 0
    for frame in np.flatnonzero(sampled.mask.flatten().numpy()):
        true = quantised[frame]
        others = [quantised[index] for index in negatives[frame]]
        differing = [other for other in others if (other != true).any()]
        equal += len(differing) < len(others)
        similarities = [cosine(states[frame], other) for other in differing]
        expected += bool(differing) and max(similarities) < cosine(states[frame], true)
    assert equal > 0  # some negatives have the code of the true frame
    assert 0 < expected < objective.count
    assert objective.first.item() == expected


def test_a_collapsed_codebook_is_not_first() -> None:
    built = network().train()
    with torch.no_grad():
        built.network.quantizer.codevectors.fill_(0.3)
    objective = built(waveforms(), built.sample(2, 16_000, generator()))
    assert objective.first.item() == 0


def test_the_sample_depends_on_the_generator_only() -> None:
    built = network()
    np.random.seed(7)
    before = np.random.get_state(legacy=False)
    one = built.sample(2, 16_000, generator())
    after = np.random.get_state(legacy=False)
    assert str(after) == str(before)
    assert (after["state"]["key"] == before["state"]["key"]).all()
    np.random.seed(8)
    same, other = (built.sample(2, 16_000, generator(seed)) for seed in (1, 2))
    assert torch.equal(one.mask, same.mask)
    assert torch.equal(one.negatives, same.negatives)
    assert not torch.equal(one.mask, other.mask)


def test_negatives_are_other_masked_frames_of_the_crop() -> None:
    built = network(num_negatives=200)
    mask, negatives = built.sample(2, 16_000, generator())
    frames = torch.arange(mask.numel()).view(mask.shape)
    for crop in range(2):
        candidates = set(frames[crop][mask[crop]].tolist())
        for frame in candidates:
            sampled = set(negatives[crop, frame % mask.shape[1]].tolist())
            assert sampled == candidates - {frame}


@pytest.mark.parametrize("length", [1, 2, 3, 10])
@pytest.mark.parametrize("probability", [0.001, 0.65, 1.0])
def test_the_shortest_crop_has_a_mask(length: int, probability: float) -> None:
    built = network(mask_time_length=length, mask_time_prob=probability, mask_time_min_masks=0)
    shortest = built.minimum_samples
    for seed in range(20):
        mask, negatives = built.sample(2, shortest, generator(seed))
        assert (mask.sum(dim=1) >= 2).all()
        assert not mask.all(dim=1).any() or probability == 1
    objective = built.train()(waveforms(2, shortest), MaskSample(mask, negatives))
    assert objective.loss.isfinite()
    with pytest.raises(ConfigurationError, match="raise crop_seconds"):
        built.sample(2, shortest - 1, generator())
    assert built.network(waveforms(1, shortest)).projected_states.shape[1] == mask.shape[1]
    assert built.network(waveforms(1, shortest - 1)).projected_states.shape[1] < mask.shape[1]


def test_the_pretraining_masks_half_of_the_frames() -> None:
    """Baevski et al. 2020: 49 % of the frames, with spans of 10 frames."""
    built = Wav2Vec2Pretraining(settings("small").configuration())
    mask, _ = built.sample(50, 150_000, generator())
    assert mask.float().mean().item() == pytest.approx(0.49, abs=0.02)
    assert 1e6 < sum(parameter.numel() for parameter in built.parameters()) < 2e6


@pytest.fixture
def speech(tmp_path: Path) -> list[SpeechFile]:
    """Tones, each of another pitch and with noise."""
    random = np.random.default_rng(1)
    files = []
    for number in range(8):
        time = np.arange(24_000) / 16_000
        pitch = 150 + 60 * number + 40 * np.sin(2 * np.pi * (1 + number / 4) * time)
        tone = 0.2 * np.sin(2 * np.pi * np.cumsum(pitch) / 16_000)
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, tone + 0.01 * random.normal(size=len(time)), 16_000)
        files.append(SpeechFile(path, 0.0, 1.5))
    return files


class Interrupted(Wav2Vec2Pretraining):
    """A network whose training ends before step 12."""

    def set_step(self, step: int) -> None:
        if step == 12:
            raise KeyboardInterrupt
        super().set_step(step)


def test_an_interrupted_training_continues_with_equal_results(
    tmp_path: Path, speech: list[SpeechFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr(masked, "gumbel_temperature", lambda step: 2 - step / 20)
    work = Work(speech[:6], speech[6:], torch.device("cpu"), tmp_path / "state", "identity")
    elsewhere = dataclasses.replace(work, state=tmp_path / "state2")
    uninterrupted = network()
    expected = train(uninterrupted, settings(), work, lambda line: None)
    assert expected[-1].held_out_loss < expected[0].held_out_loss - 0.1
    assert uninterrupted.network.quantizer.temperature == pytest.approx(2 - 19 / 20)

    interrupted = network()
    interrupted.__class__ = Interrupted
    with pytest.raises(KeyboardInterrupt):
        train(interrupted, settings(), elsewhere, lambda line: None)
    continued = network(seed=2)
    measurements = train(continued, settings(), elsewhere, lambda line: None)
    assert json.dumps([dataclasses.asdict(each) for each in measurements]) == json.dumps(
        [dataclasses.asdict(each) for each in expected]
    )
    for one, other in zip(uninterrupted.parameters(), continued.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_a_saved_model_is_read_by_transformers_audio(tmp_path: Path, norm: str) -> None:
    built = network(feat_extract_norm=norm, do_stable_layer_norm=norm == "layer").eval()
    built.save(tmp_path)
    representation = build_representation(
        TransformersAudioSettings(
            kind="transformers_audio", model=str(tmp_path), layer="all", storage_dtype="float32"
        )
    )
    features = representation.extract([waveforms(1)[0].numpy()])[0].frames
    with torch.no_grad():
        states = built.network.wav2vec2(normalise(waveforms(1)), output_hidden_states=True)
    expected = torch.stack(states.hidden_states)[:, 0].numpy()
    expected[-1] = states.last_hidden_state[0].numpy()
    assert features.shape == expected.shape
    assert np.abs(features - expected).max() < 1e-4
    assert np.abs(expected).max() > 0.1


def test_equal_weights_are_saved_as_equal_bytes(tmp_path: Path) -> None:
    network().save(tmp_path / "one")
    continued = network(seed=2)
    continued.load(str(tmp_path / "one"))
    continued.save(tmp_path / "two")
    network(seed=2).save(tmp_path / "three")
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["config.json", "model.safetensors", "preprocessor_config.json"]
    one, two, three = (
        [(tmp_path / folder / name).read_bytes() for name in names]
        for folder in ("one", "two", "three")
    )
    assert one == two
    assert one != three


def test_training_continues_from_a_published_folder(tmp_path: Path) -> None:
    """Public folders have the former names of weight norm, and other settings of training."""
    network().save(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    renamed = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): value
        for name, value in weights.items()
    }
    assert set(renamed) != set(weights)
    save_file(renamed, tmp_path / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"mask_time_prob": 0.05, "layerdrop": 0.1, "gradient_checkpointing": False}
    (tmp_path / "config.json").write_text(json.dumps(config))
    preprocessor = json.loads((tmp_path / "preprocessor_config.json").read_text())
    preprocessor["do_normalize"] = False
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    continued = network(seed=2)
    continued.load(str(tmp_path))
    for one, other in zip(network().parameters(), continued.parameters(), strict=True):
        assert torch.equal(one, other)
    sampled = continued.sample(2, 16_000, generator())
    expected = continued.network.eval()(
        waveforms(), mask_time_indices=sampled.mask, sampled_negative_indices=sampled.negatives
    )
    assert continued.eval()(waveforms(), sampled).loss.item() == expected.loss.item()
    continued.save(tmp_path / "saved")
    saved = json.loads((tmp_path / "saved" / "preprocessor_config.json").read_text())
    assert saved["do_normalize"] is False
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["layerdrop"] == 0


def test_folders_of_other_models_are_refused(tmp_path: Path) -> None:
    network().save(tmp_path / "tiny")
    with pytest.raises(CheckpointError, match=r"tiny has another architecture: its intermediate_"):
        network(intermediate_size=48).load(str(tmp_path / "tiny"))
    with pytest.raises(CheckpointError, match="its conv_stride is"):
        network(conv_stride=[5, 2, 2, 2, 2, 1, 4]).load(str(tmp_path / "tiny"))
    hubert = transformers.HubertConfig(**{key: TINY[key] for key in list(TINY)[:7]})
    transformers.HubertModel(hubert).save_pretrained(tmp_path / "hubert")
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "hubert")
    with pytest.raises(CheckpointError, match="is a model of the type hubert; wav2vec2 continues"):
        network().load(str(tmp_path / "hubert"))
    network().network.wav2vec2.save_pretrained(tmp_path / "tiny")
    with pytest.raises(CheckpointError, match="lacks weights of its model"):
        network().load(str(tmp_path / "tiny"))
    with pytest.raises(CheckpointError, match="is a file; wav2vec2 continues from a folder"):
        network().load(str(tmp_path / "tiny" / "config.json"))
    with pytest.raises(CheckpointError, match="does not exist"):
        network().load(str(tmp_path / "absent"))


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ({"hiden_size": 16}, "unknown key hiden_size; did you mean hidden_size?"),
        ({"num_attention_heads": "a"}, "Field 'num_attention_heads' expected int, got str"),
        ({"num_attention_heads": 3}, "embed_dim must be divisible by num_heads"),
        ({"mask_time_prob": 0.0}, "mask_time_prob is 0.0; it must be above 0"),
        ({"num_negatives": 0}, "num_negatives is 0"),
    ],
)
def test_impossible_architectures_are_one_sentence(
    architecture: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        network(**architecture)
    assert message in str(raised.value)
    assert "\\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [("layerdrop", 0.1), ("mask_feature_prob", 0.5), ("apply_spec_augment", False)],
)
def test_settings_that_no_pretraining_can_have_are_refused(key: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=f"{key} must be"):
        settings({key: value})
