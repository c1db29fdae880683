"""Random features and networks of true size, for the checks and the benchmark on a GPU.

They need torch, numpy, safetensors, transformers, PyYAML and rich only: settings are plain
namespaces instead of the models of `emoscale.config`, with the same keys and defaults.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emoscale.audio.waveform import SAMPLE_RATE, Waveform
from emoscale.models.contract import InputShape
from emoscale.representations.audio_models import AudioModel
from emoscale.representations.torchaudio_guard import import_torchaudio
from emoscale.representations.transformers_audio import TransformersAudio
from emoscale.representations.wav2vec import Wav2VecFeatures
from emoscale.representations.wav2vec_model import Wav2Vec, Wav2VecArchitecture
from emoscale.representations.whisper import WhisperEncoder
from emoscale.store.features import Features
from emoscale.training.cell_features import CellFeatures
from emoscale.training.tasks import PlannedTraining
from emoscale.training.trainer import TrainingTask

CLASSES = 4
TOKENS_PER_SECOND = 3.0

MODEL_DEFAULTS: dict[str, dict[str, Any]] = {
    "pooled": {"projection_size": 256, "activation": "relu", "pooling": "mean", "dropout": 0.0},
    "convolutional": {
        "layers": ((128, 1), (128, 1)),
        "pooling": "mean",
        "hidden_size": 128,
        "dropout": 0.2,
    },
    "recurrent": {
        "rnn_type": "gru",
        "hidden_size": 128,
        "num_layers": 1,
        "pooling": "attention",
        "dropout": 0.2,
    },
    "waveform": {
        "layers": ((32, 80, 20), (64, 8, 4), (64, 4, 2), (64, 4, 2)),
        "dropout": 0.0,
    },
    "aligned_fusion": {"hidden_size": 100, "num_heads": 8, "within_word": False, "dropout": 0.5},
    "early_fusion": {"projection_size": 128, "pooling": "mean", "hidden_size": 128, "dropout": 0.2},
    "late_fusion": {},
}
TRAINING_DEFAULTS: dict[str, Any] = {
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "batch_size": 32,
    "maximum_steps": 2000,
    "early_stopping": True,
    "steps_between_evaluations": 50,
    "patience": 10,
    "normalisation": "training",
    "feature_clip": 10.0,
    "class_balance": "weights",
    "targets": "majority",
    "label_smoothing": 0.0,
    "gradient_clip": None,
    "precision": "float32",
}

SHAPES = {
    "mfcc": InputShape(120, None, 100.0),
    "compare_frames": InputShape(65, None, 100.0),
    "logmel": InputShape(80, None, 100.0),
    "waveform": InputShape(1, None, float(SAMPLE_RATE)),
    "wav2vec": InputShape(512, None, 100.0),
    "vq_wav2vec": InputShape(512, None, 100.0),
    "code_roberta": InputShape(768, None, 100.0),
    "wav2vec2": InputShape(768, 5, 50.0),
    "hubert": InputShape(768, None, 50.0),
    "wavlm": InputShape(768, None, 50.0),
    "bert": InputShape(768),
}
"""Inputs of models, by the names of representations in config/iemocap.yaml."""


class Case(NamedTuple):
    """A classifier with its inputs and training."""

    model: dict[str, Any]
    """Settings that differ from the defaults."""

    inputs: tuple[str, ...] = ("wav2vec",)
    """Names in `SHAPES`."""

    training: dict[str, Any] = {}  # noqa: RUF012 - never changed
    """Settings that differ from the defaults."""


RECURRENT = {"kind": "recurrent", "hidden_size": 100, "dropout": 0.5}
CASES = {
    "pooled, mean": Case({"kind": "pooled", "dropout": 0.2}),
    "pooled, mean, bfloat16": Case({"kind": "pooled"}, training={"precision": "bfloat16"}),
    "pooled, mean_std": Case({"kind": "pooled", "pooling": "mean_std", "dropout": 0.2}),
    "pooled, attention": Case({"kind": "pooled", "pooling": "attention", "dropout": 0.2}),
    "pooled, attentive_statistics": Case({"kind": "pooled", "pooling": "attentive_statistics"}),
    "pooled, layers": Case({"kind": "pooled", "activation": "none"}, ("wav2vec2",)),
    "convolutional": Case(
        {"kind": "convolutional", "layers": ((128, 5), (128, 3)), "pooling": "attention"}
    ),
    "recurrent, gru": Case(RECURRENT | {"num_layers": 2}),
    "recurrent, lstm": Case(RECURRENT | {"rnn_type": "lstm"}),
    "early_fusion": Case({"kind": "early_fusion", "dropout": 0.5}, ("wav2vec", "bert")),
    "late_fusion": Case(
        {"kind": "late_fusion", "branches": (RECURRENT, {"kind": "pooled"})}, ("wav2vec", "bert")
    ),
    "aligned_fusion": Case({"kind": "aligned_fusion"}, ("wav2vec", "bert")),
    "aligned_fusion, within_word": Case(
        {"kind": "aligned_fusion", "within_word": True}, ("wav2vec", "bert")
    ),
    "waveform": Case(
        {"kind": "waveform", "layers": ((64, 80, 20), (128, 8, 4), (128, 4, 2), (128, 4, 2))},
        ("waveform",),
    ),
}
"""Every kind of network."""


def model_settings(values: Mapping[str, Any], dropout: float | None = None) -> Any:
    """Return the settings of a model, with the defaults of its kind, and optionally a dropout."""
    settings = {**MODEL_DEFAULTS[values["kind"]], **values}
    if dropout is not None and "dropout" in settings:
        settings["dropout"] = dropout
    if "branches" in settings:
        settings["branches"] = [model_settings(each, dropout) for each in settings["branches"]]
    return SimpleNamespace(**settings)


def training_settings(values: Mapping[str, Any]) -> Any:
    """Return the settings of a training, with defaults and without augmentation."""
    no_augmentation = SimpleNamespace(is_on=lambda: False)
    return SimpleNamespace(**{**TRAINING_DEFAULTS, **values}, augmentation=no_augmentation)


def shapes_of(case: Case, tiny: bool) -> list[InputShape]:
    """Return the shapes of a case's inputs; tiny: few values per frame, few frames per second."""
    shapes = [SHAPES[name] for name in case.inputs]
    if not tiny:
        return shapes
    return [
        replace(
            shape,
            dimension=min(8, shape.dimension),
            frame_rate=None if shape.frame_rate is None else shape.frame_rate / 40,
        )
        for shape in shapes
    ]


