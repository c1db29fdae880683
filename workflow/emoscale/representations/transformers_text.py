"""BERT and its family over the transcript, through transformers: a vector a token."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from emoscale.config.representations import TransformersTextSettings
from emoscale.representations.contract import Extracted
from emoscale.representations.layers import choose_layers
from emoscale.representations.torchaudio_guard import import_torchaudio
from emoscale.representations.transcript_tokens import TranscriptReader, TranscriptTokens
from emoscale.representations.transformers_models import (
    cannot_be_loaded,
    digest_of_model,
    load_network,
)
from emoscale.representations.windows import half_overlapping_windows
from emoscale.runtime.errors import CheckpointError, UserError

FAMILY = (
    "albert",
    "bert",
    "camembert",
    "deberta",
    "deberta-v2",
    "distilbert",
    "electra",
    "modernbert",
    "mpnet",
    "roberta",
    "xlm-roberta",
)
"""Model types: encoders that read the whole text in both directions; DeBERTa-v3 is deberta-v2."""

_NOT_USED = ("pooler.",)  # turns the first state into a vector for classifiers; often not published


class TransformersText:
    """Hidden states of a text model, with each token's place in the transcript.

    Transcripts are computed one by one, so that none depends on its batch. One with more tokens
    than the model takes is computed in windows that overlap by half, the model's special tokens in
    each; every token is taken from the window whose middle it is nearest to.

    A special token's name that stands in a transcript (`[MASK]`, `</s>`) is read as the letters it
    is written with, never as the token.
    """

    modality: Literal["audio", "text"] = "text"
    frame_rate: float | None = None

    def __init__(self, settings: TransformersTextSettings) -> None:
        import_torchaudio()  # transformers imports it, and crashes beside a CPU torch without this
        import transformers

        transformers.utils.logging.disable_progress_bar()
        transformers.utils.logging.set_verbosity_error()  # what it warns of is checked here
        name = settings.model
        config, folder = _load_config(name, transformers)
        tokenizer = _load_tokenizer(name, folder, transformers)
        self._network = load_network(
            name, config, getattr(torch, settings.precision), "a text", _NOT_USED
        )
        self._device = torch.device("cpu")
        self._reader = TranscriptReader(tokenizer, settings.tags)
        self._room = _room(name, self._network, tokenizer)
        _check_vocabulary(name, self._network, tokenizer)
        self._keeps_special = settings.special_tokens == "keep"
        self._chosen = choose_layers(settings.layer, config.num_hidden_layers, name)
        self._stored_type: torch.dtype = getattr(torch, settings.storage_dtype)
        self._name = name
        self.dtype: str = settings.storage_dtype
        self.layers = self._chosen.stored
        self.dimension: int = config.hidden_size
        self.checkpoint_sha256 = digest_of_model(name)

    def to(self, device: str) -> None:
        """Move the network to "cpu" or "cuda"."""
        self._device = torch.device(device)
        self._network.to(self._device)

    @torch.inference_mode()
    def extract(self, batch: Sequence[str]) -> list[Extracted]:
        """Frames of each transcript ([T_i, dimension], or layers first), and the tokens' places.

        Of a transcript that holds no token the one frame is the state of the first special token.
        Raises `UserError` where the model's tokenizer has none.
        """
        return [self._extract(transcript) for transcript in batch]

    def _extract(self, transcript: str) -> Extracted:
        tokens = self._reader.read(transcript)
        if not tokens.ids:
            return self._of_nothing(tokens)
        leading, trailing = tokens.leading, tokens.trailing
        windows = half_overlapping_windows(len(tokens.ids), self._room)
        parts = []
        for window in windows:
            ids = [*leading, *tokens.ids[window.start : window.stop], *trailing]
            first = len(leading) + window.first - window.start
            last = len(leading) + window.last - window.start
            if self._keeps_special and window is windows[0]:
                first = 0
            if self._keeps_special and window is windows[-1]:
                last = len(ids)
            parts.append(self._states(ids)[:, first:last].to(self._stored_type).cpu())
        characters = tokens.characters
        if self._keeps_special:
            characters = np.pad(characters, ((len(leading), len(trailing)), (0, 0)))
        return Extracted(self._stored(torch.cat(parts, dim=1)), characters, len(windows))

    def _of_nothing(self, tokens: TranscriptTokens) -> Extracted:
        if not tokens.leading:
            raise UserError(
                f"the transcript has no words to read, and {self._name} has no special token that "
                "could stand for it; leave such utterances out, or take another model"
            )
        states = self._states(tokens.leading)
        if not self._keeps_special:
            states = states[:, :1]
        return Extracted(self._stored(states), np.zeros((states.shape[1], 2), dtype=np.int32))

    def _states(self, ids: Sequence[int]) -> torch.Tensor:
        """The chosen hidden states [layers, tokens, dimension]."""
        given = torch.tensor([ids], device=self._device)
        output = self._network(
            input_ids=given, attention_mask=torch.ones_like(given), output_hidden_states=True
        )
        states: torch.Tensor = self._chosen.of(output)[:, 0]
        return states

    def _stored(self, states: torch.Tensor) -> NDArray[np.generic]:
        """[layers, T, dimension], or [T, dimension] of a single one."""
        frames = states.to(self._stored_type).cpu().numpy()
        return frames[0] if self._chosen.single else frames


def _load_config(name: str, transformers: Any) -> tuple[Any, Path]:
    """A model's configuration, and the folder that it lies in."""
    try:
        config = transformers.AutoConfig.from_pretrained(name, trust_remote_code=False)
        folder = Path(name)
        if not folder.is_dir():
            folder = Path(transformers.utils.cached_file(name, "config.json")).parent
    except Exception as error:  # of many kinds, and all of them mean the same
        raise cannot_be_loaded(name, "a text", error) from error
    if config.model_type not in FAMILY:
        raise CheckpointError(
            f"{name} is a model of the type {config.model_type}; "
            f"transformers_text takes {', '.join(FAMILY)}"
        )
    return config, folder


