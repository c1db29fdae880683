"""Converted wav2vec 2.0 checkpoints compared with fairseq (see make_wav2vec2_references.py)."""

from __future__ import annotations

import argparse
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emoscale.representations.fairseq_wav2vec2 import (
    load_fairseq_wav2vec2,
    wav2vec2_config_options,
)
from emoscale.representations.torchaudio_guard import import_torchaudio
from emoscale.runtime.errors import CheckpointError
from emoscale.runtime.provenance import file_sha256

REFERENCES = Path(__file__).parent / "wav2vec2_references"
VARIANTS = ["base", "large", "odd"]


def waveform() -> np.ndarray:
    return np.random.default_rng(5).normal(0.02, 0.1, 4_300).astype(np.float32)


@pytest.mark.parametrize("variant", VARIANTS)
@torch.inference_mode()
def test_hidden_states_equal_fairseqs(variant: str) -> None:
    model, normalise, sha256 = load_fairseq_wav2vec2(REFERENCES / f"{variant}.pt")
    expected = np.load(REFERENCES / f"{variant}.npz")
    assert normalise == (variant == "large")
    assert sha256 == file_sha256(REFERENCES / f"{variant}.pt")
    values = torch.from_numpy(waveform())
    if normalise:
        values = (values - values.mean()) / torch.sqrt(values.var(unbiased=False) + 1e-5)
    outputs = model(values[None], output_hidden_states=True)
    # If the layer norm comes first, the last hidden state is the output of the last layer, and the
    # encoder's output is its norm, both in transformers and in fairseq.
    states = torch.cat([*outputs.hidden_states, outputs.last_hidden_state]).numpy()
    theirs = np.concatenate([expected["states"], expected["final"][None]])
    assert theirs.shape == (4, 13, 16)
    assert theirs.std(axis=(1, 2)).min() > 0.5
    np.testing.assert_allclose(states, theirs, atol=1e-5, rtol=0)
    assert (variant == "large") != np.allclose(theirs[-1], theirs[-2])


def test_missing_arguments_have_fairseqs_defaults() -> None:
    """fairseq 0.12.2's Wav2Vec2Model(Wav2Vec2Config()) has 94,371,712 weights without project_q
    and final_proj; transformers' defaults are those of facebook/wav2vec2-base."""
    import_torchaudio()
    import transformers

    config = transformers.Wav2Vec2Config(**wav2vec2_config_options({}))
    assert config.to_dict() == transformers.Wav2Vec2Config().to_dict()
    with torch.device("meta"):
        model = transformers.Wav2Vec2Model(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == 94_371_712


Change = Callable[[dict[str, Any]], object]


def arguments_of(content: dict[str, Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = vars(content["args"])
    return arguments


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["model"].pop("encoder.layers.1.fc1.bias"), "another architecture: it lacks"),
        (lambda c: c["model"].pop("mask_emb"), "it lacks masked_spec_embed"),
        (lambda c: c["model"].update(extra=torch.zeros(1)), "it has extra, which its"),
        (lambda c: arguments_of(c).update(encoder_layers=3), "it lacks encoder.layers.2"),
        (lambda c: arguments_of(c).update(encoder_embed_dim=24), "of shape"),
        (lambda c: arguments_of(c).update(encoder_attention_heads=3), "not supported"),
        (lambda c: arguments_of(c).update(encoder_layers="many"), "not supported"),
        (lambda c: arguments_of(c).update(extractor_mode="conformer"), "extractor_mode conformer"),
        (lambda c: arguments_of(c).update(activation_fn="swish"), "activation_fn swish"),
        (lambda c: arguments_of(c).update(conv_feature_layers="f()"), "not supported"),
        (lambda c: arguments_of(c).update(pos_conv_depth=5), "has pos_conv_depth 5"),
        (lambda c: arguments_of(c).update(arch="hubert"), "of type hubert"),
        (
            lambda c: c.update(model={f"w2v_encoder.{k}": v for k, v in c["model"].items()}),
            "is fine-tuned for speech recognition; name the pre-trained",
        ),
    ],
)
def test_other_architectures_are_refused(tmp_path: Path, change: Change, message: str) -> None:
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = torch.load(REFERENCES / "base.pt", weights_only=True)
    change(content)
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=message) as caught:
        load_fairseq_wav2vec2(tmp_path / "other.pt")
    assert str(tmp_path / "other.pt") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wav2vec_1_is_refused() -> None:
    path = REFERENCES.parent / "wav2vec_references" / "large.pt"
    with pytest.raises(CheckpointError, match="of type wav2vec; of fairseq's models"):
        load_fairseq_wav2vec2(path)


def test_omegaconf_is_refused_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("omegaconf.dictconfig")
    dict_config = type("DictConfig", (dict,), {"__module__": "omegaconf.dictconfig"})
    module.__dict__["DictConfig"] = dict_config
    monkeypatch.setitem(sys.modules, "omegaconf", types.ModuleType("omegaconf"))
    monkeypatch.setitem(sys.modules, "omegaconf.dictconfig", module)
    torch.save({"cfg": dict_config(model={}), "model": {}}, tmp_path / "new.pt")
    message = r"its cfg is of type omegaconf\.dictconfig\.DictConfig.*OmegaConf\.to_container"
    with pytest.raises(CheckpointError, match=message):
        load_fairseq_wav2vec2(tmp_path / "new.pt")