def iemocap_seconds(count: int) -> NDArray[np.float64]:
    """Return durations as in IEMOCAP: log-normal quantiles of 1 to 20 s, median 3.6, mean 4.5."""
    normal = NormalDist()
    quantiles = [normal.inv_cdf((index + 0.5) / count) for index in range(count)]
    random = np.random.default_rng(1)
    durations: NDArray[np.float64] = 3.6 * np.exp(0.7 * random.permutation(quantiles))
    return durations.clip(1.0, 20.0)


def random_features(
    shape: InputShape, seconds: NDArray[np.float64], std_of_means: float = 0.0
) -> Features:
    """Return random features in memory; tokens have times, one in twenty is without.

    The standard deviation of the frames is 1, and that of the utterances' means is chosen: with 0,
    utterances hardly differ after pooling.
    """
    lengths = np.maximum(1, seconds * (shape.frame_rate or TOKENS_PER_SECOND)).astype(np.int64)
    frame_shape = (shape.dimension,) if shape.layers is None else (shape.layers, shape.dimension)
    total, random = int(lengths.sum()), np.random.default_rng(shape.dimension)
    dtype, scale = (np.int16, 1000) if shape.dimension == 1 else (np.float16, 1)  # as are stored
    block = random.standard_normal((min(total, 5_000), *frame_shape), dtype=np.float32)
    frames = np.resize((scale * block).astype(dtype), (total, *frame_shape))
    if std_of_means:
        means = scale * std_of_means * random.standard_normal((len(lengths), *frame_shape))
        frames += np.repeat(means.astype(dtype), lengths, axis=0)
    if shape.frame_rate is not None:
        return Features.packed(frames, lengths)
    starts = np.concatenate([np.arange(length) for length in lengths]) / TOKENS_PER_SECOND
    times = np.stack([starts, starts + 0.8 / TOKENS_PER_SECOND], axis=1)
    times[::20] = np.nan
    return Features.packed(frames, lengths, seconds=times)


def cell_features(
    stored: Sequence[Features], device: torch.device, resident: bool | None = None
) -> CellFeatures:
    """Return the features of a cell with the given inputs."""
    utterances = [str(number) for number in range(len(stored[0].lengths))]
    return CellFeatures(utterances, stored, device, resident=resident)


def plan_training(
    identity: str,
    model: Any,
    features: CellFeatures,
    settings: Any,
    training: Tensor,
    development: Tensor,
) -> PlannedTraining:
    """Return a training on some utterances, with random labels."""
    labels = torch.arange(len(features.index_of), device=features.device) % CLASSES
    targets = nn.functional.one_hot(labels, CLASSES).float()
    task = TrainingTask((1, "fold1", "all", 0), training, development, labels, targets, settings)
    return PlannedTraining(identity, task, model)


