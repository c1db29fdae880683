"""Makes tests/representations/wav2vec2_references/, with fairseq 0.12.2 in a Python of its own.

    python tests/representations/make_wav2vec2_references.py

For every variant of the architecture: a checkpoint of the true format with few channels and random
weights in half precision, and what fairseq computes from it for a waveform that the tests make
again from its seed: what enters the transformer, each layer's output, and the encoder's. Known to
work together: Python 3.10, pip below 24.1, fairseq 0.12.2, torch 1.12.1, torchaudio 0.12.1, numpy
1.23.5, omegaconf 2.0.6, hydra-core 1.0.7.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model

FOLDER = Path(__file__).parent / "wav2vec2_references"
SMALL = {
    "conv_feature_layers": "[(6, 10, 5)] + [(6, 3, 2)] * 4 + [(6,2,2)] + [(6,2,2)]",
    "encoder_layers": 2,
    "encoder_embed_dim": 16,
    "encoder_ffn_embed_dim": 20,
    "encoder_attention_heads": 2,
    "conv_pos": 8,
    "conv_pos_groups": 4,
    "final_dim": 4,
    "latent_vars": 3,
    "latent_dim": 4,
    "quantize_targets": True,
}
VARIANTS = {
    # wav2vec_small.pt's form: an args Namespace, which says little more than the sizes
    "base": {},
    # wav2vec_vox_new.pt's and XLS-R's: layer norms, bias, normalised input, cfg
    "large": {"extractor_mode": "layer_norm", "layer_norm_first": True, "conv_bias": True},
    # what else the flags allow, with odd sizes and no projection
    "odd": {
        "conv_feature_layers": "[(16, 10, 5)] + [(16, 3, 2)] * 4 + [(16,2,2)] + [(16,2,2)]",
        "conv_bias": True,
        "activation_fn": "gelu_accurate",
        "conv_pos": 7,
        "conv_pos_groups": 2,
        "quantize_targets": False,
        "target_glu": True,
    },
}
NORMALISED = {"large"}
IN_NEW_FORM = {"large"}


def waveform():
    return np.random.default_rng(5).normal(0.02, 0.1, 4_300).astype(np.float32)


def main():
    FOLDER.mkdir(exist_ok=True)
    for number, (name, flags) in enumerate(VARIANTS.items()):
        torch.manual_seed(number)
        stated = {**SMALL, **flags}
        config = Wav2Vec2Config()
        for key, value in stated.items():
            setattr(config, key, value)
        model = Wav2Vec2Model.build_model(config, None).eval()
        for parameter in model.parameters():  # norms and biases start at one and nought
            parameter.data += 0.1 * torch.randn_like(parameter)
        weights = {key: value.half() for key, value in model.state_dict().items()}
        model.load_state_dict({key: value.float() for key, value in weights.items()})
        source = torch.from_numpy(waveform())
        normalise = name in NORMALISED
        if normalise:  # as fairseq's data set does
            source = torch.nn.functional.layer_norm(source, source.shape)
        entered = []
        first = model.encoder.layers[0]
        first.register_forward_pre_hook(lambda _, inputs, into=entered: into.append(inputs[0]))
        with torch.no_grad():
            result = model.extract_features(source[None], padding_mask=None)
        layers = [output[:, 0].numpy() for output, _, _ in result["layer_results"]]
        inputs = entered[0][: len(layers[0]), 0].numpy()  # fairseq adds a frame to odd numbers
        if name in IN_NEW_FORM:
            settings = {
                "model": {"_name": "wav2vec2", **stated},
                "task": {"_name": "audio_pretraining", "normalize": normalise},
            }
            checkpoint = {"args": None, "cfg": settings, "model": weights}
        else:
            arguments = argparse.Namespace(arch="wav2vec2", normalize=normalise, **stated)
            checkpoint = {"args": arguments, "model": weights}
        torch.save(checkpoint, FOLDER / f"{name}.pt")
        states = np.stack([inputs, *layers])
        np.savez(FOLDER / f"{name}.npz", states=states, final=result["x"][0].numpy())


if __name__ == "__main__":
    main()
