"""Settings of pre-training: twins, chains of checkpoints, and mistakes as sentences with a line."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from emoscale.config import parse_settings, parse_study
from emoscale.config.checkpoints import CheckpointSettings, PredictionSettings, source_of
from emoscale.config.local_weights import check_local_weights, local_initial_weights
from emoscale.config.pretraining import WAV2VEC_ARCHITECTURES, Wav2VecKeys
from emoscale.config.resources import pretraining_memory, pretraining_seconds
from emoscale.config.study import Study
from emoscale.config.twins import untrained_twins
from emoscale.runtime.errors import ConfigurationError
from tests.config.test_study import BASE

SPEECH = {"reader": "folder", "root": "speech"}
TRAINED: dict[str, Any] = {"pretrain": "wav2vec", "speech": SPEECH, "steps": 1000}
UNTRAINED: dict[str, Any] = {"pretrain": "wav2vec", "steps": 0}
TRAINED2: dict[str, Any] = {"pretrain": "wav2vec2", "speech": SPEECH, "steps": 1000}


def config(
    checkpoints: dict[str, dict[str, Any]], experiments: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return a study whose experiments read one checkpoint each, by default of the same name."""
    values: dict[str, Any] = copy.deepcopy(BASE)
    values["checkpoints"] = copy.deepcopy(checkpoints)
    for name, settings in checkpoints.items():
        is_wav2vec = settings.get("pretrain") == "wav2vec"
        values["representations"][name] = (
            {"kind": "wav2vec", "checkpoint": name, "output": "c"}
            if is_wav2vec
            else {"kind": "transformers_audio", "model": name, "layer": 1}
        )
    chosen = {name: {} for name in checkpoints} if experiments is None else experiments
    for name, changes in chosen.items():
        values["experiments"][name] = {"representations": [name], "model": "mean", **changes}
    return values


def study(
    checkpoints: dict[str, dict[str, Any]], experiments: dict[str, Any] | None = None
) -> Study:
    return parse_study(config(checkpoints, experiments))


def mistake(values: dict[str, Any], *files: Path) -> str:
    with pytest.raises(ConfigurationError) as error:
        parse_study(values, files)
    return str(error.value)


def test_twins_differ_in_their_steps_only() -> None:
    assert untrained_twins(study({"net": TRAINED, "random": UNTRAINED})) == {"net": "random"}
    assert untrained_twins(study({"net": TRAINED2, "random": {"pretrain": "wav2vec2", "steps": 0}}))


