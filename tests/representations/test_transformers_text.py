"""Text models: small ones of the true architectures, with random weights and small vocabularies."""

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
from emoscale.representations.contract import Extracted, Representation
from emoscale.representations.torchaudio_guard import import_torchaudio
from emoscale.representations.transformers_text import FAMILY, TransformersText
from emoscale.representations.word_alignment import seconds_of_tokens
from emoscale.runtime.errors import CheckpointError, UserError

import_torchaudio()
import transformers  # noqa: E402

WORDS = ["hello", "there", "so", "sad", "am", "don", "laugh", "laughter", "out", "loud"]
MARKS = [*"'.,!?-<>/[]"]
LETTERS = [*"abcdefghijklmnopqrstuvwxyz"]
SENTENCE = "I am so sad, don't laugh out loud!"


def word_pieces() -> Any:
    """BERT's kind: lower case, ## inside words."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *MARKS, *LETTERS]
    pieces += [f"##{letter}" for letter in LETTERS] + WORDS
    return transformers.BertTokenizer(vocab={piece: place for place, piece in enumerate(pieces)})


def byte_pairs() -> Any:
    """RoBERTa's kind: bytes, the blank belongs to the word behind it."""
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


def sentence_pieces() -> Any:
    """XLM-RoBERTa's kind: ▁ for the blank, and special names that are pieces like any other."""
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0)]
    pieces += [(f"▁{word}", -2.0) for word in WORDS]
    pieces += [(letter, -5.0) for letter in [*LETTERS, *MARKS]] + [("<mask>", 0.0)]
    return transformers.XLMRobertaTokenizer(vocab=pieces)


TOKENIZERS = {
    "word pieces": word_pieces(),
    "byte pairs": byte_pairs(),
    "sentence pieces": sentence_pieces(),
}
SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "vocab_size": 400,
    "initializer_range": 0.5,  # or all tokens would be much alike
}
PAIRS: dict[str, Any] = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
AS_DEBERTA_V3: dict[str, Any] = {
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "position_buckets": 8,
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
}
MODELS: dict[str, tuple[Any, str]] = {
    "albert": (transformers.AlbertConfig(**SMALL, embedding_size=8), "sentence pieces"),
    "bert": (transformers.BertConfig(**SMALL), "word pieces"),
    "camembert": (transformers.CamembertConfig(**SMALL, **PAIRS), "sentence pieces"),
    "deberta": (
        transformers.DebertaConfig(
            **SMALL, relative_attention=True, pos_att_type=["c2p", "p2c"], max_relative_positions=9
        ),
        "byte pairs",
    ),
    "deberta-v2": (transformers.DebertaV2Config(**SMALL, **AS_DEBERTA_V3), "sentence pieces"),
    "distilbert": (
        transformers.DistilBertConfig(
            dim=16, n_layers=2, n_heads=2, hidden_dim=32, vocab_size=400, initializer_range=0.5
        ),
        "word pieces",
    ),
    "electra": (transformers.ElectraConfig(**SMALL, embedding_size=8), "word pieces"),
    "modernbert": (
        transformers.ModernBertConfig(**SMALL, **PAIRS, cls_token_id=0, sep_token_id=2),
        "byte pairs",
    ),
    "mpnet": (transformers.MPNetConfig(**SMALL, **PAIRS), "word pieces"),
    "roberta": (transformers.RobertaConfig(**SMALL, **PAIRS), "byte pairs"),
    "xlm-roberta": (transformers.XLMRobertaConfig(**SMALL, **PAIRS), "sentence pieces"),
}
FIRST = {"word pieces": "bert", "byte pairs": "roberta", "sentence pieces": "xlm-roberta"}


def save_model(folder: Path, name: str = "bert", **changes: Any) -> Path:
    """The model `name` with `changes` of its configuration, and a tokenizer."""
    config, tokenizer = MODELS[name]
    config = type(config).from_dict({**config.to_dict(), **changes})
    torch.manual_seed(1)
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    TOKENIZERS[tokenizer].save_pretrained(folder)
    return folder


