"""wav2vec 2.0 and BERT with random weights, as folders that transformers reads."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import Any

from emoscale.corpus.demo.sentences import CUES, PLAIN, SLOTS, TAGS
from emoscale.representations.torchaudio_guard import import_torchaudio

HIDDEN = 64

# The published 0.02 is for 768 values a frame; of 64, layers would then change next to nothing.
_DEVIATION = HIDDEN**-0.5

_SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def make_wav2vec2(folder: Path) -> None:
    """Write wav2vec 2.0 as the public base model is, but small, and its preprocessor."""
    transformers = _transformers()
    config = transformers.Wav2Vec2Config(
        hidden_size=HIDDEN,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=2 * HIDDEN,
        conv_dim=(HIDDEN,) * 7,
        num_conv_pos_embeddings=32,
        num_conv_pos_embedding_groups=4,
        initializer_range=_DEVIATION,
        feat_extract_norm="group",
        do_stable_layer_norm=False,
    )
    transformers.Wav2Vec2Model(config).save_pretrained(folder)
    preprocessor = transformers.Wav2Vec2FeatureExtractor(
        do_normalize=True, return_attention_mask=False
    )
    preprocessor.save_pretrained(folder)


def make_bert(folder: Path) -> None:
    """Write BERT (Devlin et al. 2019), but small, and a lower-casing tokenizer.

    The demo corpus's words are one token each; other words are spelt in characters.
    """
    transformers = _transformers()
    tokens = vocabulary()
    config = transformers.BertConfig(
        vocab_size=len(tokens),
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=2 * HIDDEN,
        initializer_range=_DEVIATION,
    )
    transformers.BertModel(config).save_pretrained(folder)
    numbered = {token: number for number, token in enumerate(tokens)}
    tokenizer = transformers.BertTokenizer(
        vocab=numbered, do_lower_case=True, model_max_length=config.max_position_embeddings
    )
    tokenizer.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")


def _transformers() -> Any:
    """The library, which is typed in part."""
    import_torchaudio()  # transformers imports it, and crashes beside a CPU torch without this
    import transformers

    library: Any = transformers
    library.utils.logging.disable_progress_bar()
    return library


def vocabulary() -> list[str]:
    """WordPiece tokens: special ones, characters, and the words of the demo corpus.

    >>> tokens = vocabulary()
    >>> tokens[:2], "##z" in tokens, "wonderful" in tokens, "laughter" in tokens
    (['[PAD]', '[UNK]'], True, True, True)
    """
    letters = string.ascii_lowercase + string.digits
    sentences = [*(re.sub(r"{\w+}", "", sentence) for sentence in PLAIN), *TAGS]
    for others in (*SLOTS.values(), *CUES.values()):
        sentences += others
    words = set(re.findall(r"[a-z]{2,}", " ".join(sentences).lower()))
    pieces = [*letters, *string.punctuation, *(f"##{letter}" for letter in letters)]
    return [*_SPECIAL_TOKENS, *pieces, *sorted(words)]