def test_settings_of_training_do_not_matter() -> None:
    """Those of the network's pre-training, which the twin does not have."""
    longer = {**TRAINED, "steps": 2000, "learning_rate": 0.01, "batch_seconds": 10.0}
    twins = untrained_twins(study({"net": TRAINED, "longer": longer, "random": UNTRAINED}))
    assert twins == {"net": "random", "longer": "random"}


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 2},
        {"architecture": "wav2vec_large"},
        {"architecture": {"num_negatives": 3}},
        {"pretrain": "wav2vec2"},
    ],
)
def test_another_network_is_no_twin(changes: dict[str, Any]) -> None:
    assert untrained_twins(study({"net": TRAINED, "random": {**UNTRAINED, **changes}})) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {"learning_rate": 0.5}},
        {"training": {"normalisation": "speaker"}},
        {"search": {"training.learning_rate": [0.1, 0.2]}},
        {"representations": ["random_z"]},
        {"representations": ["random_half"]},
        {"model": "other"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_another_experiment_is_no_twin(changes: dict[str, Any]) -> None:
    values = config({"net": TRAINED, "random": UNTRAINED}, {"net": {}, "random": changes})
    values["models"]["other"] = {"kind": "pooled", "projection_size": 8}
    base = values["representations"]["random"]
    values["representations"] |= {
        "random_z": {**base, "output": "z"},
        "random_half": {**base, "precision": "bfloat16"},
    }
    assert untrained_twins(parse_study(values)) == {}


def test_sizes_of_twins_may_differ() -> None:
    both = {"net": {}, "random": {"sizes": ["all"]}}
    assert untrained_twins(study({"net": TRAINED, "random": UNTRAINED}, both)) == {"net": "random"}


def test_layers_of_twins_are_the_same() -> None:
    checkpoints = {"net": TRAINED2, "random": {"pretrain": "wav2vec2", "steps": 0}}
    values = config(checkpoints)
    for name in checkpoints:
        values["representations"][name]["layer"] = "all"
    values["experiments"]["net"]["representations"] = ["net/2"]
    assert untrained_twins(parse_study(values)) == {}
    values["experiments"]["random"]["representations"] = ["random/2"]
    assert untrained_twins(parse_study(values)) == {"net": "random"}


def test_a_copy_of_other_weights_is_not_untrained() -> None:
    copied = {**UNTRAINED, "continue_from": "first"}
    twins = untrained_twins(study({"first": TRAINED, "longer": TRAINED, "copy": copied}))
    assert twins == {}
    twins = untrained_twins(study({"first": TRAINED, "copy": copied, "random": UNTRAINED}))
    assert twins == {"first": "random", "copy": "random"}


def test_experiments_without_pretraining_have_no_twin() -> None:
    hub = {"hub": "facebook/wav2vec2-base"}
    assert (
        untrained_twins(study({"hub": hub, "random": {"pretrain": "wav2vec2", "steps": 0}})) == {}
    )
    assert "untrained_twins" not in study({"hub": hub}).report_settings()
    described = json.loads(study({"net": TRAINED, "random": UNTRAINED}).report_settings())
    assert described["untrained_twins"] == {"net": "random"}


def test_speech_is_that_of_the_whole_chain() -> None:
    chain = {
        "first": TRAINED,
        "copy": {**UNTRAINED, "continue_from": "first"},
        "last": {**TRAINED, "continue_from": "copy"},
        "public": {**TRAINED, "continue_from": "downloaded"},
        "local": {**TRAINED, "continue_from": "weights/wav2vec.pt"},
        "downloaded": {"url": "https://example.org/w.pt"},
        "random": UNTRAINED,
    }
    values = config(chain)
    values["representations"]["downloaded"] = {"kind": "wav2vec", "checkpoint": "downloaded"}
    parsed = parse_study(values)
    assert {name: parsed.speech_of(name) for name in chain} == {
        "first": ["first"],
        "copy": ["first"],
        "last": ["first", "last"],
        "public": ["public"],
        "local": ["local"],
        "downloaded": [],
        "random": [],
    }
    assert parsed.speech_of("not listed") == []
    assert parsed.pretraining_of("downloaded") is None
    assert parsed.pretraining_of("not listed") is None
    first = parsed.pretraining_of("first")
    assert first is not None
    assert first.steps == 1000


def test_a_run_records_the_paths_of_its_pretrained_weights() -> None:
    hub = {"hub": "facebook/wav2vec2-base"}
    parsed = study({"net": TRAINED, "net2": TRAINED2, "hub": hub, "random": UNTRAINED})
    recorded = {
        name: PredictionSettings(**json.loads(parsed.prediction_settings(name)))
        for name in ("net", "net2", "hub", "mfcc")
    }
    assert recorded["net"].pretrained == {"net": "checkpoints/net/model/wav2vec.pt"}
    assert recorded["net2"].pretrained == {"net2": "checkpoints/net2/model"}
    assert not recorded["net"].checkpoints
    assert (recorded["hub"].pretrained, set(recorded["hub"].checkpoints)) == ({}, {"hub"})
    assert recorded["mfcc"].pretrained == {}


def test_the_source_of_weights_is_no_path() -> None:
    def source(**changes: Any) -> str:
        speech = {"reader": "csv", "root": "speech", **changes}
        return source_of(parse_settings(CheckpointSettings, {**TRAINED, "speech": speech}, "x"))

    assert source() == source(root="elsewhere")
    assert "elsewhere" not in source(root="elsewhere")
    assert source() == source(reader="folder")  # the table of the speech is an input


@pytest.mark.parametrize(
    ("checkpoints", "message"),
    [
        (
            {"a": {**TRAINED, "continue_from": "a"}},
            "checkpoints.a continues from itself (a from a); remove one continue_from",
        ),
        (
            {
                "a": {**TRAINED, "continue_from": "b"},
                "b": {**TRAINED, "continue_from": "a"},
            },
            "checkpoints.a continues from itself (a from b from a); remove one continue_from",
        ),
        ({"a": {**TRAINED, "speech": None}}, "checkpoints.a: steps above 0 need speech"),
        (
            {"a": {**TRAINED, "steps": 500}},
            "checkpoints.a: warmup_steps (500) is not below steps (500); lower it",
        ),
        (
            {"a": {**TRAINED, "continue_from": "b"}, "b": TRAINED2},
            "checkpoints.a is a wav2vec and continues from b, which is a wav2vec2",
        ),
        (
            {"a": {**TRAINED, "architecture": {"activatoin": "gelu"}}},
            "checkpoints.a.architecture: unknown key activatoin; did you mean activation?",
        ),
        (
            {"a": {**TRAINED, "architecture": {"conv_feature_layers": [[8, 10]]}}},
            "checkpoints.a.architecture.conv_feature_layers.0.2: is missing",
        ),
        (
            {"a": {**TRAINED, "architecture": "smal"}},
            "checkpoints.a.architecture: Input should be 'small' or 'wav2vec_large'",
        ),
        ({"a": {**TRAINED, "stpes": 3}}, "checkpoints.a: unknown key stpes"),
        ({"a": {**TRAINED, "held_out": 0.0}}, "checkpoints.a.held_out"),
        (
            {"a": {**TRAINED, "architecture": {"num_negatives": 0}}},
            "num_negatives and cross_sample_negatives are both 0; raise one",
        ),
        (
            {"a": {**TRAINED, "architecture": {"conv_aggregator_layers": [[512, 3, 2]]}}},
            "conv_aggregator_layers has a stride other than 1",
        ),
        ({"a": {"pretrain": "hubert", "steps": 0}}, "checkpoints.a.pretrain: hubert is not known"),
        (
            {"a": {**TRAINED, "speech": {"reader": "folder", "root": "x", "speaker_pattern": "["}}},
            "speaker_pattern: is not a regular expression",
        ),
        (
            {"a": {**TRAINED2, "architecture": {"layerdrop": 0.1}}},
            "checkpoints.a.architecture: layerdrop must be 0.0 in pre-training",
        ),
        (
            {"a": {**TRAINED2, "architecture": {"conv_dim": [64, 64]}}},
            "checkpoints.a.architecture: conv_dim, conv_kernel and conv_stride have 2, 7 and 7",
        ),
        (
            {"a": {**TRAINED2, "architecture": {"hidden_size": "large"}}},
            "checkpoints.a.architecture: hidden_size is large",
        ),
        (
            {"a": {**TRAINED2, "architecture": {"conv_kernel": 3}}},
            "checkpoints.a.architecture: conv_kernel is 3",
        ),
    ],
)
def test_mistakes(checkpoints: dict[str, Any], message: str) -> None:
    assert message in mistake(config(checkpoints, {}))


def test_a_representation_of_another_kind_is_a_mistake() -> None:
    values = config({"net": TRAINED})
    values["representations"]["net"] = {"kind": "transformers_audio", "model": "net", "layer": 1}
    assert (
        "representations.net is of the kind transformers_audio, and checkpoints.net is pre-trained "
        "for the kind wav2vec; correct one of them" in mistake(values)
    )


def demo(root: str, **changes: Any) -> dict[str, Any]:
    return {**TRAINED, "speech": {"reader": "demo_speech", "root": root, **changes}}


def test_generated_speech_is_inside_the_results() -> None:
    assert "checkpoints.a.speech.root is speech, and its content would be replaced" in mistake(
        config({"a": demo("speech")}, {})
    )
    for root in ("results/small/checkpoints/a", "results/small"):
        assert f"checkpoints.a.speech.root is {root}, which contains other files" in mistake(
            config({"a": demo(root)}, {})
        )
    assert study({"a": demo("results/small/speech")}, {})


def test_two_pretrainings_share_generated_speech_only_if_it_is_the_same() -> None:
    root = "results/small/speech"
    assert study({"a": demo(root), "b": demo(root)}, {})
    for other in (demo(root, seed=2), demo(f"{root}/b"), demo("results/small/speech/../speech/b")):
        assert "checkpoints.a.speech.root and checkpoints.b.speech.root" in mistake(
            config({"a": demo(root), "b": other}, {})
        )
    values = config({"a": demo(root)}, {})
    values["corpus"] = {"reader": "demo", "root": root}
    values["labels"] = {"classes": {"a": ["angry"], "b": ["sad"]}}
    assert "corpus.root and checkpoints.a.speech.root" in mistake(values)


def test_speech_of_several_corpora_is_not_generated() -> None:
    corpora = {
        "own": {"reader": "csv", "root": "own"},
        "demo": {"reader": "demo", "root": "results/small/speech"},
    }
    several = {"speech": {"reader": "several", "root": ".", "corpora": corpora}}
    assert "checkpoints.a.speech has a corpus of the reader demo" in mistake(
        config({"a": {**demo("results/x"), **several}}, {})
    )


def test_layers_as_yaml_writes_them(tmp_path: Path) -> None:
    text = """
    pretrain: wav2vec
    steps: 0
    architecture:
      conv_feature_layers: [[8, 10, 5], [8, 8, 4]]
      conv_aggregator_layers:
        - [8, 2, 1]
      offset: auto
    """
    parsed = parse_settings(CheckpointSettings, yaml.safe_load(text), "x")
    keys = parsed.keys()
    assert keys.conv_feature_layers == [(8, 10, 5), (8, 8, 4)]
    assert keys.arguments()["conv_feature_layers"] == "[(8, 10, 5), (8, 8, 4)]"
    # What the rule passes as JSON is the same.
    again = parse_settings(CheckpointSettings, json.dumps(parsed.model_dump(mode="json")), "x")
    assert again == parsed
    # fairseq's own text of layers is not accepted, with a sentence.
    values = yaml.safe_load(text.replace("[[8, 10, 5], [8, 8, 4]]", "'[(8, 10, 5)]'"))
    assert "checkpoints.net.architecture.conv_feature_layers" in mistake(config({"net": values}))


def test_named_architectures_are_those_of_fairseq() -> None:
    large = WAV2VEC_ARCHITECTURES["wav2vec_large"]
    assert large == Wav2VecKeys()
    assert len(large.conv_feature_layers) == 7
    assert len(large.conv_aggregator_layers) == 12


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    values = config({"net": {**TRAINED, "continue_from": "missing/w.pt"}})
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def line_number(path: Path, text: str) -> int:
    return next(n for n, line in enumerate(path.read_text().splitlines(), 1) if text in line)


def test_missing_weights_to_continue_from_are_named_with_their_line(configuration: Path) -> None:
    values = yaml.safe_load(configuration.read_text())
    parsed = parse_study(values, [configuration])
    line = line_number(configuration, "continue_from")
    with pytest.raises(ConfigurationError) as error:
        check_local_weights(parsed, [configuration])
    assert str(error.value) == (
        "the configuration: checkpoints.net.continue_from: missing/w.pt does not exist and is not "
        "listed under checkpoints (available: net); correct it, or list the model there "
        f"({configuration}, line {line})"
    )


def test_weights_to_continue_from_are_a_path_or_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "w.pt").touch()
    checkpoints = {
        "first": TRAINED,
        "named": {**TRAINED, "continue_from": "first"},
        "local": {**TRAINED, "continue_from": "~/w.pt"},
        "hub": {"hub": "facebook/wav2vec2-base"},
    }
    parsed = study(checkpoints)
    initial = {name: local_initial_weights(parsed, name) for name in checkpoints}
    assert initial == {"first": None, "named": None, "local": f"{tmp_path}/w.pt", "hub": None}
    check_local_weights(parsed)


