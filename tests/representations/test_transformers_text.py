"""Text models: small networks of each architecture with random weights and vocabularies."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from emoscale.config.representations import TransformersTextSettings
from emoscale.representations.contract import Representation, UtteranceFeatures
from emoscale.representations.torchaudio_guard import import_torchaudio
from emoscale.representations.transformers_text import TEXT_MODEL_TYPES, TransformersText
from emoscale.representations.word_alignment import token_seconds
from emoscale.runtime.errors import CheckpointError, UserError

import_torchaudio()
import transformers  # noqa: E402

WORDS = ["hello", "there", "so", "sad", "am", "don", "laugh", "laughter", "out", "loud"]
MARKS = [*"'.,!?-<>/[]"]
LETTERS = [*"abcdefghijklmnopqrstuvwxyz"]
SENTENCE = "I am so sad, don't laugh out loud!"


def create_wordpiece() -> Any:
    """Create a tokenizer like BERT's: lower case, ## inside words."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *MARKS, *LETTERS]
    tokens += [f"##{letter}" for letter in LETTERS] + WORDS
    return transformers.BertTokenizer(vocab={token: index for index, token in enumerate(tokens)})


def create_byte_pair() -> Any:
    """Create a tokenizer like RoBERTa's: bytes, a space belongs to the following word."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*WORDS, " ".join(WORDS)] * 3, trainer)
    trained = json.loads(tokenizer.to_str())["model"]
    merges: Any = [tuple(merge) for merge in trained["merges"]]
    return transformers.RobertaTokenizer(vocab=trained["vocab"], merges=merges)


def create_sentencepiece() -> Any:
    """Create a tokenizer like XLM-RoBERTa's: ▁ for a space, special tokens in the vocabulary."""
    tokens = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0)]
    tokens += [(f"▁{word}", -2.0) for word in WORDS]
    tokens += [(letter, -5.0) for letter in [*LETTERS, *MARKS]] + [("<mask>", 0.0)]
    return transformers.XLMRobertaTokenizer(vocab=tokens)


TOKENIZERS = {
    "wordpiece": create_wordpiece(),
    "byte pair": create_byte_pair(),
    "sentencepiece": create_sentencepiece(),
}
SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "vocab_size": 400,
    "initializer_range": 0.5,  # otherwise all tokens would be similar
}
ROBERTA_IDS: dict[str, Any] = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
DEBERTA_V3: dict[str, Any] = {
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "position_buckets": 8,
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
}
MODELS: dict[str, tuple[Any, str]] = {
    "albert": (transformers.AlbertConfig(**SMALL, embedding_size=8), "sentencepiece"),
    "bert": (transformers.BertConfig(**SMALL), "wordpiece"),
    "camembert": (transformers.CamembertConfig(**SMALL, **ROBERTA_IDS), "sentencepiece"),
    "deberta": (
        transformers.DebertaConfig(
            **SMALL, relative_attention=True, pos_att_type=["c2p", "p2c"], max_relative_positions=9
        ),
        "byte pair",
    ),
    "deberta-v2": (transformers.DebertaV2Config(**SMALL, **DEBERTA_V3), "sentencepiece"),
    "distilbert": (
        transformers.DistilBertConfig(
            dim=16, n_layers=2, n_heads=2, hidden_dim=32, vocab_size=400, initializer_range=0.5
        ),
        "wordpiece",
    ),
    "electra": (transformers.ElectraConfig(**SMALL, embedding_size=8), "wordpiece"),
    "eurobert": (
        transformers.EuroBertConfig(**SMALL, **ROBERTA_IDS, mask_token_id=4),
        "byte pair",
    ),
    "gte": (transformers.GteConfig(**SMALL), "sentencepiece"),
    "jina_embeddings_v3": (transformers.JinaEmbeddingsV3Config(**SMALL), "sentencepiece"),
    "modernbert": (
        transformers.ModernBertConfig(**SMALL, **ROBERTA_IDS, cls_token_id=0, sep_token_id=2),
        "byte pair",
    ),
    "mpnet": (transformers.MPNetConfig(**SMALL, **ROBERTA_IDS), "wordpiece"),
    "nomic_bert": (transformers.NomicBertConfig(**SMALL), "wordpiece"),
    "roberta": (transformers.RobertaConfig(**SMALL, **ROBERTA_IDS), "byte pair"),
    "xlm-roberta": (transformers.XLMRobertaConfig(**SMALL, **ROBERTA_IDS), "sentencepiece"),
}
MODEL_OF_TOKENIZER = {"wordpiece": "bert", "byte pair": "roberta", "sentencepiece": "xlm-roberta"}


