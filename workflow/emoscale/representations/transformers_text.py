"""BERT and related encoders over transcripts, through transformers: one vector per token."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from emoscale.config.representations import TransformersTextSettings
from emoscale.representations.chunking import half_overlapping_chunks
from emoscale.representations.contract import UtteranceFeatures
from emoscale.representations.layers import select_layers
from emoscale.representations.torchaudio_guard import import_torchaudio
from emoscale.representations.transcript_tokens import TranscriptTokenizer, TranscriptTokens
from emoscale.representations.transformers_models import (
    load_network,
    loading_error,
    model_digest,
)
from emoscale.runtime.errors import CheckpointError, UserError

TEXT_MODEL_TYPES = (
    "albert",
    "bert",
    "camembert",
    "deberta",
    "deberta-v2",
    "distilbert",
    "electra",
    "eurobert",
    "gte",
    "jina_embeddings_v3",
    "modernbert",
    "mpnet",
    "nomic_bert",
    "roberta",
    "xlm-roberta",
)
"""Supported model types of transformers: bidirectional encoders. DeBERTa-v3 is deberta-v2."""

_POOLER_WEIGHTS = ("pooler.",)
"""Names of weights of the sentence pooler, which is not used; published models often lack them."""


class TransformersText:
    """Hidden states of a text encoder, with the character span of each token.

    Transcripts are computed one by one, so that none depends on its batch. A transcript with more
    tokens than the network's positions is computed in chunks that overlap by half, with the model's
    special tokens in each; every token is taken from the chunk whose centre is nearest.

    The tokens of a prefix are treated like special tokens before the transcript.

    The name of a special token in a transcript (`[MASK]`, `</s>`) is read as text, never as the
    special token.

    Parameters
    ----------
    settings : TransformersTextSettings
        Settings of the representation.
    """

    modality: Literal["audio", "text"] = "text"
    frame_rate: float | None = None

    def __init__(self, settings: TransformersTextSettings) -> None:
        import_torchaudio()  # transformers imports it and would fail beside a CPU build of torch
        import transformers

        transformers.utils.logging.disable_progress_bar()
        transformers.utils.logging.set_verbosity_error()  # the causes of its warnings are checked
        name = settings.model
        config, folder = _load_config(name, transformers)
        tokenizer = _load_tokenizer(name, folder, transformers)
        self._network = load_network(
            name, config, getattr(torch, settings.precision), "a text", _POOLER_WEIGHTS
        )
        self._device = torch.device("cpu")
        self._tokenizer = TranscriptTokenizer(tokenizer, settings.tags, settings.prefix)
        self._max_tokens = _max_tokens(name, self._network, tokenizer, self._tokenizer)
        _check_vocabulary(name, self._network, tokenizer)
        self._keep_special = settings.special_tokens == "keep"
        self._selection = select_layers(settings.layer, config.num_hidden_layers, name)
        self._storage_dtype: torch.dtype = getattr(torch, settings.storage_dtype)
        self._model_name = name
        self.dtype: str = settings.storage_dtype
        self.layers = self._selection.stored_layers
        self.dimension: int = config.hidden_size
        self.checkpoint_sha256 = model_digest(name)

    def to(self, device: str) -> None:
        """Move the network to a device.

        Parameters
        ----------
        device : str
            ``cpu`` or ``cuda``.
        """
        self._device = torch.device(device)
        self._network.to(self._device)

    @torch.inference_mode()
    def extract(self, batch: Sequence[str]) -> list[UtteranceFeatures]:
        """Compute the hidden states and character spans of each transcript's tokens.

        A transcript without tokens has one frame, the state of the first special token.

        Parameters
        ----------
        batch : sequence of str
            Transcripts.

        Returns
        -------
        list of UtteranceFeatures
            ``[tokens, dimension]`` or ``[layers, tokens, dimension]`` of each transcript.

        Raises
        ------
        UserError
            If a transcript has no tokens and the model has no special tokens.
        """
        return [self._extract(transcript) for transcript in batch]

    def _extract(self, transcript: str) -> UtteranceFeatures:
        tokens = self._tokenizer.tokenize(transcript)
        if not tokens.ids:
            return self._extract_special(tokens)
        leading, trailing = tokens.leading, tokens.trailing
        chunks = half_overlapping_chunks(len(tokens.ids), self._max_tokens)
        blocks = []
        for chunk in chunks:
            ids = [*leading, *tokens.ids[chunk.start : chunk.stop], *trailing]
            first = len(leading) + chunk.first - chunk.start
            last = len(leading) + chunk.last - chunk.start
            if self._keep_special and chunk is chunks[0]:
                first = 0
            if self._keep_special and chunk is chunks[-1]:
                last = len(ids)
            blocks.append(self._hidden_states(ids)[:, first:last].to(self._storage_dtype).cpu())
        characters = tokens.characters
        if self._keep_special:
            characters = np.pad(characters, ((len(leading), len(trailing)), (0, 0)))
        frames = self._to_array(torch.cat(blocks, dim=1))
        return UtteranceFeatures(frames, characters, len(chunks))

    def _extract_special(self, tokens: TranscriptTokens) -> UtteranceFeatures:
        """Compute a transcript that has no tokens except special ones."""
        if not tokens.leading:
            raise UserError(
                f"the transcript has no words, and {self._model_name} has no special token to "
                "represent an empty transcript; exclude such utterances, or use another model"
            )
        states = self._hidden_states(tokens.leading)
        if not self._keep_special:
            states = states[:, :1]
        characters = np.zeros((states.shape[1], 2), dtype=np.int32)
        return UtteranceFeatures(self._to_array(states), characters)

    def _hidden_states(self, ids: Sequence[int]) -> torch.Tensor:
        """Return the selected hidden states ``[layers, tokens, dimension]``."""
        input_ids = torch.tensor([ids], device=self._device)
        output = self._network(
            input_ids=input_ids,
            attention_mask=torch.ones_like(input_ids),
            output_hidden_states=True,
        )
        states: torch.Tensor = self._selection.stack(output)[:, 0]
        return states

    def _to_array(self, states: torch.Tensor) -> NDArray[np.generic]:
        """Convert to ``[layers, tokens, dimension]``, or ``[tokens, dimension]`` of one layer."""
        frames = states.to(self._storage_dtype).cpu().numpy()
        return frames[0] if self._selection.single else frames


def _load_config(name: str, transformers: Any) -> tuple[Any, Path]:
    """Return a model's configuration, and its folder."""
    try:
        config = transformers.AutoConfig.from_pretrained(name, trust_remote_code=False)
        folder = Path(name)
        if not folder.is_dir():
            folder = Path(transformers.utils.cached_file(name, "config.json")).parent
    except Exception as error:  # transformers raises many types for a model that cannot be loaded
        raise loading_error(name, "a text", error) from error
    if config.model_type not in TEXT_MODEL_TYPES:
        raise CheckpointError(
            f"{name} is a model of the type {config.model_type}; "
            f"transformers_text supports {', '.join(TEXT_MODEL_TYPES)}"
        )
    return config, folder


