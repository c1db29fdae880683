"""Conversion of fairseq's wav2vec 2.0 checkpoints (Baevski et al. 2020) to transformers.

Examples are wav2vec_small.pt, libri960_big.pt, wav2vec_vox_new.pt and those of XLS-R. Arguments
that a file lacks have the defaults of fairseq's `Wav2Vec2Config`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from emoscale.representations.fairseq_checkpoints import (
    FairseqCheckpoint,
    load_fairseq_checkpoint,
    load_weights,
)
from emoscale.representations.torchaudio_guard import import_torchaudio
from emoscale.representations.wav2vec_model import ArchitectureError, parse_layers
from emoscale.runtime.errors import CheckpointError, error_summary

ACTIVATIONS = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_accurate": "gelu_new",
    "gelu_fast": "gelu_new",
    "tanh": "tanh",
}
"""fairseq's names of activation functions and those of transformers."""

_DEFAULT_ENCODER = "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] + [(512,2,2)]"

# Prefixes of weights that only pre-training uses.
_PRETRAINING_PREFIXES = ("quantizer.", "project_q.", "final_proj.", "target_glu.")

# The only values of these arguments that transformers' model supports.
_SUPPORTED_VALUES = {
    "layer_type": "transformer",
    "quantize_input": False,
    "pos_conv_depth": 1,
    "crop_seq_to_multiple": 1,
}

_NAMES = [
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^mask_emb$", "masked_spec_embed"),
        (r"^feature_extractor\.conv_layers\.(\d+)\.0\.", r"feature_extractor.conv_layers.\1.conv."),
        (
            r"^feature_extractor\.conv_layers\.(\d+)\.2\.(1\.)?",
            r"feature_extractor.conv_layers.\1.layer_norm.",
        ),
        (r"^layer_norm\.", "feature_projection.layer_norm."),
        (r"^post_extract_proj\.", "feature_projection.projection."),
        (r"\.pos_conv\.0\.weight_g$", ".pos_conv_embed.conv.parametrizations.weight.original0"),
        (r"\.pos_conv\.0\.weight_v$", ".pos_conv_embed.conv.parametrizations.weight.original1"),
        (r"\.pos_conv\.0\.", ".pos_conv_embed.conv."),
        (r"\.self_attn\.", ".attention."),
        (r"\.self_attn_layer_norm\.", ".layer_norm."),
        (r"\.fc1\.", ".feed_forward.intermediate_dense."),
        (r"\.fc2\.", ".feed_forward.output_dense."),
    )
]
"""fairseq's names of weights and those of transformers, where they differ."""


class ConvertedWav2Vec2(NamedTuple):
    """A converted checkpoint."""

    model: Any
    """transformers.Wav2Vec2Model, float32, in evaluation mode."""

    normalise: bool
    """Whether the model expects waveforms of zero mean and unit variance."""

    sha256: str
    """Digest of the file."""


def load_fairseq_wav2vec2(path: Path | str) -> ConvertedWav2Vec2:
    """Read a pre-trained wav2vec 2.0 checkpoint of fairseq.

    Parameters
    ----------
    path : Path or str
        The file.

    Returns
    -------
    ConvertedWav2Vec2
        Model of transformers, its input normalisation and the file's digest.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, fine-tuned, of another architecture, or if a weight is
        missing or unexpected.
    """
    import_torchaudio()  # before transformers, which fails with a CPU build of torch otherwise
    import transformers

    checkpoint = load_fairseq_checkpoint(path)
    _check_architecture(checkpoint)
    try:
        config = transformers.Wav2Vec2Config(**wav2vec2_config_options(checkpoint.arguments))
        with torch.device("meta"):  # skips the random initialisation, 10 s for a large model
            model: Any = transformers.Wav2Vec2Model(config)
    except (ArchitectureError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"{checkpoint.path} has an architecture that is not supported: {error_summary(error)}"
        ) from None
    model.to_empty(device="cpu")
    load_weights(model, _rename_weights(checkpoint, config.hidden_size), _PRETRAINING_PREFIXES)
    normalise = bool(checkpoint.task.get("normalize", False))
    return ConvertedWav2Vec2(model.eval(), normalise, checkpoint.sha256)