def save_model(folder: Path, name: str = "bert", **changes: Any) -> Path:
    """Save the model `name`, with `changes` of its configuration, and a tokenizer."""
    config, tokenizer = MODELS[name]
    config = type(config).from_dict({**config.to_dict(), **changes})
    torch.manual_seed(1)
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    TOKENIZERS[tokenizer].save_pretrained(folder)
    return folder


def build(folder: Path, **changes: Any) -> TransformersText:
    representation = TransformersText(
        TransformersTextSettings(kind="transformers_text", model=str(folder), **changes)
    )
    assert isinstance(representation, Representation)
    return representation


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Save one model for each kind of tokenizer."""
    root = tmp_path_factory.mktemp("models")
    return {kind: save_model(root / name, name) for kind, name in MODEL_OF_TOKENIZER.items()}


def reference_states(folder: Path, ids: Sequence[int]) -> torch.Tensor:
    """Compute all hidden states ``[layers, tokens, dimension]`` by transformers."""
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
    return torch.cat(states)


def assert_equal_in_float16(frames: Any, states: torch.Tensor) -> None:
    """Compare up to rounding to float16."""
    np.testing.assert_allclose(frames.astype(float), states.numpy(), rtol=1e-3, atol=1e-3)


def token_texts(features: UtteranceFeatures, transcript: str) -> list[str]:
    assert features.characters is not None
    assert features.characters.dtype == np.int32
    return [transcript[first:end] for first, end in features.characters]


def tokenize(representation: TransformersText, transcript: str) -> list[int]:
    return representation._tokenizer.tokenize(transcript).ids


@pytest.mark.parametrize("name", MODELS)
def test_hidden_states_against_transformers(tmp_path: Path, name: str) -> None:
    folder = save_model(tmp_path, name)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    states = reference_states(folder, tokenizer(SENTENCE).input_ids)
    assert len(states) == 3
    representation = build(folder, layer="all", special_tokens="keep")
    (features,) = representation.extract([SENTENCE])
    assert_equal_in_float16(features.frames, states)
    assert (representation.layers, representation.dimension, representation.frame_rate) == (
        (0, 1, 2),
        16,
        None,
    )
    assert features.frames.dtype == np.float16
    assert features.chunks == 1
    (without_special,) = build(folder).extract([SENTENCE])
    assert_equal_in_float16(without_special.frames, states[-1][1:-1])
    assert not torch.allclose(states[0], states[1], atol=0.1)  # the layers differ


def test_every_model_type_is_tested() -> None:
    assert set(MODELS) == set(TEXT_MODEL_TYPES)


def test_layers(tmp_path: Path) -> None:
    folder = save_model(tmp_path)
    every = build(folder, layer="all").extract([SENTENCE])[0].frames
    for layer in (0, 1, 2, -1, -3):
        representation = build(folder, layer=layer)
        assert representation.layers == ()
        np.testing.assert_array_equal(representation.extract([SENTENCE])[0].frames, every[layer])
    several = build(folder, layer=[-1, 0, 2])
    assert several.layers == (0, 2)
    np.testing.assert_array_equal(several.extract([SENTENCE])[0].frames, every[[0, 2]])
    assert build(folder, layer=[1]).extract([SENTENCE])[0].frames.shape == (1, *every.shape[1:])
    for missing in (3, -4, [0, 3]):
        with pytest.raises(CheckpointError, match=r"states 0 to 2; there is no layer (3|-4)"):
            build(folder, layer=missing)


@pytest.mark.parametrize("kind", MODEL_OF_TOKENIZER)
def test_a_transcript_does_not_depend_on_its_batch(folders: dict[str, Path], kind: str) -> None:
    representation = build(folders[kind])
    batch = [SENTENCE, "", "hello " * 700, "so"]
    for transcript, features in zip(batch, representation.extract(batch), strict=True):
        (single,) = representation.extract([transcript])
        np.testing.assert_array_equal(features.frames, single.frames)
        np.testing.assert_array_equal(features.characters, single.characters)


def test_character_spans_of_wordpiece_tokens(folders: dict[str, Path]) -> None:
    representation = build(folders["wordpiece"])
    transcript = "Hello,  THERE\nlaughs"
    (features,) = representation.extract([transcript])
    assert token_texts(features, transcript) == ["Hello", ",", "THERE", "laugh", "s"]


def test_character_spans_of_byte_pair_tokens(folders: dict[str, Path]) -> None:
    representation = build(folders["byte pair"])
    transcript = "so sad 😀 so"
    (features,) = representation.extract([transcript])
    words = token_texts(features, transcript)
    assert words[:2] == ["so", "sad"]  # without the space that the token includes
    assert words[-1] == "so"
    assert set(words[2:-1]) == {"😀", ""}  # its bytes are tokens with the same span
    assert features.characters is not None
    assert (np.diff(features.characters, axis=0) >= 0).all()


def test_character_spans_exclude_leading_whitespace(tmp_path: Path) -> None:
    """Some tokenizer files configure offsets that include it."""
    folder = save_model(tmp_path, "roberta")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["post_processor"]["trim_offsets"] = False
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (features,) = build(folder).extract(["so sad  "])
    assert features.characters is not None
    assert features.characters.tolist() == [[0, 2], [3, 6], [7, 7], [8, 8]]


def test_character_spans_of_sentencepiece_tokens(folders: dict[str, Path]) -> None:
    representation = build(folders["sentencepiece"])
    transcript = " hello   there so, so"
    (features,) = representation.extract([transcript])
    assert token_texts(features, transcript) == ["hello", "there", "so", ",", "so"]


REPRESENTATIONS: dict[tuple[str, str], TransformersText] = {}


@pytest.mark.parametrize("kind", MODEL_OF_TOKENIZER)
@pytest.mark.parametrize("tags", ["remove", "keep", "word"])
@settings(max_examples=25)
@given(transcript=st.text(max_size=30) | st.text("aé😀İ \n[]<s>/MASK", max_size=30))
def test_character_spans_of_any_text_are_valid(
    folders: dict[str, Path], kind: str, tags: str, transcript: str
) -> None:
    if (kind, tags) not in REPRESENTATIONS:
        REPRESENTATIONS[kind, tags] = build(folders[kind], tags=tags)
    representation = REPRESENTATIONS[kind, tags]
    (features,) = representation.extract([transcript])
    assert features.characters is not None
    assert len(features.frames) == len(features.characters) >= 1
    first, end = features.characters.T
    assert (first <= end).all()
    assert 0 <= first.min() <= end.max() <= len(transcript)
    assert np.isfinite(features.frames).all()
    special = set(TOKENIZERS[kind].all_special_ids) - {TOKENIZERS[kind].unk_token_id}
    assert not special & set(tokenize(representation, transcript))


@pytest.mark.parametrize("kind", MODEL_OF_TOKENIZER)
@pytest.mark.parametrize("transcript", ["", "   ", "\n\t", "[LAUGHTER]", " [LAUGHTER] [Garbage] "])
def test_an_empty_transcript_is_the_first_special_token(
    folders: dict[str, Path], kind: str, transcript: str
) -> None:
    first, last = TOKENIZERS[kind]("").input_ids
    states = reference_states(folders[kind], [first, last])[-1]
    (features,) = build(folders[kind]).extract([transcript])
    assert_equal_in_float16(features.frames, states[:1])
    assert features.characters is not None
    assert features.characters.tolist() == [[0, 0]]
    (with_special,) = build(folders[kind], special_tokens="keep").extract([transcript])
    assert_equal_in_float16(with_special.frames, states)
    assert with_special.characters is not None
    assert with_special.characters.tolist() == [[0, 0], [0, 0]]


def test_special_tokens_are_optional(folders: dict[str, Path]) -> None:
    (without_special,) = build(folders["wordpiece"]).extract(["so sad"])
    (with_special,) = build(folders["wordpiece"], special_tokens="keep").extract(["so sad"])
    assert with_special.characters is not None
    assert with_special.characters.tolist() == [[0, 0], [0, 2], [3, 6], [0, 0]]
    np.testing.assert_array_equal(with_special.frames[1:-1], without_special.frames)


@pytest.mark.parametrize("kind", MODEL_OF_TOKENIZER)
def test_tags(folders: dict[str, Path], kind: str) -> None:
    transcript = "so [LAUGHTER]  sad [Laugh Out]"
    removed, word, literal = (
        build(folders[kind], tags=tags).extract([transcript])[0]
        for tags in ("remove", "word", "keep")
    )
    (untagged,) = build(folders[kind]).extract(["so sad"])
    np.testing.assert_array_equal(removed.frames, untagged.frames)
    assert token_texts(removed, transcript) == ["so", "sad"]
    (spoken,) = build(folders[kind]).extract(["so laughter sad laugh out"])
    np.testing.assert_array_equal(word.frames, spoken.frames)
    assert token_texts(word, transcript) == ["so", "LAUGHTER", "sad", "Laugh", "Out"]
    assert "[" in token_texts(literal, transcript)
    assert len(literal.frames) > len(word.frames)


@pytest.mark.parametrize("kind", MODEL_OF_TOKENIZER)
@pytest.mark.parametrize("prefix", ["so: ", "so:", "loud "])
def test_a_prefix_is_read_but_not_stored(folders: dict[str, Path], kind: str, prefix: str) -> None:
    transcript = "so [LAUGHTER] sad there"
    representation = build(folders[kind], prefix=prefix)
    (features,) = representation.extract([transcript])
    ids = TOKENIZERS[kind](f"{prefix}so sad there").input_ids
    prefix_ids = TOKENIZERS[kind](prefix.strip(), add_special_tokens=False).input_ids
    states = reference_states(folders[kind], ids)[-1]
    assert_equal_in_float16(features.frames, states[1 + len(prefix_ids) : -1])
    assert "".join(token_texts(features, transcript)) == "sosadthere"
    (with_special,) = build(folders[kind], prefix=prefix, special_tokens="keep").extract(
        [transcript]
    )
    assert_equal_in_float16(with_special.frames, states)
    assert with_special.characters is not None
    assert (with_special.characters[: 1 + len(prefix_ids)] == 0).all()
    (empty,) = representation.extract(["[LAUGHTER]"])
    assert empty.characters is not None
    assert empty.characters.tolist() == [[0, 0]]


def test_a_prefix_is_in_every_chunk(tmp_path: Path) -> None:
    folder = save_model(tmp_path, "bert", max_position_embeddings=12)
    (features,) = build(folder, prefix="so: ").extract([" ".join(["there", "sad"] * 6)])
    first, *prefix_ids, last = TOKENIZERS["wordpiece"]("so: ").input_ids
    ids = TOKENIZERS["wordpiece"]("there sad " * 4, add_special_tokens=False).input_ids
    assert features.chunks == 2
    assert len(features.frames) == 12
    states = reference_states(folder, [first, *prefix_ids, *ids, last])[-1]
    assert_equal_in_float16(features.frames[:6], states[3:9])
    assert_equal_in_float16(features.frames[6:], states[5:11])
    with pytest.raises(CheckpointError, match="of which 13 are special or of the prefix"):
        build(folder, prefix="so " * 11)


def test_character_spans_of_a_tag_whose_lower_case_is_longer(folders: dict[str, Path]) -> None:
    transcript = "so [İ] sad"  # two characters in lower case
    (features,) = build(folders["byte pair"], tags="word").extract([transcript])
    words = token_texts(features, transcript)
    assert words[0] == "so"
    assert set(words[1:-1]) - {""} == {"İ"}
    assert words[-1] == "sad"


@pytest.mark.parametrize("kind", MODEL_OF_TOKENIZER)
@pytest.mark.parametrize("tags", ["remove", "keep", "word"])
def test_names_of_special_tokens_are_read_as_text(
    folders: dict[str, Path], kind: str, tags: str
) -> None:
    representation = build(folders[kind], tags=tags)
    tokenizer = TOKENIZERS[kind]
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    for name in ("[MASK]", "[SEP]", "[CLS]", "[PAD]", "<s>", "</s>", "<mask>", "<pad>", "<unk>"):
        for transcript in (name, f"so {name} sad", f"so{name}{name}sad"):
            ids = tokenize(representation, transcript)
            assert not special & set(ids), transcript


@pytest.mark.parametrize("kind", MODEL_OF_TOKENIZER)
def test_the_letters_of_a_special_tokens_name_are_read(folders: dict[str, Path], kind: str) -> None:
    transcript = {"wordpiece": "so [MASK] sad"}.get(kind, "so <mask> sad")
    (features,) = build(folders[kind], tags="keep").extract([transcript])
    assert features.characters is not None
    indices = sorted({index for span in features.characters for index in range(*span)})
    letters = "".join(transcript[index] for index in indices)
    # If the name is a token of the vocabulary, its first character is replaced by a space.
    expected = "somask>sad" if kind == "sentencepiece" else transcript.replace(" ", "")
    assert letters == expected


@pytest.mark.parametrize("kind", MODEL_OF_TOKENIZER)
def test_a_long_transcript_is_computed_in_chunks(tmp_path: Path, kind: str) -> None:
    # 12 positions: those of RoBERTa and related models start after the id of padding, 1.
    name = MODEL_OF_TOKENIZER[kind]
    folder = save_model(tmp_path, name, max_position_embeddings=12 if name == "bert" else 14)
    transcript = " ".join(["there", "so", "sad"] * 7)
    tokenizer = TOKENIZERS[kind]
    first, *ids, last = tokenizer(transcript, truncation=False).input_ids
    length = 10  # of a chunk, without special tokens
    starts = [*range(0, len(ids) - length, length // 2), len(ids) - length]
    chunks = [
        reference_states(folder, [first, *ids[start : start + length], last])[-1]
        for start in starts
    ]
    expected = []
    for token in range(len(ids)):
        covering = [start for start in starts if start <= token < start + length]
        best = max(covering, key=lambda start: min(token - start, start + length - 1 - token))
        expected.append(chunks[starts.index(best)][1 + token - best])
    representation = build(folder)
    (features,) = representation.extract([transcript])
    assert_equal_in_float16(features.frames, torch.stack(expected))
    assert features.chunks == len(starts)
    assert "".join(token_texts(features, transcript)) == transcript.replace(" ", "")
    (with_special,) = build(folder, special_tokens="keep").extract([transcript])
    assert_equal_in_float16(
        with_special.frames[[0, -1]], torch.stack([chunks[0][0], chunks[-1][-1]])
    )
    np.testing.assert_array_equal(with_special.frames[1:-1], features.frames)


def test_the_maximum_length_of_a_chunk(folders: dict[str, Path]) -> None:
    for kind, name in MODEL_OF_TOKENIZER.items():
        representation = build(folders[kind])
        positions = 512 if name == "bert" else 510  # RoBERTa does not use the first two of 512
        for count in (positions - 2, positions - 1):
            (features,) = representation.extract([" ".join(["so"] * count)])
            assert len(features.frames) == count
            assert features.chunks == (1 if count == positions - 2 else 2)


def test_the_maximum_length_of_the_tokenizer_is_respected(tmp_path: Path) -> None:
    folder = save_model(tmp_path)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "model_max_length": 7}))
    (features,) = build(folder).extract(["so sad so sad so sad"])
    assert features.chunks == 2
    path.write_text(json.dumps({**config, "model_max_length": 2}))
    with pytest.raises(CheckpointError, match="reads at most 2 tokens, of which 2 are special"):
        build(folder)


def test_truncation_and_padding_of_a_tokenizer_are_switched_off(tmp_path: Path) -> None:
    folder = save_model(tmp_path)
    (before,) = build(folder).extract([SENTENCE])
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=32)
    tokenizer.save(str(folder / "tokenizer.json"))
    (after,) = build(folder).extract([SENTENCE])
    np.testing.assert_array_equal(after.frames, before.frames)


def test_a_very_long_word(folders: dict[str, Path]) -> None:
    for folder in folders.values():
        (features,) = build(folder).extract(["a" * 3000])
        assert features.characters is not None
        assert (features.characters[0, 0], features.characters[-1, 1]) == (0, 3000)


def test_tokens_have_the_times_of_their_words(folders: dict[str, Path]) -> None:
    transcript = "so [LAUGHTER] don't, there"
    words = [
        {"word": "SO", "start": 0.0, "end": 0.2},
        {"word": "[LAUGHTER]", "start": 0.2, "end": 1.0},
        {"word": "DONT", "start": 1.0, "end": 1.5},
        {"word": "THERE", "start": 1.5, "end": 2.0},
    ]
    for folder in folders.values():
        (features,) = build(folder).extract([transcript])
        assert features.characters is not None
        seconds = token_seconds(transcript, features.characters, words)
        starts = dict(zip(token_texts(features, transcript), seconds[:, 0], strict=True))
        assert starts["so"] == 0.0
        assert starts[","] == starts["t"] == 1.0
        assert starts["there"] == 1.5


def test_storage_in_float32(tmp_path: Path) -> None:
    folder = save_model(tmp_path)
    representation = build(folder, storage_dtype="float32")
    (full,), (half,) = representation.extract([SENTENCE]), build(folder).extract([SENTENCE])
    assert representation.dtype == str(full.frames.dtype) == "float32"
    np.testing.assert_array_equal(full.frames.astype(np.float16), half.frames)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_precision_of_the_network(tmp_path: Path, precision: str) -> None:
    folder = save_model(tmp_path)
    (exact,) = build(folder).extract([SENTENCE])
    (approximate,) = build(folder, precision=precision).extract([SENTENCE])
    assert approximate.frames.dtype == np.float16
    difference = np.abs(approximate.frames.astype(float) - exact.frames.astype(float)).max()
    assert 0 < difference < 0.2


def test_half_precision_weights_are_computed_in_float32(tmp_path: Path) -> None:
    folder = save_model(tmp_path)
    path = folder / "model.safetensors"
    half = {name: weight.half() for name, weight in load_file(path).items()}
    save_file(half, path, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "float16"}))
    (from_half,) = build(folder).extract([SENTENCE])
    full = {name: weight.float() for name, weight in half.items()}
    save_file(full, path, metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    np.testing.assert_array_equal(build(folder).extract([SENTENCE])[0].frames, from_half.frames)


def test_a_folder_with_only_vocab_txt(tmp_path: Path) -> None:
    folder = save_model(tmp_path)
    (before,) = build(folder).extract([SENTENCE])
    vocabulary = TOKENIZERS["wordpiece"].get_vocab()
    (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.__getitem__)))
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    (after,) = build(folder).extract([SENTENCE])
    np.testing.assert_array_equal(after.frames, before.frames)
    (folder / "tokenizer_config.json").unlink()
    message = r'tokenizer as vocab\.txt only, .* write one with \{"do_lower_case": true\}'
    assert_refused(folder, message)


def test_the_digest_depends_on_all_files_of_the_model(tmp_path: Path) -> None:
    first = build(save_model(tmp_path / "one"))
    folder = save_model(tmp_path / "two")
    assert build(folder).checkpoint_sha256 == first.checkpoint_sha256
    (folder / "README.md").write_text("a model")
    assert build(folder).checkpoint_sha256 == first.checkpoint_sha256
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        before = (folder / name).read_text()
        (folder / name).write_text(before + "\n")
        assert build(folder).checkpoint_sha256 != first.checkpoint_sha256
        (folder / name).write_text(before)
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["encoder.layer.0.output.dense.bias"] += 1
    save_file(weights, path, metadata={"format": "pt"})
    assert build(folder).checkpoint_sha256 != first.checkpoint_sha256


def test_a_model_with_its_head_and_without_pooler(tmp_path: Path) -> None:
    """bert-base-uncased and related models are published in this form."""
    folder = save_model(tmp_path)
    (before,) = build(folder).extract([SENTENCE])
    path = folder / "model.safetensors"
    weights = {f"bert.{name}": weight for name, weight in load_file(path).items()}
    weights = {name: weight for name, weight in weights.items() if "pooler" not in name}
    weights["cls.predictions.bias"] = torch.zeros(400)
    save_file(weights, path, metadata={"format": "pt"})
    (after,) = build(folder).extract([SENTENCE])
    np.testing.assert_array_equal(after.frames, before.frames)


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    folder = save_model(tmp_path)
    path = folder / "model.safetensors"
    weights = load_file(path)
    incomplete = dict(weights)
    del incomplete["encoder.layer.1.attention.self.key.weight"]
    save_file(incomplete, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks weights .*encoder\.layer\.1\.attention"):
        build(folder)
    save_file(weights, path, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 48}))
    with pytest.raises(CheckpointError, match=r"lacks weights .* or of another architecture"):
        build(folder)


def assert_refused(folder: Path, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        build(folder)
    assert "\n" not in str(caught.value)


def test_unsupported_model_types_are_refused(tmp_path: Path) -> None:
    assert_refused(tmp_path / "no" / "such" / "folder", "does not exist; name the folder")
    for name in ("t5", "gpt2", "bart", "wav2vec2"):
        transformers.AutoConfig.for_model(name).save_pretrained(tmp_path / name)
        assert_refused(
            tmp_path / name, f"of the type {name}; transformers_text supports albert, bert"
        )


@pytest.mark.parametrize("name", ["bert", "roberta", "deberta-v2", "mpnet", "modernbert"])
def test_a_folder_without_its_tokenizer_is_refused(tmp_path: Path, name: str) -> None:
    """transformers would create a tokenizer with an empty vocabulary."""
    folder = save_model(tmp_path, name)
    (folder / "tokenizer.json").unlink()
    assert_refused(folder, "has no tokenizer: tokenizer.json|cannot be loaded as a text model")
    (folder / "tokenizer_config.json").unlink()
    assert_refused(folder, "has no tokenizer: tokenizer.json|cannot be loaded as a text model")


def test_unusable_tokenizers_are_refused(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "broken")
    (folder / "tokenizer.json").write_text("{}")
    assert_refused(folder, "cannot be loaded as a text model")
    folder = save_model(tmp_path / "sentencepiece", "deberta-v2")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "DebertaV2Tokenizer"}')
    (folder / "spm.model").write_bytes(b"not a model")
    assert_refused(folder, "its tokenizer as spm.model only.*sentencepiece and protobuf")
    assert_refused(save_model(tmp_path / "small", vocab_size=60), "which do not match")
    folder = save_model(tmp_path / "slow")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "CanineTokenizer"}')
    assert_refused(folder, "CanineTokenizer.* fast tokenizer")


class Malicious:
    """Object whose pickle creates a folder when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_damaged_and_malicious_weights_are_refused(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    assert_refused(folder, "cannot be loaded as a text model")
    path.unlink()
    assert_refused(folder, "cannot be loaded as a text model")
    torch.save({"a": Malicious(tmp_path / "executed")}, folder / "pytorch_model.bin")
    assert_refused(folder, "damaged or contains more than weights, and is not loaded")
    assert not (tmp_path / "executed").exists()


def test_an_empty_transcript_without_special_tokens_is_reported(tmp_path: Path) -> None:
    folder = save_model(tmp_path)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps({**tokenizer, "post_processor": None}))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    representation = build(folder, special_tokens="keep")
    (features,) = representation.extract(["so sad"])
    assert token_texts(features, "so sad") == ["so", "sad"]
    with pytest.raises(UserError, match=r"no words, and .* has no special token"):
        representation.extract(["[LAUGHTER]"])


def test_moving_to_the_cpu_changes_nothing(folders: dict[str, Path]) -> None:
    representation = build(folders["wordpiece"])
    (before,) = representation.extract([SENTENCE])
    representation.to("cpu")
    np.testing.assert_array_equal(representation.extract([SENTENCE])[0].frames, before.frames)
