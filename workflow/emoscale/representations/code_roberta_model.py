"""The RoBERTa over vq-wav2vec's codes (Baevski et al. 2020), from fairseq's files.

bert_kmeans.tar, or a folder with what is in it: the checkpoint (bert_kmeans.pt) and the dictionary
that numbers its symbols (dict.txt). Nothing of an archive is unpacked under a name of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import lzma
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from emoscale.representations.checkpoints import (
    FairseqCheckpoint,
    load_fairseq_checkpoint,
    load_weights,
    read_fairseq_checkpoint,
)
from emoscale.representations.fairseq_wav2vec2 import ACTIVATIONS
from emoscale.representations.torchaudio_guard import import_torchaudio
from emoscale.runtime.errors import CheckpointError, reason_of
from emoscale.runtime.provenance import digest

BEGIN, PAD, END, UNKNOWN = range(4)
"""<s>, <pad>, </s> and <unk>: the symbols that every dictionary of fairseq begins with."""

DICTIONARY = "dict.txt"

_LARGEST_UNPACKING = 100
"""Times an archive's size: weights hardly get smaller by packing, a bomb a thousand times."""

_SPECIAL = {"<s>": BEGIN, "<pad>": PAD, "</s>": END, "<unk>": UNKNOWN}

# fairseq adds <mask> to what is in the file, and may fill up to a multiple of 8.
_ADDED_SYMBOLS = 8

_ENCODER = re.compile(r"^(?:encoder|decoder)\.sentence_encoder\.")

# Weights that the hidden states do not need: the heads, and copies of a layer's weights that
# fairseq 0.12 keeps for torch's fast path.
_NOT_NEEDED = re.compile(
    r"^((encoder|decoder)\.lm_head\.|classification_heads\.|version$"
    r"|layers\.\d+\.(in_proj|out_proj|fc1|fc2)_(weight|bias)$)"
)

_NAMES = [
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^embed_tokens\.", "embeddings.word_embeddings."),
        (r"^embed_positions\.", "embeddings.position_embeddings."),
        (r"^(emb_layer_norm|layernorm_embedding)\.", "embeddings.LayerNorm."),
        (r"^layers\.", "encoder.layer."),
        (r"\.self_attn\.q_proj\.", ".attention.self.query."),
        (r"\.self_attn\.k_proj\.", ".attention.self.key."),
        (r"\.self_attn\.v_proj\.", ".attention.self.value."),
        (r"\.self_attn\.out_proj\.", ".attention.output.dense."),
        (r"\.self_attn_layer_norm\.", ".attention.output.LayerNorm."),
        (r"\.fc1\.", ".intermediate.dense."),
        (r"\.fc2\.", ".output.dense."),
        (r"\.final_layer_norm\.", ".output.LayerNorm."),
    )
]
"""fairseq's names of an encoder's weights, and what transformers calls them, in this order."""


@dataclass(frozen=True)
class CodeRobertaModel:
    """What turns codes into hidden states."""

    network: Any
    """transformers.RobertaModel without pooler, float32, in evaluation mode."""

    symbols: dict[str, int]
    """Number of each symbol; one a frame, its codes joined by hyphens, such as "17-203"."""

    longest: int
    """Tokens that the network has positions for, <s> and </s> among them."""

    sha256: str
    """Digest of checkpoint and dictionary."""


def load_code_roberta(path: Path | str) -> CodeRobertaModel:
    """Read an archive, or a folder, with one *.pt and dict.txt.

    Raises `CheckpointError` where it is missing, damaged, or holds something else.
    """
    path = Path(path)
    if path.is_dir():
        checkpoint, dictionary = _from_folder(path)
    elif path.is_file():
        checkpoint, dictionary = _from_archive(path)
    else:
        raise CheckpointError(f"{path} does not exist; download it and name its place")
    symbols = _read_dictionary(dictionary, path)
    network, longest = _network(checkpoint, len(symbols))
    return CodeRobertaModel(
        network,
        symbols,
        longest,
        digest({"model": checkpoint.sha256, "dictionary": hashlib.sha256(dictionary).hexdigest()}),
    )


def _from_folder(folder: Path) -> tuple[FairseqCheckpoint, bytes]:
    name = _the_checkpoint([file.name for file in folder.iterdir() if file.is_file()], folder)
    try:
        dictionary = (folder / DICTIONARY).read_bytes()
    except OSError as error:
        raise CheckpointError(f"{folder / DICTIONARY} cannot be read ({error.strerror})") from None
    return load_fairseq_checkpoint(folder / name), dictionary


def _from_archive(path: Path) -> tuple[FairseqCheckpoint, bytes]:
    with _damage_named(path), tarfile.open(path) as archive:
        files = _files_of(archive, path)
        name = _the_checkpoint(list(files), path)
        with _opened(archive, files[DICTIONARY]) as member:
            dictionary = member.read()
        with _opened(archive, files[name]) as member, tempfile.TemporaryFile() as file:
            # A copy, since a checkpoint is not read in order and an archive may be compressed.
            shutil.copyfileobj(member, file)
            file.seek(0)
            return read_fairseq_checkpoint(file, path / name), dictionary


def _files_of(archive: tarfile.TarFile, path: Path) -> dict[str, tarfile.TarInfo]:
    """The plain files of an archive; nothing is unpacked under the names that it gives.

    Raises `CheckpointError` where it holds far more than weights can be packed to.
    """
    room = _LARGEST_UNPACKING * (path.stat().st_size + 1_000_000)
    files: dict[str, tarfile.TarInfo] = {}
    for member in archive:
        if member.isfile():
            files[PurePosixPath(member.name).name] = member
        room -= member.size
        if room < 0:
            raise CheckpointError(
                f"{path} is refused: it would unpack to more than {_LARGEST_UNPACKING} times its "
                "size; take the original file"
            )
    return files


