"""RoBERTa on the codes of vq-wav2vec (Baevski et al. 2020): reader of fairseq's files.

The files are bert_kmeans.tar, or a folder with its content: the checkpoint (bert_kmeans.pt) and the
dictionary of its symbols (dict.txt). No file of an archive is unpacked to a path from the archive.
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

from emoscale.representations.fairseq_checkpoints import (
    FairseqCheckpoint,
    load_fairseq_checkpoint,
    load_weights,
    read_fairseq_checkpoint,
)
from emoscale.representations.fairseq_wav2vec2 import ACTIVATIONS
from emoscale.representations.torchaudio_guard import import_torchaudio
from emoscale.runtime.errors import CheckpointError, error_summary
from emoscale.runtime.provenance import digest

BEGIN, PAD, END, UNKNOWN = range(4)
"""Token ids of <s>, <pad>, </s> and <unk>, the first symbols of all dictionaries of fairseq."""

DICTIONARY = "dict.txt"

_MAX_COMPRESSION_RATIO = 100
"""Weights are hardly compressible; a zip bomb has a ratio of about a thousand."""

_SPECIAL_TOKENS = {"<s>": BEGIN, "<pad>": PAD, "</s>": END, "<unk>": UNKNOWN}

# fairseq adds <mask> to the symbols of the file, and may pad their number to a multiple of 8.
_ADDED_SYMBOLS = 8

_ENCODER = re.compile(r"^(?:encoder|decoder)\.sentence_encoder\.")

# Weights that the hidden states do not depend on: the heads, and the copies of a layer's weights
# that fairseq 0.12 stores for torch's fast path.
_UNUSED_WEIGHTS = re.compile(
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
"""fairseq's names of an encoder's weights and those of transformers, applied in this order."""


@dataclass(frozen=True)
class CodeRobertaModel:
    """A network on codes with its dictionary."""

    network: Any
    """transformers.RobertaModel without pooler, float32, in evaluation mode."""

    token_ids: dict[str, int]
    """Id of each symbol; a frame's symbol is its codes joined by hyphens, such as "17-203"."""

    max_tokens: int
    """Number of the network's positions, and so of tokens including <s> and </s>."""

    sha256: str
    """Digest of checkpoint and dictionary."""


def load_code_roberta(path: Path | str) -> CodeRobertaModel:
    """Read a model from a tar archive or a folder with one *.pt and dict.txt.

    Parameters
    ----------
    path : Path or str
        The archive or folder.

    Returns
    -------
    CodeRobertaModel
        Network and dictionary.

    Raises
    ------
    CheckpointError
        If the model is missing, damaged, or of another architecture.
    """
    path = Path(path)
    if path.is_dir():
        checkpoint, dictionary = _read_folder(path)
    elif path.is_file():
        checkpoint, dictionary = _read_archive(path)
    else:
        raise CheckpointError(f"{path} does not exist; download it and set its path")
    token_ids = _parse_dictionary(dictionary, path)
    network, max_tokens = _build_network(checkpoint, len(token_ids))
    return CodeRobertaModel(
        network,
        token_ids,
        max_tokens,
        digest({"model": checkpoint.sha256, "dictionary": hashlib.sha256(dictionary).hexdigest()}),
    )


def _read_folder(folder: Path) -> tuple[FairseqCheckpoint, bytes]:
    name = _checkpoint_name([file.name for file in folder.iterdir() if file.is_file()], folder)
    try:
        dictionary = (folder / DICTIONARY).read_bytes()
    except OSError as error:
        raise CheckpointError(f"{folder / DICTIONARY} cannot be read ({error.strerror})") from None
    return load_fairseq_checkpoint(folder / name), dictionary


def _read_archive(path: Path) -> tuple[FairseqCheckpoint, bytes]:
    with _explain_damage(path), tarfile.open(path) as archive:
        files = _regular_files(archive, path)
        name = _checkpoint_name(list(files), path)
        with _open_member(archive, files[DICTIONARY]) as member:
            dictionary = member.read()
        with _open_member(archive, files[name]) as member, tempfile.TemporaryFile() as file:
            # Copied, since a checkpoint is not read sequentially and the archive may be compressed.
            shutil.copyfileobj(member, file)
            file.seek(0)
            return read_fairseq_checkpoint(file, path / name), dictionary


def _regular_files(archive: tarfile.TarFile, path: Path) -> dict[str, tarfile.TarInfo]:
    """Regular files of an archive by their names without folders.

    Raises `CheckpointError` if their total size is implausible for the size of the archive.
    """
    remaining_bytes = _MAX_COMPRESSION_RATIO * (path.stat().st_size + 1_000_000)
    files: dict[str, tarfile.TarInfo] = {}
    for member in archive:
        if member.isfile():
            files[PurePosixPath(member.name).name] = member
        remaining_bytes -= member.size
        if remaining_bytes < 0:
            raise CheckpointError(
                f"{path} is refused: it would unpack to more than {_MAX_COMPRESSION_RATIO} times "
                "its size; use the original file"
            )
    return files