def test_mistakes_in_a_pretraining_have_a_line(tmp_path: Path) -> None:
    values = config({"net": {**TRAINED, "steps": 400}})
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    lines = path.read_text().splitlines()
    line = lines.index("  net:", lines.index("checkpoints:")) + 1
    assert (
        f"checkpoints.net: warmup_steps (500) is not below steps (400); lower it ({path}, line "
        in (text := mistake(values, path))
    )
    assert f"line {line})" in text


def test_the_schema_describes_pretraining(project: Path) -> None:
    schema = json.loads((project / "workflow" / "schemas" / "study.schema.json").read_text())
    for name in ("Wav2VecPretraining", "Wav2Vec2Pretraining", "Wav2VecKeys", "DemoSpeech"):
        assert name in schema["$defs"]
        assert schema["$defs"][name]["additionalProperties"] is False
    steps = schema["$defs"]["Wav2VecPretraining"]["properties"]["steps"]
    assert "untrained network" in steps["description"]


def test_time_and_memory_grow_with_the_pretraining() -> None:
    def seconds(**changes: Any) -> float:
        settings = parse_settings(CheckpointSettings, {**TRAINED, **changes}, "x")
        return pretraining_seconds(settings, changes.pop("device", "cpu"))

    small = seconds()
    assert seconds(steps=10_000) > 9 * small
    assert seconds(architecture="wav2vec_large") > 5 * small
    assert seconds(batch_seconds=960.0) > 9 * small
    for pretrain in ("wav2vec", "wav2vec2"):
        for architecture in ("small", "base" if pretrain == "wav2vec2" else "wav2vec_large"):
            values = {**TRAINED, "pretrain": pretrain, "architecture": architecture}
            settings = parse_settings(CheckpointSettings, values, "x")
            assert 0 < pretraining_seconds(settings, "cuda") < pretraining_seconds(settings)
            assert pretraining_memory(settings) > 2000


def test_more_processes_than_parts_of_a_batch_are_a_mistake() -> None:
    values = config({"a": {**TRAINED, "batch_seconds": 20, "micro_batch_seconds": 12}}, {})
    parse_study({**values, "execution": {"pretraining_processes": 2}})
    message = mistake({**values, "execution": {"pretraining_processes": 3}})
    assert "pretraining_processes is 3, and a batch of checkpoints.a has 2 parts" in message