def build(folder: Path, **changes: Any) -> TransformersText:
    made = TransformersText(
        TransformersTextSettings(kind="transformers_text", model=str(folder), **changes)
    )
    assert isinstance(made, Representation)
    return made


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One model for each kind of tokenizer."""
    root = tmp_path_factory.mktemp("models")
    return {kind: save_model(root / name, name) for kind, name in FIRST.items()}


def plain_states(folder: Path, ids: Sequence[int]) -> torch.Tensor:
    """All hidden states [layers, tokens, dimension], by the model as it comes."""
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
    return torch.cat(states)


def assert_same(frames: Any, states: torch.Tensor) -> None:
    """Up to the rounding to float16."""
    np.testing.assert_allclose(frames.astype(float), states.numpy(), rtol=1e-3, atol=1e-3)


def spelled(extracted: Extracted, transcript: str) -> list[str]:
    assert extracted.characters is not None
    assert extracted.characters.dtype == np.int32
    return [transcript[first:end] for first, end in extracted.characters]


def read_ids(made: TransformersText, transcript: str) -> list[int]:
    return made._reader.read(transcript).ids


@pytest.mark.parametrize("name", MODELS)
def test_frames_are_the_models_hidden_states(tmp_path: Path, name: str) -> None:
    folder = save_model(tmp_path, name)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    states = plain_states(folder, tokenizer(SENTENCE).input_ids)
    assert len(states) == 3
    made = build(folder, layer="all", special_tokens="keep")
    (extracted,) = made.extract([SENTENCE])
    assert_same(extracted.frames, states)
    assert (made.layers, made.dimension, made.frame_rate) == ((0, 1, 2), 16, None)
    assert extracted.frames.dtype == np.float16
    assert extracted.chunks == 1
    (dropped,) = build(folder).extract([SENTENCE])
    assert_same(dropped.frames, states[-1][1:-1])
    assert not torch.allclose(states[0], states[1], atol=0.1)  # the layers differ


def test_every_model_type_is_tried() -> None:
    assert set(MODELS) == set(FAMILY)


def test_layers(tmp_path: Path) -> None:
    folder = save_model(tmp_path)
    every = build(folder, layer="all").extract([SENTENCE])[0].frames
    for layer in (0, 1, 2, -1, -3):
        made = build(folder, layer=layer)
        assert made.layers == ()
        np.testing.assert_array_equal(made.extract([SENTENCE])[0].frames, every[layer])
    several = build(folder, layer=[-1, 0, 2])
    assert several.layers == (0, 2)
    np.testing.assert_array_equal(several.extract([SENTENCE])[0].frames, every[[0, 2]])
    assert build(folder, layer=[1]).extract([SENTENCE])[0].frames.shape == (1, *every.shape[1:])
    for none in (3, -4, [0, 3]):
        with pytest.raises(CheckpointError, match=r"hidden states 0 to 2; layer (3|-4) is none"):
            build(folder, layer=none)


@pytest.mark.parametrize("kind", FIRST)
def test_a_transcript_does_not_depend_on_its_batch(folders: dict[str, Path], kind: str) -> None:
    made = build(folders[kind])
    batch = [SENTENCE, "", "hello " * 700, "so"]
    for transcript, extracted in zip(batch, made.extract(batch), strict=True):
        (alone,) = made.extract([transcript])
        np.testing.assert_array_equal(extracted.frames, alone.frames)
        np.testing.assert_array_equal(extracted.characters, alone.characters)


def test_where_word_pieces_stand(folders: dict[str, Path]) -> None:
    made = build(folders["word pieces"])
    transcript = "Hello,  THERE\nlaughs"
    (extracted,) = made.extract([transcript])
    assert spelled(extracted, transcript) == ["Hello", ",", "THERE", "laugh", "s"]


def test_where_byte_pairs_stand(folders: dict[str, Path]) -> None:
    made = build(folders["byte pairs"])
    transcript = "so sad 😀 so"
    (extracted,) = made.extract([transcript])
    words = spelled(extracted, transcript)
    assert words[:2] == ["so", "sad"]  # without the blank that the token includes
    assert words[-1] == "so"
    assert set(words[2:-1]) == {"😀", ""}  # its bytes are tokens of the same character
    assert extracted.characters is not None
    assert (np.diff(extracted.characters, axis=0) >= 0).all()


def test_a_blank_in_front_is_no_part_of_a_tokens_place(tmp_path: Path) -> None:
    """Some tokenizers say that it is, as their files have it."""
    folder = save_model(tmp_path, "roberta")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["post_processor"]["trim_offsets"] = False
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (extracted,) = build(folder).extract(["so sad  "])
    assert extracted.characters is not None
    assert extracted.characters.tolist() == [[0, 2], [3, 6], [7, 7], [8, 8]]


def test_where_sentence_pieces_stand(folders: dict[str, Path]) -> None:
    made = build(folders["sentence pieces"])
    transcript = " hello   there so, so"
    (extracted,) = made.extract([transcript])
    assert spelled(extracted, transcript) == ["hello", "there", "so", ",", "so"]


READERS: dict[tuple[str, str], TransformersText] = {}


@pytest.mark.parametrize("kind", FIRST)
@pytest.mark.parametrize("tags", ["remove", "keep", "word"])
@settings(max_examples=25)
@given(transcript=st.text(max_size=30) | st.text("aé😀İ \n[]<s>/MASK", max_size=30))
def test_any_text_has_frames_in_its_bounds(
    folders: dict[str, Path], kind: str, tags: str, transcript: str
) -> None:
    if (kind, tags) not in READERS:
        READERS[kind, tags] = build(folders[kind], tags=tags)
    made = READERS[kind, tags]
    (extracted,) = made.extract([transcript])
    assert extracted.characters is not None
    assert len(extracted.frames) == len(extracted.characters) >= 1
    first, end = extracted.characters.T
    assert (first <= end).all()
    assert 0 <= first.min() <= end.max() <= len(transcript)
    assert np.isfinite(extracted.frames).all()
    special = set(TOKENIZERS[kind].all_special_ids) - {TOKENIZERS[kind].unk_token_id}
    assert not special & set(read_ids(made, transcript))


@pytest.mark.parametrize("kind", FIRST)
@pytest.mark.parametrize("transcript", ["", "   ", "\n\t", "[LAUGHTER]", " [LAUGHTER] [Garbage] "])
def test_an_empty_transcript_is_the_first_special_token(
    folders: dict[str, Path], kind: str, transcript: str
) -> None:
    first, last = TOKENIZERS[kind]("").input_ids
    states = plain_states(folders[kind], [first, last])[-1]
    (extracted,) = build(folders[kind]).extract([transcript])
    assert_same(extracted.frames, states[:1])
    assert extracted.characters is not None
    assert extracted.characters.tolist() == [[0, 0]]
    (kept,) = build(folders[kind], special_tokens="keep").extract([transcript])
    assert_same(kept.frames, states)
    assert kept.characters is not None
    assert kept.characters.tolist() == [[0, 0], [0, 0]]


def test_special_tokens_are_kept_where_asked(folders: dict[str, Path]) -> None:
    (dropped,) = build(folders["word pieces"]).extract(["so sad"])
    (kept,) = build(folders["word pieces"], special_tokens="keep").extract(["so sad"])
    assert kept.characters is not None
    assert kept.characters.tolist() == [[0, 0], [0, 2], [3, 6], [0, 0]]
    np.testing.assert_array_equal(kept.frames[1:-1], dropped.frames)


@pytest.mark.parametrize("kind", FIRST)
def test_tags(folders: dict[str, Path], kind: str) -> None:
    transcript = "so [LAUGHTER]  sad [Laugh Out]"
    removed, word, kept = (
        build(folders[kind], tags=tags).extract([transcript])[0]
        for tags in ("remove", "word", "keep")
    )
    (without,) = build(folders[kind]).extract(["so sad"])
    np.testing.assert_array_equal(removed.frames, without.frames)
    assert spelled(removed, transcript) == ["so", "sad"]
    (spoken,) = build(folders[kind]).extract(["so laughter sad laugh out"])
    np.testing.assert_array_equal(word.frames, spoken.frames)
    assert spelled(word, transcript) == ["so", "LAUGHTER", "sad", "Laugh", "Out"]
    assert "[" in spelled(kept, transcript)
    assert len(kept.frames) > len(word.frames)


def test_a_tag_whose_lower_case_is_longer_keeps_its_place(folders: dict[str, Path]) -> None:
    transcript = "so [İ] sad"  # two characters in lower case
    (extracted,) = build(folders["byte pairs"], tags="word").extract([transcript])
    words = spelled(extracted, transcript)
    assert words[0] == "so"
    assert set(words[1:-1]) - {""} == {"İ"}
    assert words[-1] == "sad"


@pytest.mark.parametrize("kind", FIRST)
@pytest.mark.parametrize("tags", ["remove", "keep", "word"])
def test_a_special_tokens_name_in_a_transcript_is_text(
    folders: dict[str, Path], kind: str, tags: str
) -> None:
    made = build(folders[kind], tags=tags)
    tokenizer = TOKENIZERS[kind]
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    for name in ("[MASK]", "[SEP]", "[CLS]", "[PAD]", "<s>", "</s>", "<mask>", "<pad>", "<unk>"):
        for transcript in (name, f"so {name} sad", f"so{name}{name}sad"):
            ids = read_ids(made, transcript)
            assert not special & set(ids), transcript


@pytest.mark.parametrize("kind", FIRST)
def test_the_letters_of_a_special_name_are_read(folders: dict[str, Path], kind: str) -> None:
    transcript = {"word pieces": "so [MASK] sad"}.get(kind, "so <mask> sad")
    (extracted,) = build(folders[kind], tags="keep").extract([transcript])
    assert extracted.characters is not None
    read = sorted({place for span in extracted.characters for place in range(*span)})
    letters = "".join(transcript[place] for place in read)
    # Where the name is a piece like any other, its first character is given up for it.
    expected = "somask>sad" if kind == "sentence pieces" else transcript.replace(" ", "")
    assert letters == expected


@pytest.mark.parametrize("kind", FIRST)
def test_a_long_transcript_is_computed_in_windows(tmp_path: Path, kind: str) -> None:
    # 12 positions: RoBERTa and its like use those after the number of the padding token, 1.
    name = FIRST[kind]
    folder = save_model(tmp_path, name, max_position_embeddings=12 if name == "bert" else 14)
    transcript = " ".join(["there", "so", "sad"] * 7)
    tokenizer = TOKENIZERS[kind]
    first, *ids, last = tokenizer(transcript, truncation=False).input_ids
    room = 10
    starts = [*range(0, len(ids) - room, room // 2), len(ids) - room]
    windows = [plain_states(folder, [first, *ids[at : at + room], last])[-1] for at in starts]
    expected = []
    for place in range(len(ids)):
        covering = [at for at in starts if at <= place < at + room]
        best = max(covering, key=lambda at: min(place - at, at + room - 1 - place))
        expected.append(windows[starts.index(best)][1 + place - best])
    made = build(folder)
    (extracted,) = made.extract([transcript])
    assert_same(extracted.frames, torch.stack(expected))
    assert extracted.chunks == len(starts)
    assert "".join(spelled(extracted, transcript)) == transcript.replace(" ", "")
    (kept,) = build(folder, special_tokens="keep").extract([transcript])
    assert_same(kept.frames[[0, -1]], torch.stack([windows[0][0], windows[-1][-1]]))
    np.testing.assert_array_equal(kept.frames[1:-1], extracted.frames)


def test_the_length_of_a_window_is_exact(folders: dict[str, Path]) -> None:
    for kind, name in FIRST.items():
        made = build(folders[kind])
        positions = 512 if name == "bert" else 510  # of 512, two before the first are RoBERTa's
        for count in (positions - 2, positions - 1):
            (extracted,) = made.extract([" ".join(["so"] * count)])
            assert len(extracted.frames) == count
            assert extracted.chunks == (1 if count == positions - 2 else 2)


def test_the_tokenizers_own_limit_counts(tmp_path: Path) -> None:
    folder = save_model(tmp_path)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "model_max_length": 7}))
    (extracted,) = build(folder).extract(["so sad so sad so sad"])
    assert extracted.chunks == 2
    path.write_text(json.dumps({**config, "model_max_length": 2}))
    with pytest.raises(CheckpointError, match="takes 2 tokens at once, of which 2 are special"):
        build(folder)


def test_a_tokenizer_that_truncates_and_pads_is_told_not_to(tmp_path: Path) -> None:
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
        (extracted,) = build(folder).extract(["a" * 3000])
        assert extracted.characters is not None
        assert (extracted.characters[0, 0], extracted.characters[-1, 1]) == (0, 3000)


def test_tokens_have_the_times_of_their_words(folders: dict[str, Path]) -> None:
    transcript = "so [LAUGHTER] don't, there"
    words = [
        {"word": "SO", "start": 0.0, "end": 0.2},
        {"word": "[LAUGHTER]", "start": 0.2, "end": 1.0},
        {"word": "DONT", "start": 1.0, "end": 1.5},
        {"word": "THERE", "start": 1.5, "end": 2.0},
    ]
    for folder in folders.values():
        (extracted,) = build(folder).extract([transcript])
        assert extracted.characters is not None
        seconds = seconds_of_tokens(transcript, extracted.characters, words)
        starts = dict(zip(spelled(extracted, transcript), seconds[:, 0], strict=True))
        assert starts["so"] == 0.0
        assert starts[","] == starts["t"] == 1.0
        assert starts["there"] == 1.5


def test_stored_in_full(tmp_path: Path) -> None:
    folder = save_model(tmp_path)
    made = build(folder, storage_dtype="float32")
    (full,), (half,) = made.extract([SENTENCE]), build(folder).extract([SENTENCE])
    assert made.dtype == str(full.frames.dtype) == "float32"
    np.testing.assert_array_equal(full.frames.astype(np.float16), half.frames)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_precision_is_the_networks(tmp_path: Path, precision: str) -> None:
    folder = save_model(tmp_path)
    (exact,) = build(folder).extract([SENTENCE])
    (rough,) = build(folder, precision=precision).extract([SENTENCE])
    assert rough.frames.dtype == np.float16
    difference = np.abs(rough.frames.astype(float) - exact.frames.astype(float)).max()
    assert 0 < difference < 0.2


def test_weights_in_half_precision_are_computed_in_full(tmp_path: Path) -> None:
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


def test_a_folder_with_vocab_txt_alone(tmp_path: Path) -> None:
    folder = save_model(tmp_path)
    (before,) = build(folder).extract([SENTENCE])
    vocabulary = TOKENIZERS["word pieces"].get_vocab()
    (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.__getitem__)))
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    (after,) = build(folder).extract([SENTENCE])
    np.testing.assert_array_equal(after.frames, before.frames)


def test_the_digest_is_of_all_that_decides(tmp_path: Path) -> None:
    one = build(save_model(tmp_path / "one"))
    folder = save_model(tmp_path / "two")
    assert build(folder).checkpoint_sha256 == one.checkpoint_sha256
    (folder / "README.md").write_text("a model")
    assert build(folder).checkpoint_sha256 == one.checkpoint_sha256
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        before = (folder / name).read_text()
        (folder / name).write_text(before + "\n")
        assert build(folder).checkpoint_sha256 != one.checkpoint_sha256
        (folder / name).write_text(before)
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["encoder.layer.0.output.dense.bias"] += 1
    save_file(weights, path, metadata={"format": "pt"})
    assert build(folder).checkpoint_sha256 != one.checkpoint_sha256


def test_a_model_with_its_head_and_without_pooler(tmp_path: Path) -> None:
    """As bert-base-uncased and its like are published."""
    folder = save_model(tmp_path)
    (before,) = build(folder).extract([SENTENCE])
    path = folder / "model.safetensors"
    weights = {f"bert.{name}": weight for name, weight in load_file(path).items()}
    weights = {name: weight for name, weight in weights.items() if "pooler" not in name}
    weights["cls.predictions.bias"] = torch.zeros(400)
    save_file(weights, path, metadata={"format": "pt"})
    (after,) = build(folder).extract([SENTENCE])
    np.testing.assert_array_equal(after.frames, before.frames)


def test_missing_weights_are_not_made_up(tmp_path: Path) -> None:
    folder = save_model(tmp_path)
    path = folder / "model.safetensors"
    weights = load_file(path)
    kept = dict(weights)
    del kept["encoder.layer.1.attention.self.key.weight"]
    save_file(kept, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks weights .*encoder\.layer\.1\.attention"):
        build(folder)
    save_file(weights, path, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 48}))
    with pytest.raises(CheckpointError, match=r"lacks weights .* or of another architecture"):
        build(folder)


def refused(folder: Path, sentence: str) -> None:
    with pytest.raises(CheckpointError, match=sentence) as caught:
        build(folder)
    assert "\n" not in str(caught.value)


def test_models_of_another_kind_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "not" / "here" / "at all", "does not exist; name the folder")
    for name in ("t5", "gpt2", "bart", "wav2vec2"):
        transformers.AutoConfig.for_model(name).save_pretrained(tmp_path / name)
        refused(tmp_path / name, f"of the type {name}; transformers_text takes albert, bert")


@pytest.mark.parametrize("name", ["bert", "roberta", "deberta-v2", "mpnet", "modernbert"])
def test_a_folder_without_its_tokenizer_is_refused(tmp_path: Path, name: str) -> None:
    """transformers makes one up that knows no word."""
    folder = save_model(tmp_path, name)
    (folder / "tokenizer.json").unlink()
    refused(folder, "has no tokenizer: tokenizer.json|cannot be loaded as a text model")
    (folder / "tokenizer_config.json").unlink()
    refused(folder, "has no tokenizer: tokenizer.json|cannot be loaded as a text model")


def test_a_tokenizer_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "broken")
    (folder / "tokenizer.json").write_text("{}")
    refused(folder, "cannot be loaded as a text model")
    folder = save_model(tmp_path / "pieces", "deberta-v2")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "DebertaV2Tokenizer"}')
    (folder / "spm.model").write_bytes(b"not pieces")
    refused(folder, "its tokenizer as spm.model only.*sentencepiece and protobuf")
    refused(save_model(tmp_path / "small", vocab_size=60), "do not belong together")
    folder = save_model(tmp_path / "slow")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "CanineTokenizer"}')
    refused(folder, "CanineTokenizer.* fast tokenizer")


class Malicious:
    """A pickle of it makes a folder when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_damaged_and_malicious_weights_are_refused(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    refused(folder, "cannot be loaded as a text model")
    path.unlink()
    refused(folder, "cannot be loaded as a text model")
    torch.save({"a": Malicious(tmp_path / "made")}, folder / "pytorch_model.bin")
    refused(folder, "damaged or holds more than weights, and is not loaded")
    assert not (tmp_path / "made").exists()


def test_a_tokenizer_without_special_tokens_and_nothing_to_read(tmp_path: Path) -> None:
    folder = save_model(tmp_path)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps({**tokenizer, "post_processor": None}))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    made = build(folder, special_tokens="keep")
    (extracted,) = made.extract(["so sad"])
    assert spelled(extracted, "so sad") == ["so", "sad"]
    with pytest.raises(UserError, match=r"no words to read, and .* has no special token"):
        made.extract(["[LAUGHTER]"])


def test_moving_to_the_processor_changes_nothing(folders: dict[str, Path]) -> None:
    made = build(folders["word pieces"])
    (before,) = made.extract([SENTENCE])
    made.to("cpu")
    np.testing.assert_array_equal(made.extract([SENTENCE])[0].frames, before.frames)
