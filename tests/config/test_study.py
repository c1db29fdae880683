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
    place = config
    *parents, last = path.split(".")
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return config


def test_names_of_files() -> None:
    study = parse_study(BASE)
    assert study.folder == "results/small"
    assert study.size_names() == ["10", "5-per-class", "all"]
    assert study.fold_names() == ["fold1", "fold2", "fold3", "fold4", "fold5"]
    assert study.shard_names()[0] == "00"


def test_what_is_asked_of_the_curves_trains_nothing_again() -> None:
    plain = parse_study(BASE)
    asked = parse_study(changed("evidence", {"reference": "mfcc", "target_ua": [0.7]}))
    assert asked.evidence_settings() != plain.evidence_settings()
    for name in ("training_settings", "prediction_settings"):
        assert getattr(asked, name)("mfcc") == getattr(plain, name)("mfcc")
    assert asked.protocol_settings() == plain.protocol_settings()


def test_evidence_knows_what_an_experiment_reads() -> None:
    layered = {"kind": "transformers_audio", "model": "wavlm", "layer": [0, 6]}
    config = changed("representations.wavlm", layered)
    for name, reference in (("weighed", "wavlm"), ("sixth", "wavlm/6")):
        config["experiments"][name] = {"representations": [reference], "model": "mean"}
    experiments = json.loads(parse_study(config).evidence_settings())["experiments"]
    read = {name: each["representations"][0] for name, each in experiments.items()}
    assert (read["weighed"]["layer"], read["sixth"]["layer"]) == ("several", 6)
    assert read["mfcc"]["kind"] == "mfcc"
    assert experiments["mfcc"]["model"]["kind"] == "pooled"


def test_a_model_keeps_where_its_own_weights_came_from() -> None:
    config = changed("representations.text", {"kind": "transformers_text", "model": "bert"})
    config["checkpoints"] = {
        "bert": {"hub": "google-bert/bert-base-uncased"},
        "other": {"hub": "x"},
    }
    config["experiments"]["text"] = {"representations": ["text"], "model": "mean"}
    config["audio"] = {"minimum_seconds": 0.5}
    study = parse_study(config)
    kept = json.loads(study.prediction_settings("text"))
    assert list(kept["checkpoints"]) == ["bert"]
    assert kept["audio"]["minimum_seconds"] == 0.5
    assert json.loads(study.prediction_settings("mfcc"))["checkpoints"] == {}


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("sizs", [1], "unknown key sizs"),
        ("corpus.reader", "iemocop", "iemocop is not known; choose one of"),
        ("corpus.root", "", "corpus.emodb.root"),
        ("corpus.colour", "red", "unknown key colour"),
        ("labels.classes", {"anger": ["anger"]}, "at least 2"),
        ("labels.classes", {"a": ["x"], "b": ["x"]}, "label x stands in the classes a and b"),
        ("labels.classes", {"a": ["x"], "b": []}, "class b gathers no label"),
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
            "backend fairseq computes in float32, not bfloat16",
        ),
        (
            "representations.mfcc",
            {"kind": "wav2vec", "checkpoint": "a", "backend": "fairseq"},
            "mfcc: backend fairseq needs a Python .* name it under execution.fairseq_python",
        ),
        ("representations.mfcc.coefficients", 100, "100 coefficients cannot come from 80 mel"),
        ("protocol.folds", 1, "folds is 1, so nothing would be left to train on"),
        ("protocol.repeats", 0, "greater than or equal to 1"),
        ("protocol.seeds_per_order", 2, "repeats is 3 and seeds_per_order 2, .* make repeats a"),
        ("protocol", {"fold_unit": "corpus", "folds": 2}, "there is one corpus only; name several"),
        ("protocol.test_units", ["03"], "so fold_unit must be session or corpus"),
        (
            "protocol",
            {"fold_unit": "session", "folds": 2, "test_units": ["a", "b", "a"]},
            "test_units lists a twice",
        ),
        (
            "protocol",
            {"fold_unit": "session", "folds": 2, "test_units": ["a"]},
            "test_units lists 1 and folds is 2; make folds 1",
        ),
        ("protocol", {"fold_unit": "file", "folds": 2}, "fold_file is missing; name the table"),
        ("protocol.fold_file", "f.csv", "fold_file means something only with fold_unit: file"),
        ("protocol.allow_shared_speakers", True, "allow_shared_speakers means something only"),
        ("protocol.ignore_unmatched", True, "ignore_unmatched means something only"),
        ("protocol.development", "file", "it needs fold_unit: file"),
        ("protocol.development", "sessions", "'unit', 'session', 'speakers', 'random', 'file' or"),
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
        ("experiments.mfcc.representations", ["mfcc/3"], "mfcc has one only; write mfcc"),
        ("experiments.mfcc.representations", ["mfcc/x"], "pattern"),
        ("models.mean.kind", "waveform", "reads a representation of the kind waveform, and mfcc"),
        ("checkpoints.large", {"file": "a.pt"}, "needs one of the keys url, hub and untrained"),
        ("checkpoints.large", {"url": "ftp://a/b.pt"}, r"checkpoints\.large\.url"),
        ("checkpoints.large", {"url": "https://a/b.pt", "sha256": "ab"}, "sha256: String should"),
        ("checkpoints.large", {"hub": "a/b/c"}, r"checkpoints\.large\.hub"),
        ("checkpoints.large", {"untrained": "gpt"}, "'wav2vec', 'vq_wav2vec', 'wav2vec2' or"),
        ("experiments.mfcc.training", {"learning_rat": 1}, "mfcc.training: .*unknown key"),
    ],
)
def test_a_mistake_is_a_sentence(path: str, value: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        parse_study(changed(path, value))


def test_a_missing_part_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"corpus\.emodb\.root: is missing"):
        parse_study(changed("corpus", {"reader": "emodb"}))
    with pytest.raises(ConfigurationError, match="labels: is missing"):
        parse_study({key: value for key, value in BASE.items() if key != "labels"})