WAV2VEC_LARGE = {
    "conv_feature_layers": "[(512, 10, 5), (512, 8, 4)] + [(512, 4, 2)] * 3 + [(512, 1, 1)] * 2",
    "conv_aggregator_layers": str([(512, kernel, 1) for kernel in range(2, 14)]),
    "log_compression": True,
    "skip_connections_agg": True,
    "residual_scale": 0.5,
}
_LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
}
_TINY = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": (32,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
_TINY_WHISPER = {
    "d_model": 32,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
}
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec_large": ("wav2vec", WAV2VEC_LARGE),
    "wav2vec 2.0 base": ("Wav2Vec2", {}),
    "wav2vec 2.0 large": ("Wav2Vec2", {**_LARGE, "conv_bias": True}),
    "WavLM base": ("WavLM", {}),
    "WavLM large": ("WavLM", _LARGE),
    "Whisper base": (
        "Whisper",
        {
            "d_model": 512,
            "encoder_layers": 6,
            "encoder_attention_heads": 8,
            "encoder_ffn_dim": 2048,
        },
    ),
    "Whisper large": (
        "Whisper",
        {
            "d_model": 1280,
            "encoder_layers": 32,
            "encoder_attention_heads": 20,
            "encoder_ffn_dim": 5120,
            "num_mel_bins": 128,
        },
    ),
}
"""Class of the network and its arguments; the defaults of transformers are the base models."""


def random_network(name: str, device: str, tiny: bool = False) -> Any:
    """Return a network with random weights on a device, which may be `meta`."""
    kind, arguments = ARCHITECTURES[name]
    with torch.device(device):
        torch.manual_seed(1)
        if kind == "wav2vec":
            if tiny:
                arguments = {
                    key: value.replace("512", "32") if isinstance(value, str) else value
                    for key, value in arguments.items()
                }
            return Wav2Vec(Wav2VecArchitecture.from_arguments(arguments)).eval()
        transformers = _import_transformers()
        if tiny:
            arguments = arguments | (_TINY_WHISPER if kind == "Whisper" else _TINY)
        if kind == "Whisper":
            heads = arguments["encoder_attention_heads"]  # of a decoder that is not used
            arguments = arguments | {"decoder_layers": 1, "decoder_attention_heads": heads}
        config = getattr(transformers, f"{kind}Config")(**arguments)
        network = getattr(transformers, f"{kind}Model")(config).eval()
        return network.encoder if kind == "Whisper" else network


def random_representation(
    name: str, network: Any, precision: str, folder: Path, storage_dtype: str = "float16"
) -> Any:
    """Return the project's representation of a network, on the network's device.

    The network becomes a part of it; a checkpoint in fairseq's format is written to `folder`.
    """
    settings: Any = SimpleNamespace(precision=precision, storage_dtype=storage_dtype)
    device = next(network.parameters()).device.type
    representation: Any
    if isinstance(network, Wav2Vec):
        arguments = argparse.Namespace(**_arguments_of(network))
        settings.output, settings.checkpoint = "c", folder / "wav2vec.pt"
        torch.save({"args": arguments, "model": network.state_dict()}, settings.checkpoint)
        representation = Wav2VecFeatures(settings)
    else:
        transformers = _import_transformers()
        settings.model, settings.layer, settings.chunk_seconds = name, -1, 60.0
        if name.startswith("Whisper"):
            extractor = transformers.WhisperFeatureExtractor(network.config.num_mel_bins)
            representation = WhisperEncoder(settings, AudioModel(network, extractor, ""))
        else:
            extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=False)
            representation = TransformersAudio(settings, AudioModel(network, extractor, ""))
    representation.to(device)
    return representation


def random_waveforms(seconds: NDArray[np.float64]) -> list[Waveform]:
    """Return one random waveform [samples] at 16 kHz per duration."""
    random = np.random.default_rng(2)
    return [
        0.1 * random.standard_normal(round(each * SAMPLE_RATE), dtype=np.float32)
        for each in seconds
    ]


def _arguments_of(network: Wav2Vec) -> dict[str, Any]:
    layers = network.architecture.encoder, network.architecture.aggregator
    names = "conv_feature_layers", "conv_aggregator_layers"
    return WAV2VEC_LARGE | dict(zip(names, map(str, layers), strict=True))


def _import_transformers() -> Any:
    if importlib.util.find_spec("torchaudio") is not None:
        import_torchaudio()  # transformers imports it and would fail beside a CPU build of torch
    import transformers

    return transformers
