"""Parsing of a study: names, settings passed to each step, and errors."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from emoscale.config import parse_study
from emoscale.runtime.errors import ConfigurationError
from tests.test_pins import load_script

BASE: dict[str, Any] = {
    "study": "small",
    "corpus": {"reader": "emodb", "root": "data/emodb"},
    "labels": {"classes": {"anger": ["anger"], "calm": ["neutral", "boredom"]}},
    "representations": {"mfcc": {"kind": "mfcc"}, "logmel": {"kind": "logmel"}},
    "protocol": {"fold_unit": "speakers", "folds": 5},
    "sizes": [10, "5-per-class", "all"],
    "models": {"mean": {"kind": "pooled"}},
    "experiments": {"mfcc": {"representations": ["mfcc"], "model": "mean"}},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    config = copy.deepcopy(BASE)
    node = config
    *parents, last = path.split(".")
    for parent in parents:
        node = node.setdefault(parent, {})
    node[last] = value
    return config


def test_folder_and_file_names() -> None:
    study = parse_study(BASE)
    assert study.folder == "results/small"
    assert study.size_names() == ["10", "5-per-class", "all"]
    assert study.fold_names() == ["fold1", "fold2", "fold3", "fold4", "fold5"]
    assert study.shard_names()[0] == "00"


def test_evidence_settings_are_no_part_of_training_settings() -> None:
    plain = parse_study(BASE)
    with_evidence = parse_study(changed("evidence", {"reference": "mfcc", "target_ua": [0.7]}))
    assert with_evidence.evidence_settings() != plain.evidence_settings()
    for name in ("training_settings", "prediction_settings"):
        assert getattr(with_evidence, name)("mfcc") == getattr(plain, name)("mfcc")
    assert with_evidence.protocol_settings() == plain.protocol_settings()


def test_evidence_settings_describe_each_experiment() -> None:
    layered = {"kind": "transformers_audio", "model": "wavlm", "layer": [0, 6]}
    config = changed("representations.wavlm", layered)
    for name, reference in (("weighted", "wavlm"), ("sixth", "wavlm/6")):
        config["experiments"][name] = {"representations": [reference], "model": "mean"}
    experiments = json.loads(parse_study(config).evidence_settings())["experiments"]
    read = {name: each["representations"][0] for name, each in experiments.items()}
    assert (read["weighted"]["layer"], read["sixth"]["layer"]) == ("several", 6)
    assert read["mfcc"]["kind"] == "mfcc"
    assert experiments["mfcc"]["model"]["kind"] == "pooled"


def test_prediction_settings_hold_the_checkpoints_of_the_model() -> None:
    config = changed("representations.text", {"kind": "transformers_text", "model": "bert"})
    config["checkpoints"] = {
        "bert": {"hub": "google-bert/bert-base-uncased"},
        "other": {"hub": "x"},
    }
    config["experiments"]["text"] = {"representations": ["text"], "model": "mean"}
    config["audio"] = {"minimum_seconds": 0.5}
    study = parse_study(config)
    prediction = json.loads(study.prediction_settings("text"))
    assert list(prediction["checkpoints"]) == ["bert"]
    assert prediction["audio"]["minimum_seconds"] == 0.5
    assert json.loads(study.prediction_settings("mfcc"))["checkpoints"] == {}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("sizs", [1], "unknown key sizs"),
        ("corpus.reader", "iemocop", "iemocop is not known; choose one of"),
        ("corpus.root", "", "corpus.root"),
        ("corpus.colour", "red", "unknown key colour"),
        ("labels.classes", {"anger": ["anger"]}, "at least 2"),
        ("labels.classes", {"a": ["x"], "b": ["x"]}, "label x is in the classes a and b"),
        ("labels.classes", {"a": ["x"], "b": []}, "class b has no label"),
        ("labels.classes", {"a": ["x"], "../b": ["y"]}, "pattern"),
        ("labels.styles", ["spontaneous"], "'improvised' or 'scripted'"),
        ("representations.mfcc.kind", "mfc", "mfc is not known; choose one of logmel, mfcc"),
        ("representations.mfcc", {"bands": 40}, "mfcc: kind is missing; choose one of logmel"),
        ("representations.mfcc.kind", "external", "external is not known; choose one of logmel"),
        (
            "representations.mfcc",
            {
                "kind": "wav2vec",
                "checkpoint": "a",
                "backend": "fairseq",
                "precision": "bfloat16",
            },
            "backend: fairseq computes in float32, not bfloat16",
        ),
        (
            "representations.mfcc",
            {"kind": "wav2vec", "checkpoint": "a", "backend": "fairseq"},
            "mfcc: backend: fairseq needs a Python .* name it in execution.fairseq_python",
        ),
        (
            "representations.mfcc.coefficients",
            100,
            r"coefficients \(100\) is larger than mel_bands \(80\)",
        ),
        ("protocol.folds", 1, "folds is 1, so no training data is left"),
        ("protocol.repeats", 0, "greater than or equal to 1"),
        (
            "protocol.seeds_per_order",
            2,
            r"repeats is 3, which is no multiple of seeds_per_order \(2\)",
        ),
        (
            "protocol",
            {"fold_unit": "corpus", "folds": 2},
            "the study has one corpus only; name several",
        ),
        ("protocol.test_units", ["03"], "test_units needs fold_unit: session, corpus or of"),
        (
            "protocol",
            {"fold_unit": "session", "folds": 2, "test_units": ["a", "b", "a"]},
            "test_units lists a twice",
        ),
        (
            "protocol",
            {"fold_unit": "session", "folds": 2, "test_units": ["a"]},
            "test_units lists 1 units and folds is 2; set folds to 1",
        ),
        ("protocol", {"fold_unit": "file", "folds": 2}, "fold_file is missing; give the path"),
        ("protocol.fold_file", "f.csv", "fold_file has an effect only with fold_unit: file"),
        ("protocol.allow_shared_speakers", True, "allow_shared_speakers has an effect only"),
        ("protocol.ignore_unmatched", True, "ignore_unmatched has an effect only"),
        ("protocol.development", "file", "file needs fold_unit: file"),
        (
            "protocol.development",
            "sessions",
            "'unit', 'session', 'speakers', 'random', 'file', 'official' or",
        ),
        ("sizes", [0], "training size 0 is not understood"),
        ("sizes", ["many"], "training size 'many' is not understood"),
        ("evidence.reference", "best", "evidence.reference is best, which is not listed under"),
        ("evidence.target_ua", [70], "less than 1"),
        ("sizes", [True], "should be a valid integer"),
        ("sizes", [10, "10"], "listed twice"),
        ("sizes", [], "at least 1"),
        ("training.learning_rate", 0, "greater than 0"),
        ("training.learning_rate", float("inf"), "finite number"),
        ("representations.mfcc.window_seconds", 0.2, "needs utterances of 0.128 s"),
        ("representations.mfcc.hop_seconds", 1e-5, "greater than or equal to 0.001"),
        ("study", "../escape", "pattern"),
        ("experiments", {}, "at least 1"),
        (
            "experiments.mfcc.representations",
            ["wav2vec"],
            "uses the representation wav2vec, which is not listed under representations",
        ),
        ("experiments.mfcc.representations", ["mfcc", "logmel"], "reads 1 representation, not 2"),
        ("experiments.mfcc.model", "svm", "uses the model svm"),
        ("experiments.mfcc.representations", ["mfcc/3"], "mfcc has only one; write mfcc"),
        ("experiments.mfcc.representations", ["mfcc/x"], "pattern"),
        ("models.mean.kind", "waveform", "reads a representation of the kind waveform, and mfcc"),
        (
            "checkpoints.large",
            {"file": "a.pt"},
            "needs one of the keys url, hub, untrained and pretrain",
        ),
        ("checkpoints.large", {"url": "ftp://a/b.pt"}, r"checkpoints\.large\.url"),
        ("checkpoints.large", {"url": "https://a/b.pt", "sha256": "ab"}, "sha256: String should"),
        ("checkpoints.large", {"hub": "a/b/c"}, r"checkpoints\.large\.hub"),
        ("checkpoints.large", {"untrained": "gpt"}, "'wav2vec', 'vq_wav2vec', 'wav2vec2' or"),
        ("experiments.mfcc.training", {"learning_rat": 1}, "mfcc.training: .*unknown key"),
    ],
)
def test_mistakes_are_reported(path: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse_study(changed(path, value))


def test_missing_keys_are_named() -> None:
    with pytest.raises(ConfigurationError, match=r"corpus\.root: is missing"):
        parse_study(changed("corpus", {"reader": "emodb"}))
    with pytest.raises(ConfigurationError, match="labels: is missing"):
        parse_study({key: value for key, value in BASE.items() if key != "labels"})


def test_settings_of_a_step_hold_only_its_dependencies() -> None:
    base = parse_study(BASE)
    rate = parse_study(changed("training.learning_rate", 0.5))
    assert rate.training_settings("mfcc") != base.training_settings("mfcc")
    for name in ("corpus_settings", "audio_settings", "labels_settings", "protocol_settings"):
        assert getattr(rate, name)() == getattr(base, name)()
    assert rate.representation_settings("mfcc") == base.representation_settings("mfcc")
    sizes = parse_study(changed("sizes", [10, 20]))
    assert sizes.protocol_settings() == base.protocol_settings()
    assert sizes.training_settings("mfcc") == base.training_settings("mfcc")
    device = parse_study(changed("execution.device", "cpu"))
    assert device.training_settings("mfcc") == base.training_settings("mfcc")


def test_a_default_written_out_changes_no_settings() -> None:
    explicit = parse_study(changed("representations.mfcc.coefficients", 40))
    assert explicit.representation_settings("mfcc") == parse_study(BASE).representation_settings(
        "mfcc"
    )


def layered(layer: Any, reference: str) -> dict[str, Any]:
    config = changed("experiments.mfcc.representations", [reference])
    config["representations"]["wavlm"] = {
        "kind": "transformers_audio",
        "model": "folder",
        "layer": layer,
    }
    return config


def test_an_experiment_reads_one_layer_or_a_weighted_sum() -> None:
    several: list[Any] = ["all", [0, 6], [-1, 6]]
    for layer in several:
        study = parse_study(layered(layer, "wavlm/6"))
        assert json.loads(study.training_settings("mfcc"))["layers"] == [6]
    for layer in (6, *several):
        study = parse_study(layered(layer, "wavlm"))
        assert json.loads(study.training_settings("mfcc"))["layers"] == [None]
    mistakes: list[tuple[Any, str, str]] = [
        ([0, 6], "wavlm/5", "wavlm has the layers 0, 6, not 5"),
        (6, "wavlm/6", "names a layer, and wavlm has only one"),
    ]
    for layer, reference, message in mistakes:
        with pytest.raises(ConfigurationError, match=message):
            parse_study(layered(layer, reference))


def experiment(model: dict[str, Any], development: str, **settings: Any) -> dict[str, Any]:
    config = changed("protocol.development", development)
    config["models"]["mean"] = model
    config["experiments"]["mfcc"] |= settings
    return config


POOLED: dict[str, Any] = {"kind": "pooled"}
SVM: dict[str, Any] = {"kind": "estimator"}
NO_EARLY_STOPPING: dict[str, Any] = {"training": {"early_stopping": False}}


@pytest.mark.parametrize(
    ("model", "settings"),
    [(POOLED, NO_EARLY_STOPPING), ({**SVM, "C": [0.01]}, {})],
    ids=["network", "estimator"],
)
def test_fixed_settings_need_no_development_set(
    model: dict[str, Any], settings: dict[str, Any]
) -> None:
    study = parse_study(experiment(model, "none", **settings))
    assert json.loads(study.protocol_settings())["development"] == "none"


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        (POOLED, {}),
        (POOLED, {"training": {"early_stopping": True}}),
        (POOLED, {**NO_EARLY_STOPPING, "search": {"model.projection_size": [8, 16]}}),
        (POOLED, {**NO_EARLY_STOPPING, "search": {"training.early_stopping": [True]}}),
        (SVM, {}),
        (SVM, {"search": {"model.C": [[0.1], [0.2]]}}),
        ({**SVM, "C": [0.01]}, {"search": {"model.C": [[0.1, 0.2]]}}),
    ],
)
def test_model_selection_without_a_development_set_is_refused(
    model: dict[str, Any], settings: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match=r"development is none, so nothing can be chosen"):
        parse_study(experiment(model, "none", **settings))
    for development in ("unit", "random"):
        parse_study(experiment(model, development, **settings))


def test_a_search_of_one_value_needs_no_development_set() -> None:
    """A search of one value selects nothing: it sets the value."""
    fixed = experiment(POOLED, "none", search={"training.early_stopping": [False]})
    parse_study(fixed)
    parse_study(experiment(SVM, "none", search={"model.C": [[0.1]]}))


def test_votes_are_refused_with_permuted_labels() -> None:
    config = changed("protocol.shuffle_labels", True)
    parse_study(config)
    message = "votes are not permuted by protocol.shuffle_labels"
    for settings in (
        {"training": {"targets": "votes"}},
        {"search": {"training.targets": ["majority", "votes"]}},
    ):
        config["experiments"]["mfcc"] = {**BASE["experiments"]["mfcc"], **settings}
        with pytest.raises(ConfigurationError, match=message):
            parse_study(config)
    config["protocol"]["shuffle_labels"] = False
    parse_study(config)


def test_named_checkpoints() -> None:
    config = changed("checkpoints", {"codes": {"url": "https://a/b.pt"}, "unused": {"hub": "a/b"}})
    config["representations"]["roberta"] = {
        "kind": "code_roberta",
        "checkpoint": "codes",
        "model": "folder",
    }
    study = parse_study(config)
    assert study.checkpoints_of("roberta") == ["codes"]
    assert study.checkpoints_of("mfcc") == []
    assert json.loads(study.checkpoint_settings("codes")) == {
        "url": "https://a/b.pt",
        "sha256": None,
    }


def test_an_experiment_overrides_training() -> None:
    study = parse_study(changed("experiments.mfcc.training", {"learning_rate": 0.5}))
    assert study.training_of("mfcc").learning_rate == 0.5
    assert study.training_of("mfcc").patience == study.training.patience


def test_normalisation_of_an_experiment(tmp_path: Path) -> None:
    """What has no statistics of its own cannot be normalised by them; the line is named."""
    study = parse_study(changed("experiments.mfcc.training", {"normalisation": "speaker"}))
    assert study.training_of("mfcc").normalisation == "speaker"
    config = changed("representations.mfcc", {"kind": "opensmile", "feature_level": "functionals"})
    config["experiments"]["mfcc"]["training"] = {"normalisation": "utterance"}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    line = path.read_text().splitlines().index("experiments:") + 2
    message = rf"mfcc is one vector per utterance, .* \({path}, line {line}\)"
    with pytest.raises(ConfigurationError, match=message):
        parse_study(config, [path])
    config["experiments"]["mfcc"]["training"] = {"normalisation": "speaker"}
    json.loads(parse_study(config).training_settings("mfcc"))
    config["models"]["mean"] = SVM
    assert '"normalisation":"speaker"' in parse_study(config).training_settings("mfcc")
    config["representations"]["mfcc"] = {"kind": "mfcc"}
    config["experiments"]["mfcc"]["training"] = {"normalisation": "utterance"}
    with pytest.raises(ConfigurationError, match="which normalisation by the utterance makes 0"):
        parse_study(config)
    search = {"training.normalisation": ["speaker", "training"]}
    config = changed("experiments.mfcc.search", search)
    with pytest.raises(ConfigurationError, match=r"training\.normalisation cannot be searched"):
        parse_study(config)


def test_the_json_schema_is_up_to_date(project: Path) -> None:
    path = project / "workflow" / "schemas" / "study.schema.json"
    assert path.read_text() == load_script(project, "write_schema").schema_text(), "make schema"


def test_every_key_has_a_description(project: Path) -> None:
    schema = json.loads((project / "workflow" / "schemas" / "study.schema.json").read_text())
    undocumented = [
        f"{name}.{key}"
        for name, model in [("Study", schema), *schema["$defs"].items()]
        for key, value in model.get("properties", {}).items()
        if "description" not in value and "const" not in value and key != "kind"
    ]
    assert undocumented == []


@pytest.mark.parametrize("name", ["demo", "emodb", "iemocap", "crosscorpus"])
def test_the_studies_of_the_project_are_valid(project: Path, name: str) -> None:
    config = yaml.safe_load((project / "config" / f"{name}.yaml").read_text())
    assert parse_study(config).study == name


def test_an_estimator_cannot_weight_layers() -> None:
    config = layered("all", "wavlm")
    config["models"]["mean"] = {"kind": "estimator"}
    config["training"] = {}
    with pytest.raises(ConfigurationError, match="cannot weight layers, and wavlm has several"):
        parse_study(config)


def test_an_experiment_may_use_fewer_sizes() -> None:
    config = copy.deepcopy(BASE)
    config["experiments"]["mfcc"]["sizes"] = ["all"]
    assert parse_study(config).sizes_of("mfcc") == ["all"]
    config["experiments"]["mfcc"]["sizes"] = [7]
    with pytest.raises(ConfigurationError, match="the size 7 is not listed under sizes"):
        parse_study(config)


def test_an_estimator_refuses_votes() -> None:
    config = changed("training.targets", "votes")
    config["models"]["mean"] = {"kind": "estimator"}
    with pytest.raises(ConfigurationError, match="cannot learn from votes"):
        parse_study(config)


def test_test_units_are_among_the_corpora() -> None:
    second = {"reader": "csv", "root": "own"}
    config = changed(
        "corpus",
        {
            "reader": "several",
            "root": "data",
            "corpora": {"emodb": {"reader": "emodb", "root": "emodb"}, "own": second},
        },
    )
    config["protocol"] = {
        "fold_unit": "corpus",
        "folds": 1,
        "test_units": ["emodb"],
        "development": "random",
    }
    assert parse_study(config).fold_names() == ["fold1"]
    config["protocol"]["test_units"] = ["emo-db"]
    with pytest.raises(
        ConfigurationError, match=r"test_units lists emo-db, which is not .* emodb, own\)"
    ):
        parse_study(config)


def test_folds_of_corpus_pairs_are_a_multiple_of_the_corpora() -> None:
    corpora = {name: {"reader": "csv", "root": name} for name in "abc"}
    config = changed("corpus", {"reader": "several", "root": "data", "corpora": corpora})
    config["protocol"] = {"fold_unit": "corpus_pairs", "folds": 12}
    assert len(parse_study(config).fold_names()) == 12
    for folds in (3, 10):
        config["protocol"]["folds"] = folds
        with pytest.raises(
            ConfigurationError, match=rf"folds is {folds}; .* number of corpora \(3\) .* as 15"
        ):
            parse_study(config)


def test_the_examples_of_the_documentation_are_valid(project: Path) -> None:
    pages = ("explanation/protocol.md", "how-to/cross-corpus.md")
    text = "".join((project / "docs" / page).read_text() for page in pages)
    examples = [yaml.safe_load(block.split("```")[0]) for block in text.split("```yaml\n")[1:]]
    file, official, corpora = (parse_study({**BASE, **each}).protocol for each in examples)
    assert (file.fold_file, file.development) == ("folds.csv", "file")
    assert (official.fold_unit, official.folds) == ("official", 2)
    assert corpora.fold_unit == "corpus_pairs"
    assert examples[2]["labels"]["classes"]["happiness"][-1] == "emodb:happiness"


@pytest.mark.parametrize("section", ["representations", "experiments"])
def test_names_that_differ_by_case_only_are_refused(project: Path, section: str) -> None:
    config = yaml.safe_load((project / "config" / "demo.yaml").read_text())
    config[section]["MFCC"] = config[section]["mfcc"]
    with pytest.raises(ConfigurationError, match=f"{section} has mfcc and MFCC, .* rename one"):
        parse_study(config)


@pytest.mark.parametrize(
    ("root", "message"),
    [
        ("raw", "would be replaced by generated speech; name a folder inside results"),
        ("results", "would be replaced"),
        ("results/tiny", "contains other files of the study; name another folder, such as"),
        ("results/tiny/corpus", "contains other files of the study"),
        ("results/tiny/runs/mfcc", "contains other files of the study"),
    ],
)
def test_a_corpus_is_generated_into_a_separate_folder(root: str, message: str) -> None:
    corpus = {"reader": "demo", "root": root}
    config = {**_demo_like(), "corpus": corpus}
    with pytest.raises(ConfigurationError, match=message):
        parse_study(config)
    parse_study({**config, "corpus": {**corpus, "root": "results/tiny/generated"}})


def test_one_of_several_corpora_may_be_generated() -> None:
    csv = {"reader": "csv", "root": "data/own"}
    demo: dict[str, Any] = {"reader": "demo", "root": "results/tiny/generated"}
    corpora = {"own": csv, "demo": demo}
    config = {**_demo_like(), "corpus": {"reader": "several", "root": ".", "corpora": corpora}}
    assert parse_study(config).corpus.reader == "several"
    corpora["demo"] = {**demo, "root": "data/demo"}
    with pytest.raises(
        ConfigurationError, match=r"corpus\.corpora\.demo\.root is data/demo, .* inside results"
    ):
        parse_study(config)
    corpora |= {"demo": demo, "second": {**demo, "root": "results/tiny/second", "seed": 2}}
    with pytest.raises(
        ConfigurationError, match=r"demo\.root and .*second\.root are of .* at most one: remove"
    ):
        parse_study(config)


def _demo_like() -> dict[str, Any]:
    return {
        "study": "tiny",
        "labels": {"classes": {"active": ["ang"], "calm": ["neu"]}},
        "representations": {"mfcc": {"kind": "mfcc"}},
        "protocol": {"fold_unit": "session", "folds": 2},
        "sizes": ["all"],
        "models": {"pooled": {"kind": "pooled"}},
        "experiments": {"mfcc": {"representations": ["mfcc"], "model": "pooled"}},
    }