def test_slices_hold_what_a_step_depends_on_and_nothing_else() -> None:
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


def test_a_slice_states_defaults_so_that_spelling_them_out_changes_nothing() -> None:
    spelled = parse_study(changed("representations.mfcc.coefficients", 40))
    assert spelled.representation_settings("mfcc") == parse_study(BASE).representation_settings(
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


def test_an_experiment_reads_one_layer_or_lets_its_model_weigh_them() -> None:
    several: list[Any] = ["all", [0, 6], [-1, 6]]
    for layer in several:
        study = parse_study(layered(layer, "wavlm/6"))
        assert json.loads(study.training_settings("mfcc"))["layers"] == [6]
    for layer in (6, *several):
        study = parse_study(layered(layer, "wavlm"))
        assert json.loads(study.training_settings("mfcc"))["layers"] == [None]
    mistakes: list[tuple[Any, str, str]] = [
        ([0, 6], "wavlm/5", "wavlm has the layers 0, 6, not 5"),
        (6, "wavlm/6", "names a layer and wavlm has one only"),
    ]
    for layer, reference, sentence in mistakes:
        with pytest.raises(ConfigurationError, match=sentence):
            parse_study(layered(layer, reference))


def experiment(model: dict[str, Any], development: str, **settings: Any) -> dict[str, Any]:
    config = changed("protocol.development", development)
    config["models"]["mean"] = model
    config["experiments"]["mfcc"] |= settings
    return config


POOLED: dict[str, Any] = {"kind": "pooled"}
MACHINE: dict[str, Any] = {"kind": "estimator"}
FIXED: dict[str, Any] = {"training": {"early_stopping": False}}


@pytest.mark.parametrize(
    ("model", "settings"),
    [(POOLED, FIXED), ({**MACHINE, "C": [0.01]}, {})],
    ids=["network", "estimator"],
)
def test_without_a_development_set_nothing_is_chosen(
    model: dict[str, Any], settings: dict[str, Any]
) -> None:
    study = parse_study(experiment(model, "none", **settings))
    assert json.loads(study.protocol_settings())["development"] == "none"


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        (POOLED, {}),
        (POOLED, {"training": {"early_stopping": True}}),
        (POOLED, {**FIXED, "search": {"model.projection_size": [8, 16]}}),
        (POOLED, {**FIXED, "search": {"training.early_stopping": [True]}}),
        (MACHINE, {}),
        (MACHINE, {"search": {"model.C": [[0.1], [0.2]]}}),
        ({**MACHINE, "C": [0.01]}, {"search": {"model.C": [[0.1, 0.2]]}}),
    ],
)
def test_what_would_be_chosen_without_a_development_set_is_refused(
    model: dict[str, Any], settings: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match=r"development is none, so nothing can be chosen"):
        parse_study(experiment(model, "none", **settings))
    for development in ("unit", "random"):
        parse_study(experiment(model, development, **settings))


def test_a_searched_schedule_or_strength_counts_as_it_is_searched() -> None:
    """A search of one value is no choice: it is what the experiment does."""
    fixed = experiment(POOLED, "none", search={"training.early_stopping": [False]})
    parse_study(fixed)
    parse_study(experiment(MACHINE, "none", search={"model.C": [[0.1]]}))


