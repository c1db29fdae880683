"""Makes tests/representations/code_roberta_references/, with fairseq 0.12.2 in a Python of its own.

    python tests/representations/make_code_roberta_references.py

Two small RoBERTas with random weights over the codes of wav2vec_references/vq_kmeans_shared:
`today` as fairseq 0.12 saves one, `old` as fairseq saved bert_kmeans.pt in 2019; their dictionary,
in which some pairs of codes are missing; and each hidden state that fairseq computes from them for
the codes of the reference waveform. Known to work together: Python 3.10, pip below 24.1, fairseq
0.12.2, torch 1.12.1, torchaudio 0.12.1, numpy 1.23.5, omegaconf 2.0.6, hydra-core 1.0.7.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from fairseq.data import Dictionary
from fairseq.models.roberta import RobertaModel

TEST_FOLDER = Path(__file__).parent
FOLDER = TEST_FOLDER / "code_roberta_references"
CODES = TEST_FOLDER / "wav2vec_references" / "vq_kmeans_shared.npz"
SMALL = {
    "encoder_layers": 2,
    "encoder_embed_dim": 16,
    "encoder_ffn_embed_dim": 20,
    "encoder_attention_heads": 2,
    "activation_fn": "gelu",
}
PARTS = ("q_proj", "k_proj", "v_proj")
COPIES = ("in_proj_", "out_proj_", "fc1_", "fc2_")  # for torch's fast path


class Task:
    """What fairseq's models ask of a task."""

    def __init__(self, dictionary):
        self.source_dictionary = dictionary


def dictionary():
    """Symbols as vq-wav2vec's are written; one pair in five is not among them."""
    dictionary = Dictionary()
    for first in range(20):
        for second in range(20):
            if (first + second) % 5:
                dictionary.add_symbol(f"{first}-{second}", n=1000 - first)
    dictionary.save(str(FOLDER / "dict.txt"))
    dictionary.add_symbol("<mask>")  # as the masked language model's task does, after loading
    return dictionary


def as_in_2019(weights):
    """The weights that fairseq saved then, under the names of then, which it still loads."""
    renamed = {}
    for name, value in weights.items():
        if name.endswith(".version") or name.split(".")[-1].startswith(COPIES):
            continue
        old_name = name.replace("encoder.", "decoder.", 1)
        old_name = old_name.replace("layernorm_embedding", "emb_layer_norm")
        if ".q_proj." in name:
            parts = [weights[name.replace("q_proj", part)] for part in PARTS]
            renamed[old_name.replace("q_proj.", "in_proj_")] = torch.cat(parts)
        elif not (".k_proj." in name or ".v_proj." in name):
            renamed[old_name] = value
    return renamed


def main():
    FOLDER.mkdir(exist_ok=True)
    words = dictionary()
    codes = np.load(CODES)["codes"]
    line = " ".join("-".join(map(str, pair)) for pair in codes.tolist())
    tokens = words.encode_line(line, add_if_not_exist=False, append_eos=True).long()
    tokens = torch.cat([torch.tensor([words.bos()]), tokens])[None]
    assert 0 < (tokens == words.unk()).sum() < 12
    for number, name in enumerate(("today", "old")):
        torch.manual_seed(number)
        settings = dict(SMALL, max_positions=32)
        if name == "old":
            settings = dict(SMALL, tokens_per_sample=30, activation_fn="gelu_fast")
        arguments = argparse.Namespace(arch="roberta_base", **settings)
        model = RobertaModel.build_model(argparse.Namespace(**vars(arguments)), Task(words))
        for parameter in model.parameters():  # norms and biases start at one and nought
            parameter.data += 0.1 * torch.randn_like(parameter)
        weights = {key: value.half() for key, value in model.state_dict().items()}
        if name == "old":
            weights = as_in_2019(weights)
        loaded = model.load_state_dict(
            {key: value.float() for key, value in weights.items()}, strict=False
        )
        missing = [key for key in loaded.missing_keys if not key.endswith(".version")]
        assert not missing, missing
        assert not loaded.unexpected_keys, loaded.unexpected_keys
        model.eval()
        with torch.no_grad():
            final, extra = model(tokens, features_only=True, return_all_hiddens=True)
        states = torch.stack([state[:, 0] for state in extra["inner_states"]])
        assert torch.equal(states[-1], final[0])
        checkpoint = {"model": weights}
        if name == "old":
            checkpoint["args"] = arguments
        else:
            checkpoint["cfg"] = {"model": arguments, "task": {"_name": "masked_lm"}}
        torch.save(checkpoint, FOLDER / f"{name}.pt")
        np.savez(FOLDER / f"{name}.npz", states=states[:, 1:-1].numpy())


if __name__ == "__main__":
    main()
