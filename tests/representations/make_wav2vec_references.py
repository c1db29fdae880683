"""Makes tests/representations/wav2vec_references/, with fairseq 0.12.2 in a Python of its own.

    python tests/representations/make_wav2vec_references.py

For every variant of the architecture: a checkpoint of the true format (an `argparse.Namespace` and
weights in half precision) with few channels and random weights, and what fairseq computes from it
for a waveform that the tests make again from its seed. Known to work together: Python 3.10, pip
below 24.1, fairseq 0.12.2, torch 1.12.1, torchaudio 0.12.1, numpy 1.23.5, omegaconf 2.0.6,
hydra-core 1.0.7.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from fairseq.models.wav2vec.wav2vec import Wav2VecConfig, Wav2VecModel

FOLDER = Path(__file__).parent / "wav2vec_references"
ENCODER = "[(8, 10, 5), (8, 8, 4), (8, 4, 2), (8, 4, 2), (8, 4, 2), (8, 1, 1), (8, 1, 1)]"
AGGREGATOR = "[(8, 2, 1), (8, 3, 1), (8, 4, 1), (8, 5, 1)]"
VARIANTS = {
    "large": {"log_compression": True, "skip_connections_agg": True},
    "plain": {},
    "skip_feat": {"skip_connections_feat": True, "residual_scale": 0.25},
    "gelu": {"activation": "gelu", "log_compression": True},
    "zero_pad": {"agg_zero_pad": True, "skip_connections_agg": True},
    "no_bias": {"no_conv_bias": True, "non_affine_group_norm": True},
    "widening": {
        "conv_aggregator_layers": "[(8, 2, 1), (12, 3, 1)] + [(12, 4, 1)] * 2",
        "skip_connections_agg": True,
    },
    "vq_gumbel": {"vq_type": "gumbel", "vq_vars": 20, "vq_depth": 2, "activation": "gelu"},
    "vq_gumbel_shared": {"vq_type": "gumbel", "vq_vars": 20, "combine_groups": True},
    "vq_kmeans": {"vq_type": "kmeans", "vq_vars": 20, "log_compression": True},
    "vq_kmeans_shared": {"vq_type": "kmeans", "vq_vars": 20, "combine_groups": True},
}


def waveform():
    return np.random.default_rng(5).normal(0.0, 0.1, 4_000).astype(np.float32)


def main():
    FOLDER.mkdir(exist_ok=True)
    for number, (name, flags) in enumerate(VARIANTS.items()):
        torch.manual_seed(number)
        arguments = {
            "conv_feature_layers": ENCODER,
            "conv_aggregator_layers": AGGREGATOR,
            "prediction_steps": 2,
            "offset": "auto",
            "residual_scale": 0.5,
            # Stated, because fairseq's defaults of today are not those of old checkpoints.
            "log_compression": False,
            "skip_connections_feat": False,
            "skip_connections_agg": False,
            "vq_type": "none",
            "vq_groups": 2,
            "combine_groups": False,
            **flags,
        }
        config = Wav2VecConfig()
        config.infonce = True
        for key, value in arguments.items():
            setattr(config, key, value)
        model = Wav2VecModel.build_model(config, None).eval()
        for parameter in model.parameters():  # norms and biases start at one and nought
            parameter.data += 0.1 * torch.randn_like(parameter)
        weights = {key: value.half() for key, value in model.state_dict().items()}
        model.load_state_dict({key: value.float() for key, value in weights.items()})
        with torch.no_grad():
            z = model.feature_extractor(torch.from_numpy(waveform())[None])
            outputs = {"z": z[0].T.numpy()}
            if model.vector_quantizer is not None:
                z, codes = model.vector_quantizer.forward_idx(z)
                outputs.update(codes=codes[0].numpy(), vectors=z[0].T.numpy())
            c = model.feature_aggregator(z)
        checkpoint = {"args": argparse.Namespace(arch="wav2vec", **arguments), "model": weights}
        torch.save(checkpoint, FOLDER / f"{name}.pt")
        np.savez(FOLDER / f"{name}.npz", c=c[0].T.numpy(), **outputs)


if __name__ == "__main__":
    main()