@contextlib.contextmanager
def _explain_damage(path: Path) -> Iterator[None]:
    """Convert errors of reading an archive to a `CheckpointError`."""
    try:
        yield
    except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")
        raise CheckpointError(
            f"{path} is damaged or not an archive of checkpoint and dictionary ({reason}); "
            f"download it again, or name a folder with the checkpoint and {DICTIONARY}"
        ) from None


def _open_member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Any:
    """Open a regular file of an archive; for other members, tarfile returns None."""
    return archive.extractfile(member)


def _checkpoint_name(names: list[str], path: Path) -> str:
    """Name of the only checkpoint among the files' names, which must include the dictionary."""
    checkpoints = sorted(
        name for name in names if name.endswith(".pt") and not name.startswith(".")
    )
    if len(checkpoints) != 1 or DICTIONARY not in names:
        present = checkpoints + [DICTIONARY] * (DICTIONARY in names)
        raise CheckpointError(
            f"{path} must contain one checkpoint (*.pt) and {DICTIONARY}, but contains "
            f"{', '.join(present) or 'neither'}"
        )
    return checkpoints[0]


def _parse_dictionary(content: bytes, path: Path) -> dict[str, int]:
    """Token ids of symbols, from lines with a symbol and its number of occurrences."""
    token_ids = dict(_SPECIAL_TOKENS)
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise CheckpointError(f"{path}: {DICTIONARY} is not UTF-8; use the original file") from None
    for number, line in enumerate(lines, 1):
        symbol, _, count = line.rstrip().rpartition(" ")
        if not symbol or not count.isdecimal() or symbol in token_ids:
            raise CheckpointError(
                f"{path}: line {number} of {DICTIONARY} is not a new symbol and its count: "
                f"{line[:60]!r}; use the dictionary that belongs to the checkpoint"
            )
        token_ids[symbol] = len(token_ids)
    return token_ids


def _build_network(checkpoint: FairseqCheckpoint, symbols: int) -> tuple[Any, int]:
    """Network with the checkpoint's weights, and its maximum number of tokens."""
    import_torchaudio()  # before transformers, which fails with a CPU build of torch otherwise
    import transformers

    weights = _rename_weights(checkpoint.weights)
    _check_architecture(checkpoint, weights)
    embeddings = weights.get("embeddings.word_embeddings.weight")
    vocabulary_size = symbols if embeddings is None else len(embeddings)
    if not symbols <= vocabulary_size <= symbols + _ADDED_SYMBOLS:
        raise CheckpointError(
            f"{checkpoint.path} has {vocabulary_size} symbols, but {DICTIONARY} has {symbols}; use "
            "the dictionary that belongs to the checkpoint"
        )
    try:
        options = _config_options(checkpoint.arguments)
        config = transformers.RobertaConfig(vocab_size=vocabulary_size, **options)
        network: Any = transformers.RobertaModel(config, add_pooling_layer=False)
    except (ValueError, TypeError) as error:
        raise CheckpointError(
            f"{checkpoint.path} has an architecture that is not supported: {error_summary(error)}"
        ) from None
    # fairseq's RoBERTa has no token types; transformers adds the embedding of one to every token.
    weights["embeddings.token_type_embeddings.weight"] = torch.zeros(1, config.hidden_size)
    load_weights(network, dataclasses.replace(checkpoint, weights=weights), ())
    return network.eval(), config.max_position_embeddings - PAD - 1


def _check_architecture(checkpoint: FairseqCheckpoint, weights: Mapping[str, Tensor]) -> None:
    if not any(_ENCODER.match(name) for name in checkpoint.weights):
        raise CheckpointError(f"{checkpoint.path} is not a RoBERTa of fairseq: it has no encoder")
    if "layer_norm.weight" in weights:
        raise CheckpointError(
            f"{checkpoint.path} has the layer norm before each layer, which is not supported; use "
            "a RoBERTa with the standard architecture"
        )
    if not checkpoint.arguments.get("no_scale_embedding", True):
        raise CheckpointError(
            f"{checkpoint.path} scales its embeddings, which is not supported; use a RoBERTa with "
            "the standard architecture"
        )


def _config_options(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `transformers.RobertaConfig`, by default those of fairseq's roberta_base.

    Raises `ValueError` or `TypeError` if fairseq's arguments are invalid.
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
        "max_position_embeddings": int(positions) + PAD + 1,  # positions start after PAD
        "pad_token_id": PAD,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
    }


def _rename_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights by their names in transformers, without those that are not used."""
    renamed: dict[str, Tensor] = {}
    for full_name, value in weights.items():
        name = _ENCODER.sub("", full_name)
        if _UNUSED_WEIGHTS.match(name):
            continue
        packed = ".self_attn.in_proj_"
        if packed in name:  # old versions of fairseq store query, key and value in one tensor
            layer, kind = name.split(packed)
            for projection, rows in zip("qkv", value.chunk(3), strict=True):
                new_name = _transformers_name(f"{layer}.self_attn.{projection}_proj.{kind}")
                renamed[new_name] = rows
        else:
            renamed[_transformers_name(name)] = value
    return renamed


def _transformers_name(name: str) -> str:
    for pattern, replacement in _NAMES:
        name = pattern.sub(replacement, name)
    return name