@contextlib.contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")
        raise CheckpointError(
            f"{path} is damaged or no archive of checkpoint and dictionary ({reason}); download it "
            f"again, or name a folder with the checkpoint and {DICTIONARY}"
        ) from None


def _opened(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Any:
    """A file of the archive, open; there is one, since `member` is a plain file."""
    return archive.extractfile(member)


def _the_checkpoint(names: list[str], path: Path) -> str:
    """The name of the one checkpoint among `names`, beside which the dictionary must be."""
    found = sorted(name for name in names if name.endswith(".pt") and not name.startswith("."))
    if len(found) != 1 or DICTIONARY not in names:
        has = found + [DICTIONARY] * (DICTIONARY in names)
        raise CheckpointError(
            f"{path} must hold one checkpoint (*.pt) and {DICTIONARY}, and of these has "
            f"{', '.join(has) or 'nothing'}"
        )
    return found[0]


def _read_dictionary(content: bytes, path: Path) -> dict[str, int]:
    """Numbers of symbols, from lines of a symbol and how often it was seen."""
    symbols = dict(_SPECIAL)
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise CheckpointError(f"{path}: {DICTIONARY} is not text; take the original") from None
    for number, line in enumerate(lines, 1):
        symbol, _, count = line.rstrip().rpartition(" ")
        if not symbol or not count.isdecimal() or symbol in symbols:
            raise CheckpointError(
                f"{path}: line {number} of {DICTIONARY} is not a new symbol and its count: "
                f"{line[:60]!r}; take the dictionary that belongs to the checkpoint"
            )
        symbols[symbol] = len(symbols)
    return symbols


def _network(checkpoint: FairseqCheckpoint, symbols: int) -> tuple[Any, int]:
    """The network, and the tokens that it has positions for."""
    import_torchaudio()  # transformers imports it, and crashes beside a CPU torch without this
    import transformers

    weights = _renamed(checkpoint.weights)
    _check_form(checkpoint, weights)
    table = weights.get("embeddings.word_embeddings.weight")
    rows = symbols if table is None else len(table)
    if not symbols <= rows <= symbols + _ADDED_SYMBOLS:
        raise CheckpointError(
            f"{checkpoint.path} knows {rows} symbols and {DICTIONARY} {symbols}; take the "
            "dictionary that belongs to the checkpoint"
        )
    try:
        settings = _settings(checkpoint.arguments)
        config = transformers.RobertaConfig(vocab_size=rows, **settings)
        network: Any = transformers.RobertaModel(config, add_pooling_layer=False)
    except (ValueError, TypeError) as error:
        raise CheckpointError(
            f"{checkpoint.path} states an architecture that is not understood: {reason_of(error)}"
        ) from None
    # fairseq's has no segments; transformers adds one to every token.
    weights["embeddings.token_type_embeddings.weight"] = torch.zeros(1, config.hidden_size)
    load_weights(network, dataclasses.replace(checkpoint, weights=weights), ())
    return network.eval(), config.max_position_embeddings - PAD - 1


def _check_form(checkpoint: FairseqCheckpoint, weights: Mapping[str, Tensor]) -> None:
    if not any(_ENCODER.match(name) for name in checkpoint.weights):
        raise CheckpointError(f"{checkpoint.path} is no RoBERTa of fairseq: it has no encoder")
    if "layer_norm.weight" in weights:
        raise CheckpointError(
            f"{checkpoint.path} normalises before each layer, which is not computed here; take a "
            "RoBERTa with the standard architecture"
        )
    if not checkpoint.arguments.get("no_scale_embedding", True):
        raise CheckpointError(
            f"{checkpoint.path} scales its embeddings, which is not computed here; take a RoBERTa "
            "with the standard architecture"
        )


def _settings(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What transformers' configuration is told, where nothing is stated as roberta_base has it.

    Raises `ValueError` or `TypeError` where the settings are not understood.
    """
    activation = arguments.get("activation_fn", "gelu")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation_fn {activation}")
    positions = arguments.get("max_positions") or arguments.get("tokens_per_sample") or 512
    return {
        "num_hidden_layers": int(arguments.get("encoder_layers", 12)),
        "hidden_size": int(arguments.get("encoder_embed_dim", 768)),
        "intermediate_size": int(arguments.get("encoder_ffn_embed_dim", 3072)),
        "num_attention_heads": int(arguments.get("encoder_attention_heads", 12)),
        "hidden_act": ACTIVATIONS[activation],
        "max_position_embeddings": int(positions) + PAD + 1,  # they are counted from after PAD
        "pad_token_id": PAD,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
    }


def _renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights under the names that transformers gives them, without what is not needed."""
    renamed: dict[str, Tensor] = {}
    for full_name, value in weights.items():
        name = _ENCODER.sub("", full_name)
        if _NOT_NEEDED.match(name):
            continue
        packed = ".self_attn.in_proj_"
        if packed in name:  # fairseq once kept query, key and value in one
            layer, kind = name.split(packed)
            for part, rows in zip("qkv", value.chunk(3), strict=True):
                renamed[_name_of(f"{layer}.self_attn.{part}_proj.{kind}")] = rows
        else:
            renamed[_name_of(name)] = value
    return renamed


def _name_of(name: str) -> str:
    for pattern, replacement in _NAMES:
        name = pattern.sub(replacement, name)
    return name