def wav2vec2_config_options(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Convert fairseq's arguments to those of `transformers.Wav2Vec2Config`.

    Parameters
    ----------
    arguments : mapping of str to Any
        A checkpoint's `args` or `cfg.model`.

    Returns
    -------
    dict of str to Any
        Keyword arguments.

    Raises
    ------
    ArchitectureError
        If the arguments describe an architecture that transformers does not support.
    """
    layers = parse_layers(arguments.get("conv_feature_layers", _DEFAULT_ENCODER))
    mode = arguments.get("extractor_mode", "default")
    if mode not in ("default", "layer_norm"):
        raise ArchitectureError(f"extractor_mode {mode}")
    activation = arguments.get("activation_fn", "gelu")
    if activation not in ACTIVATIONS:
        raise ArchitectureError(f"activation_fn {activation}")
    return {
        "conv_dim": [channels for channels, _, _ in layers],
        "conv_kernel": [kernel for _, kernel, _ in layers],
        "conv_stride": [stride for _, _, stride in layers],
        "conv_bias": bool(arguments.get("conv_bias", False)),
        "feat_extract_norm": "layer" if mode == "layer_norm" else "group",
        "do_stable_layer_norm": bool(arguments.get("layer_norm_first", False)),
        "num_hidden_layers": int(arguments.get("encoder_layers", 12)),
        "hidden_size": int(arguments.get("encoder_embed_dim", 768)),
        "intermediate_size": int(arguments.get("encoder_ffn_embed_dim", 3072)),
        "num_attention_heads": int(arguments.get("encoder_attention_heads", 12)),
        "num_conv_pos_embeddings": int(arguments.get("conv_pos", 128)),
        "num_conv_pos_embedding_groups": int(arguments.get("conv_pos_groups", 16)),
        "hidden_act": ACTIVATIONS[activation],
    }


def _check_architecture(checkpoint: FairseqCheckpoint) -> None:
    arguments = checkpoint.arguments
    if any(name.startswith("w2v_encoder.") for name in checkpoint.weights):
        raise CheckpointError(
            f"{checkpoint.path} is fine-tuned for speech recognition; name the pre-trained "
            "checkpoint that it is based on"
        )
    kind = arguments.get("_name", arguments.get("arch", "wav2vec2"))
    if kind != "wav2vec2":
        raise CheckpointError(
            f"{checkpoint.path} is a fairseq model of type {kind}; of fairseq's models, "
            "transformers_audio supports only wav2vec2"
        )
    for name, value in _SUPPORTED_VALUES.items():
        if arguments.get(name, value) != value:
            raise CheckpointError(
                f"{checkpoint.path} has {name} {arguments[name]}, which is not supported; use a "
                "model with the standard architecture"
            )


def _rename_weights(checkpoint: FairseqCheckpoint, hidden_size: int) -> FairseqCheckpoint:
    """Copy of the checkpoint with its weights by their names in transformers."""
    weights = {_transformers_name(name): value for name, value in checkpoint.weights.items()}
    norm = weights.get("feature_projection.layer_norm.weight")
    if norm is not None and len(norm) == hidden_size:
        # fairseq has a projection only if the sizes differ, transformers always.
        weights.setdefault("feature_projection.projection.weight", torch.eye(hidden_size))
        weights.setdefault("feature_projection.projection.bias", torch.zeros(hidden_size))
    return dataclasses.replace(checkpoint, weights=weights)


def _transformers_name(name: str) -> str:
    if name.startswith(_PRETRAINING_PREFIXES):
        return name
    for pattern, replacement in _NAMES:
        name, matches = pattern.subn(replacement, name)
        if matches:
            break
    return name