def _load_tokenizer(name: str, folder: Path, transformers: Any) -> Any:
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except Exception as error:
        pieces = sorted(path.name for path in folder.glob("*.model"))
        if pieces and not (folder / "tokenizer.json").exists():
            raise CheckpointError(
                f"{name} has its tokenizer as {pieces[0]} only, which could not be read: install "
                "the packages sentencepiece and protobuf, or add the model's tokenizer.json"
            ) from error
        raise cannot_be_loaded(name, "a text", error) from error
    if not tokenizer.is_fast:
        raise CheckpointError(
            f"{name} has a tokenizer ({type(tokenizer).__name__}) that does not say where in the "
            "text a token stands; take a model with a fast tokenizer (tokenizer.json)"
        )
    # Without its files transformers makes a tokenizer that knows no word.
    files = [tokenizer.vocab_files_names.get(key) for key in ("tokenizer_file", "vocab_file")]
    wanted = [file for file in files if file]
    if not any((folder / file).exists() for file in wanted):
        raise CheckpointError(
            f"{name} has no tokenizer: {' or '.join(wanted)} is missing; add the model's own"
        )
    return tokenizer


def _room(name: str, network: Any, tokenizer: Any) -> int:
    """Tokens of a text that the model takes at once, beside its special ones."""
    positions = int(network.config.max_position_embeddings)
    for part_name, part in network.named_modules():
        if part_name.endswith("position_embeddings") and isinstance(part, torch.nn.Embedding):
            # RoBERTa's first position comes after that of padding.
            unused = 0 if part.padding_idx is None else part.padding_idx + 1
            positions = part.num_embeddings - unused
    special = int(tokenizer.num_special_tokens_to_add())
    room = min(positions, int(tokenizer.model_max_length)) - special
    if room < 1:
        raise CheckpointError(
            f"{name} takes {room + special} tokens at once, of which {special} are special: none "
            "is left for the text; correct model_max_length in its tokenizer_config.json"
        )
    return room


def _check_vocabulary(name: str, network: Any, tokenizer: Any) -> None:
    known = network.get_input_embeddings().num_embeddings
    needed = max(tokenizer.get_vocab().values()) + 1
    if needed > known:
        raise CheckpointError(
            f"{name} has a tokenizer of {needed} tokens and a model of {known}; they do not belong "
            "together: take the tokenizer that came with the model"
        )