def _load_tokenizer(name: str, folder: Path, transformers: Any) -> Any:
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except Exception as error:
        sentencepiece_files = sorted(path.name for path in folder.glob("*.model"))
        if sentencepiece_files and not (folder / "tokenizer.json").exists():
            raise CheckpointError(
                f"{name} has its tokenizer as {sentencepiece_files[0]} only, which cannot be read: "
                "install the packages sentencepiece and protobuf, or add the model's tokenizer.json"
            ) from error
        raise loading_error(name, "a text", error) from error
    if not tokenizer.is_fast:
        raise CheckpointError(
            f"{name} has a tokenizer ({type(tokenizer).__name__}) that does not report the "
            "character span of a token; use a model with a fast tokenizer (tokenizer.json)"
        )
    # Without its files transformers creates a tokenizer with an empty vocabulary.
    names = [tokenizer.vocab_files_names.get(key) for key in ("tokenizer_file", "vocab_file")]
    expected = [file for file in names if file]
    if not any((folder / file).exists() for file in expected):
        raise CheckpointError(
            f"{name} has no tokenizer: {' or '.join(expected)} is missing; add the model's file"
        )
    # WordPiece and SentencePiece vocabularies do not say whether the text is converted to lower
    # case, and transformers would assume the default of the model's class.
    vocabulary = tokenizer.vocab_files_names.get("vocab_file", "")
    described = any(
        (folder / file).exists() for file in ("tokenizer.json", "tokenizer_config.json")
    )
    if vocabulary.endswith((".txt", ".model")) and not described:
        raise CheckpointError(
            f"{name} has its tokenizer as {vocabulary} only, without tokenizer_config.json, which "
            "says whether the model is cased: add the model's file, or write one with "
            '{"do_lower_case": true} (or false)'
        )
    return tokenizer


def _max_tokens(
    name: str, network: Any, tokenizer: Any, transcript_tokenizer: TranscriptTokenizer
) -> int:
    """Return the maximum number of tokens per input, without special tokens and prefix."""
    positions = int(network.config.max_position_embeddings)
    for module_name, module in network.named_modules():
        if module_name.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding):
            # RoBERTa's first position comes after that of padding.
            unused = 0 if module.padding_idx is None else module.padding_idx + 1
            positions = module.num_embeddings - unused
    special = len(transcript_tokenizer.tokenize("").leading)
    max_tokens = min(positions, int(tokenizer.model_max_length)) - special
    if max_tokens < 1:
        raise CheckpointError(
            f"{name} reads at most {max_tokens + special} tokens, of which {special} are special "
            "or of the prefix, so no token of a text fits; shorten the prefix, or correct "
            "model_max_length in its tokenizer_config.json"
        )
    return max_tokens


def _check_vocabulary(name: str, network: Any, tokenizer: Any) -> None:
    embeddings = network.get_input_embeddings().num_embeddings
    vocabulary_size = max(tokenizer.get_vocab().values()) + 1
    if vocabulary_size > embeddings:
        raise CheckpointError(
            f"{name} has a tokenizer of {vocabulary_size} tokens and a model of {embeddings}, "
            "which do not match: use the tokenizer that was published with the model"
        )
