"""wav2vec and vq-wav2vec with random weights, as fairseq writes its checkpoints.

The architectures are those of the public models, with an eighth of their channels.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from emoscale.audio.decoding import SAMPLE_RATE
from emoscale.representations.quantiser import KmeansQuantiser, QuantiserArchitecture
from emoscale.representations.wav2vec_model import Wav2Vec, Wav2VecArchitecture

CHANNELS = 64
PREDICTION_STEPS = 12

_SOUNDS = 80
_SOUND_SAMPLES = 4_000

_AGGREGATOR = [(CHANNELS, kernel, 1) for kernel in range(2, 14)]
_SHARED: dict[str, Any] = {
    "arch": "wav2vec",
    "conv_aggregator_layers": str(_AGGREGATOR),
    "skip_connections_feat": False,
    "skip_connections_agg": True,
    "residual_scale": 0.5,
    "offset": "auto",
    "prediction_steps": PREDICTION_STEPS,
}

# wav2vec_large's (Schneider et al. 2019).
_WAV2VEC = _SHARED | {
    "conv_feature_layers": f"[({CHANNELS}, 10, 5), ({CHANNELS}, 8, 4)] + [({CHANNELS}, 4, 2)] * 3 "
    f"+ [({CHANNELS}, 1, 1)] * 2",
    "activation": "relu",
    "log_compression": True,
    "vq_type": "none",
}

# Of the public vq-wav2vec models (Baevski et al. 2020), with k-means.
_VQ_WAV2VEC = _SHARED | {
    "conv_feature_layers": f"[({CHANNELS}, 10, 5), ({CHANNELS}, 8, 4)] + [({CHANNELS}, 4, 2)] * 3 "
    f"+ [({CHANNELS}, 1, 1)] * 3",
    "activation": "gelu",
    "log_compression": False,
    "vq_type": "kmeans",
    "vq_groups": 2,
    "vq_vars": 320,
    "combine_groups": True,
}


def make_wav2vec(path: Path) -> None:
    """Write a checkpoint of wav2vec, with weights drawn from torch's generator."""
    _save(path, _WAV2VEC, _networks(_WAV2VEC))


def make_vq_wav2vec(path: Path) -> None:
    """Write a checkpoint of vq-wav2vec with a k-means quantiser, likewise."""
    model = _networks(_VQ_WAV2VEC)
    quantiser = KmeansQuantiser(QuantiserArchitecture.from_arguments(_VQ_WAV2VEC, CHANNELS))
    quantiser.embedding.data = _codebook(model, quantiser)
    model.vector_quantizer = quantiser
    _save(path, _VQ_WAV2VEC, model)


def _networks(arguments: dict[str, Any]) -> Wav2Vec:
    model = Wav2Vec(Wav2VecArchitecture.from_arguments(arguments))
    for layer in model.modules():
        if isinstance(layer, nn.Conv1d) and layer.in_channels > 1:
            # What enters has gone through an activation and is hardly ever negative. Its constant
            # part would outweigh what changes; filters whose weights sum to nought pass less of it.
            layer.weight.data -= layer.weight.data.mean(dim=(1, 2), keepdim=True)
    return model


@torch.no_grad()
def _codebook(model: Wav2Vec, quantiser: KmeansQuantiser) -> Tensor:
    """[codes, 1, width] vectors: what the encoder gives of sounds, at frames drawn at random.

    Vectors drawn from a distribution lie far from what the encoder gives, and few of them would
    ever be the nearest.
    """
    codes, _, width = quantiser.embedding.shape
    # In double precision, so that the number of threads does not change a rounded value.
    z = model.double().encode(_sounds().double()[None])
    projected: Tensor = quantiser.double().projection(z)
    points = projected[0].reshape(-1, width, projected.shape[2]).transpose(1, 2).flatten(0, 1)
    return points[torch.randperm(len(points))[:codes]][:, None]


def _sounds() -> Tensor:
    """[samples] at 16 kHz: 20 s of voices and noises of changing pitch, colour and loudness."""
    sounds = []
    time = torch.arange(_SOUND_SAMPLES) / SAMPLE_RATE
    for _ in range(_SOUNDS):
        hertz, tilt, level, noisiness = torch.rand(4).tolist()
        phase = 2 * torch.pi * (80 + 250 * hertz) * (time + 0.1 * time**2)
        voice = sum(
            torch.sin(number * phase) / number ** (0.5 + 1.5 * tilt) for number in range(1, 20)
        )
        noise = torch.randn(_SOUND_SAMPLES)
        sounds.append(10 ** (-2.5 + 2 * level) * ((1 - noisiness) * voice + noisiness * noise))
    return torch.cat(sounds)


def _save(path: Path, arguments: dict[str, Any], model: nn.Module) -> None:
    weights: dict[str, Tensor] = model.state_dict()
    # The head that pre-training predicts with: public checkpoints hold it, features do not need it.
    head = nn.ConvTranspose2d(CHANNELS, CHANNELS, (1, PREDICTION_STEPS))
    for name, value in head.state_dict().items():
        weights[f"wav2vec_predictions.project_to_steps.{name}"] = value
    halved = {name: value.half() for name, value in weights.items()}
    torch.save({"args": argparse.Namespace(**arguments), "model": halved}, path)