def test_votes_are_refused_where_labels_are_permuted() -> None:
    config = changed("protocol.shuffle_labels", True)
    parse_study(config)
    sentence = "votes are not permuted, so protocol.shuffle_labels would control nothing"
    for settings in (
        {"training": {"targets": "votes"}},
        {"search": {"training.targets": ["majority", "votes"]}},
    ):
        config["experiments"]["mfcc"] = {**BASE["experiments"]["mfcc"], **settings}
        with pytest.raises(ConfigurationError, match=sentence):
            parse_study(config)
    config["protocol"]["shuffle_labels"] = False
    parse_study(config)


def test_checkpoints_by_name() -> None:
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


def test_the_schema_is_in_step_with_the_models(project: Path) -> None:
    path = project / "workflow" / "schemas" / "study.schema.json"
    assert path.read_text() == load_script(project, "write_schema").schema_text(), "make schema"


def test_every_key_says_what_it_means(project: Path) -> None:
    schema = json.loads((project / "workflow" / "schemas" / "study.schema.json").read_text())
    silent = [
        f"{part}.{key}"
        for part, model in [("Study", schema), *schema["$defs"].items()]
        for key, value in model.get("properties", {}).items()
        if "description" not in value and "const" not in value and key != "kind"
    ]
    assert silent == []


@pytest.mark.parametrize("name", ["demo", "emodb", "iemocap", "crosscorpus"])
def test_the_studies_that_come_with_the_project_are_valid(project: Path, name: str) -> None:
    config = yaml.safe_load((project / "config" / f"{name}.yaml").read_text())
    assert parse_study(config).study == name


def test_an_estimator_cannot_weigh_layers() -> None:
    config = layered("all", "wavlm")
    config["models"]["mean"] = {"kind": "estimator"}
    config["training"] = {}
    with pytest.raises(ConfigurationError, match="cannot weigh layers and wavlm has several"):
        parse_study(config)


def test_an_experiment_may_have_fewer_sizes() -> None:
    config = copy.deepcopy(BASE)
    config["experiments"]["mfcc"]["sizes"] = ["all"]
    assert parse_study(config).sizes_of("mfcc") == ["all"]
    config["experiments"]["mfcc"]["sizes"] = [7]
    with pytest.raises(ConfigurationError, match="the size 7 is not listed under sizes"):
        parse_study(config)


def test_an_estimator_does_not_pass_over_votes() -> None:
    config = changed("training.targets", "votes")
    config["models"]["mean"] = {"kind": "estimator"}
    with pytest.raises(ConfigurationError, match="learns classes, not the shares of votes"):
        parse_study(config)


def test_corpora_that_are_tested_are_among_the_several() -> None:
    own = {"reader": "csv", "root": "own"}
    config = changed(
        "corpus",
        {
            "reader": "several",
            "root": "data",
            "corpora": {"emodb": {"reader": "emodb", "root": "emodb"}, "own": own},
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


def test_the_examples_of_the_protocol_page_are_valid(project: Path) -> None:
    page = (project / "docs" / "protocol.md").read_text()
    examples = [yaml.safe_load(text.split("```")[0]) for text in page.split("```yaml\n")[1:]]
    given, across = (parse_study({**BASE, **example}).protocol for example in examples)
    assert (given.fold_file, given.development) == ("folds.csv", "file")
    assert across.test_units == ["emodb"]
    assert examples[1]["labels"]["classes"]["happiness"][-1] == "emodb:happiness"


@pytest.mark.parametrize("part", ["representations", "experiments"])
def test_names_that_differ_by_case_only_are_refused(project: Path, part: str) -> None:
    config = yaml.safe_load((project / "config" / "demo.yaml").read_text())
    config[part]["MFCC"] = config[part]["mfcc"]
    with pytest.raises(ConfigurationError, match=f"{part} has mfcc and MFCC, .* rename one"):
        parse_study(config)


@pytest.mark.parametrize(
    ("root", "says"),
    [
        ("raw", "would be replaced by the generated corpus; name a folder in results"),
        ("results", "would be replaced"),
        ("results/tiny", "keeps files of its own; name another folder, such as"),
        ("results/tiny/corpus", "keeps files of its own"),
        ("results/tiny/runs/mfcc", "keeps files of its own"),
    ],
)
def test_a_corpus_is_generated_where_nothing_else_lies(root: str, says: str) -> None:
    corpus = {"reader": "demo", "root": root}
    config = {**_demo_like(), "corpus": corpus}
    with pytest.raises(ConfigurationError, match=says):
        parse_study(config)
    parse_study({**config, "corpus": {**corpus, "root": "results/tiny/generated"}})


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
