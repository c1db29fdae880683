"""wav2vec 2.0 and BERT models with random weights, as folders in the format of transformers."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import Any

from emoscale.corpus.demo.sentences import CUES, SENTENCE_TEMPLATES, SLOTS, TAGS
from emoscale.representations.torchaudio_guard import import_torchaudio

HIDDEN_SIZE = 64

# The published value, 0.02, is for a hidden size of 768. With 64, the layers would hardly change
# their input.
_INITIALIZER_STD = HIDDEN_SIZE**-0.5

_SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def write_wav2vec2(folder: Path) -> None:
    """Write a small wav2vec 2.0 with the structure of the public base model, and its preprocessor.

    Parameters
    ----------
    folder : Path
        The folder to write.
    """
    transformers = _transformers()
    config = transformers.Wav2Vec2Config(
        hidden_size=HIDDEN_SIZE,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=2 * HIDDEN_SIZE,
        conv_dim=(HIDDEN_SIZE,) * 7,
        num_conv_pos_embeddings=32,
        num_conv_pos_embedding_groups=4,
        initializer_range=_INITIALIZER_STD,
        feat_extract_norm="group",
        do_stable_layer_norm=False,
    )
    transformers.Wav2Vec2Model(config).save_pretrained(folder)
    preprocessor = transformers.Wav2Vec2FeatureExtractor(
        do_normalize=True, return_attention_mask=False
    )
    preprocessor.save_pretrained(folder)


def write_bert(folder: Path) -> None:
    """Write a small BERT (Devlin et al. 2019) and an uncased tokenizer.

    Each word of the demo corpus is one token; other words are split into characters.

    Parameters
    ----------
    folder : Path
        The folder to write.
    """
    transformers = _transformers()
    tokens = vocabulary()
    config = transformers.BertConfig(
        vocab_size=len(tokens),
        hidden_size=HIDDEN_SIZE,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=2 * HIDDEN_SIZE,
        initializer_range=_INITIALIZER_STD,
    )
    transformers.BertModel(config).save_pretrained(folder)
    token_ids = {token: token_id for token_id, token in enumerate(tokens)}
    tokenizer = transformers.BertTokenizer(
        vocab=token_ids, do_lower_case=True, model_max_length=config.max_position_embeddings
    )
    tokenizer.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")


def _transformers() -> Any:
    """Import transformers as an untyped module, since its types are incomplete."""
    import_torchaudio()  # before transformers, which fails with a CPU build of torch otherwise
    import transformers

    library: Any = transformers
    library.utils.logging.disable_progress_bar()
    return library


def vocabulary() -> list[str]:
    """Return the WordPiece tokens: special tokens, characters, and the demo corpus's words.

    Returns
    -------
    list of str
        Tokens in the order of their ids.

    Examples
    --------
    >>> tokens = vocabulary()
    >>> tokens[:2], "##z" in tokens, "wonderful" in tokens, "laughter" in tokens
    (['[PAD]', '[UNK]'], True, True, True)
    """
    characters = string.ascii_lowercase + string.digits
    sentences = [*(re.sub(r"{\w+}", "", sentence) for sentence in SENTENCE_TEMPLATES), *TAGS]
    for sentence_group in (*SLOTS.values(), *CUES.values()):
        sentences += sentence_group
    words = set(re.findall(r"[a-z]{2,}", " ".join(sentences).lower()))
    continuations = [f"##{character}" for character in characters]
    return [*_SPECIAL_TOKENS, *characters, *string.punctuation, *continuations, *sorted(words)]
