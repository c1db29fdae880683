"""wav2vec and vq-wav2vec checkpoints with random weights, in fairseq's format.

The architectures are those of the public models with an eighth of their channels.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from emoscale.audio.waveform import SAMPLE_RATE
from emoscale.representations.quantiser import KmeansQuantiser, QuantiserArchitecture
from emoscale.representations.wav2vec_model import Wav2Vec, Wav2VecArchitecture

CHANNELS = 64
PREDICTION_STEPS = 12

_SOUNDS = 80
_SOUND_SAMPLES = 4_000

_AGGREGATOR = [(CHANNELS, kernel, 1) for kernel in range(2, 14)]
_COMMON_ARGUMENTS: dict[str, Any] = {
    "arch": "wav2vec",
    "conv_aggregator_layers": str(_AGGREGATOR),
    "skip_connections_feat": False,
    "skip_connections_agg": True,
    "residual_scale": 0.5,
    "offset": "auto",
    "prediction_steps": PREDICTION_STEPS,
}

# Arguments of wav2vec_large (Schneider et al. 2019).
_WAV2VEC_ARGUMENTS = _COMMON_ARGUMENTS | {
    "conv_feature_layers": f"[({CHANNELS}, 10, 5), ({CHANNELS}, 8, 4)] + [({CHANNELS}, 4, 2)] * 3 "
    f"+ [({CHANNELS}, 1, 1)] * 2",
    "activation": "relu",
    "log_compression": True,
    "vq_type": "none",
}

# Arguments of the public vq-wav2vec models with k-means (Baevski et al. 2020).
_VQ_WAV2VEC_ARGUMENTS = _COMMON_ARGUMENTS | {
    "conv_feature_layers": f"[({CHANNELS}, 10, 5), ({CHANNELS}, 8, 4)] + [({CHANNELS}, 4, 2)] * 3 "
    f"+ [({CHANNELS}, 1, 1)] * 3",
    "activation": "gelu",
    "log_compression": False,
    "vq_type": "kmeans",
    "vq_groups": 2,
    "vq_vars": 320,
    "combine_groups": True,
}


def write_wav2vec(path: Path) -> None:
    """Write a wav2vec checkpoint with weights from torch's random generator.

    Parameters
    ----------
    path : Path
        The file to write.
    """
    _save(path, _WAV2VEC_ARGUMENTS, _random_model(_WAV2VEC_ARGUMENTS))


def write_vq_wav2vec(path: Path) -> None:
    """Write a vq-wav2vec checkpoint (k-means) with weights from torch's random generator.

    Parameters
    ----------
    path : Path
        The file to write.
    """
    model = _random_model(_VQ_WAV2VEC_ARGUMENTS)
    architecture = QuantiserArchitecture.from_arguments(_VQ_WAV2VEC_ARGUMENTS, CHANNELS)
    quantiser = KmeansQuantiser(architecture)
    quantiser.embedding.data = _random_codebook(model, quantiser)
    model.vector_quantizer = quantiser
    _save(path, _VQ_WAV2VEC_ARGUMENTS, model)


def _random_model(arguments: dict[str, Any]) -> Wav2Vec:
    model = Wav2Vec(Wav2VecArchitecture.from_arguments(arguments))
    for layer in model.modules():
        if isinstance(layer, nn.Conv1d) and layer.in_channels > 1:
            # The inputs are outputs of an activation function and hardly ever negative. Filters
            # whose weights sum to zero suppress their mean, which would dominate the variation.
            layer.weight.data -= layer.weight.data.mean(dim=(1, 2), keepdim=True)
    return model


@torch.no_grad()
def _random_codebook(model: Wav2Vec, quantiser: KmeansQuantiser) -> Tensor:
    """Codebook [codes, 1, width]: the encoder's outputs at random frames of synthetic sounds.

    Vectors from a standard distribution would be far from all outputs of the encoder, so that few
    of them would ever be the nearest.
    """
    codes, _, width = quantiser.embedding.shape
    # In double precision, so that the number of threads does not change a rounded value.
    z = model.double().encode(_synthetic_sounds().double()[None])
    projected: Tensor = quantiser.double().projection(z)
    points = projected[0].reshape(-1, width, projected.shape[2]).transpose(1, 2).flatten(0, 1)
    return points[torch.randperm(len(points))[:codes]][:, None]


def _synthetic_sounds() -> Tensor:
    """20 s of harmonic sounds and noise at 16 kHz, with random pitch, timbre and loudness."""
    sounds = []
    time = torch.arange(_SOUND_SAMPLES) / SAMPLE_RATE
    for _ in range(_SOUNDS):
        pitch, tilt, loudness, noisiness = torch.rand(4).tolist()
        phase = 2 * torch.pi * (80 + 250 * pitch) * (time + 0.1 * time**2)
        voice = sum(
            torch.sin(number * phase) / number ** (0.5 + 1.5 * tilt) for number in range(1, 20)
        )
        noise = torch.randn(_SOUND_SAMPLES)
        sounds.append(10 ** (-2.5 + 2 * loudness) * ((1 - noisiness) * voice + noisiness * noise))
    return torch.cat(sounds)


def _save(path: Path, arguments: dict[str, Any], model: nn.Module) -> None:
    weights: dict[str, Tensor] = model.state_dict()
    # The prediction head of pre-training: public checkpoints contain it, features do not use it.
    head = nn.ConvTranspose2d(CHANNELS, CHANNELS, (1, PREDICTION_STEPS))
    for name, value in head.state_dict().items():
        weights[f"wav2vec_predictions.project_to_steps.{name}"] = value
    half_precision = {name: value.half() for name, value in weights.items()}
    torch.save({"args": argparse.Namespace(**arguments), "model": half_precision}, path)
