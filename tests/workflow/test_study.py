"""A whole small study in Snakemake, and what reruns after a change."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from emoscale.tables.parquet import read_metadata
from tests.conftest import PROJECT

SNAKEMAKE = str(Path(sys.executable).with_name("snakemake"))
STUDY: dict[str, Any] = {
    "study": "small",
    "seed": 3,
    "corpus": {
        "reader": "demo",
        "root": "results/small/raw",
        "sessions": 3,
        "utterances_per_session": 48,
    },
    "shards": 2,
    "labels": {"classes": {"active": ["ang", "hap", "exc"], "calm": ["neu", "sad"]}},
    "checkpoints": {"tiny": {"untrained": "wav2vec2", "seed": 4}},
    "execution": {"checkpoint_cache": "cache"},
    "representations": {
        "mfcc": {"kind": "mfcc", "coefficients": 13},
        "wav2vec2": {"kind": "transformers_audio", "model": "tiny", "layer": [0, 2]},
    },
    "protocol": {"fold_unit": "session", "folds": 3, "repeats": 2},
    "sizes": [8, "all"],
    "models": {"mean": {"kind": "pooled", "projection_size": 8}},
    "training": {"maximum_steps": 40, "steps_between_evaluations": 20, "batch_size": 8},
    "experiments": {
        "mfcc": {"representations": ["mfcc"], "model": "mean"},
        "wav2vec2": {"representations": ["wav2vec2/2"], "model": "mean"},
    },
}
EXPERIMENTS = list(STUDY["experiments"])
RESULTS = {
    "all": 1,
    "make_tables": 1,
    "draw_figures": 1,
    "compare_experiments": 1,
    "slice_scores": 1,
    "measure_ceiling": 1,
    "measure_efficiency": 1,
    "write_report": 1,
}
ROBUSTNESS: dict[str, Any] = {
    "experiments": ["mfcc", "wav2vec2"],
    "conditions": {
        "inaudible": {"noise": "white", "snr_db": 200},
        "loud": {"noise": "babble", "snr_db": -5},
    },
}


@dataclass
class Checkout:
    """A copy of the project whose code may be changed."""

    folder: Path

    def run(self, *arguments: str, config: dict[str, Any] = STUDY) -> subprocess.CompletedProcess:
        path = self.folder / "study.yaml"
        path.write_text(yaml.safe_dump(config))
        program = [SNAKEMAKE, "--configfile", str(path), *arguments]
        return subprocess.run(
            program, cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def planned(self, config: dict[str, Any] = STUDY, *targets: str) -> dict[str, int]:
        """Return the number of jobs per rule that a run would execute now."""
        ran = self.run("--cores", "2", "--dry-run", *targets, config=config)
        assert ran.returncode == 0, ran.stdout
        counts = dict(re.findall(r"^(\w+) +(\d+)$", ran.stdout, flags=re.MULTILINE))
        counts.pop("total", None)
        return {rule: int(count) for rule, count in counts.items()}

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copy(PROJECT / "Snakefile", folder)
    for name in ("workflow", "scripts", "envs", "profiles"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    checkout = Checkout(folder)
    ran = checkout.run("--cores", "2")
    assert ran.returncode == 0, ran.stdout
    return checkout


def changed(path: str, value: Any) -> dict[str, Any]:
    config = copy.deepcopy(STUDY)
    if not path:
        return {**config, **value}
    node = config
    *parents, last = path.split(".")
    for parent in parents:
        node = node.setdefault(parent, {})
    node[last] = value
    return config


def test_a_run_writes_all_results(finished: Checkout) -> None:
    results = finished.folder / "results" / "small"
    scores = pl.read_parquet(results / "tables" / "scores.parquet")
    assert set(scores.select("experiment", "size").iter_rows()) == {
        (name, size) for name in EXPERIMENTS for size in ("8", "all")
    }
    assert scores["corpus"].unique().to_list() == ["demo (synthetic speech)"]
    runs = pl.read_parquet(results / "tables" / "runs.parquet")
    assert len(runs) == 2 * 2 * 3 * 2
    eight = runs.filter(pl.col("size") == "8")
    assert eight.select("training_count_active", "training_count_calm").unique().rows() == [(4, 4)]
    weights = dict(runs.select("representations", "pretrained_weights").unique().iter_rows())
    assert weights == {
        "mfcc": "",
        "wav2vec2/2": "untrained: random weights of seed 4",
    }
    for name in ("code_sha256", "features_sha256", "protocol_sha256", "settings_sha256"):
        assert runs[name].str.len_chars().unique().to_list() == [64]
    predictions = pl.read_parquet(results / "tables" / "predictions.parquet")
    tested = predictions.filter(pl.col("experiment") == "mfcc", pl.col("size") == "8")
    assert tested.select("utterance", "repeat").is_unique().all()
    utterances = pl.read_parquet(results / "corpus" / "utterances.parquet")
    labelled = utterances.drop_nulls("label")
    assert set(tested["utterance"]) == set(labelled["utterance"])
    rejected = pl.read_csv(results / "corpus" / "rejected.csv")
    assert {"missing", "silent", "truncated", "empty", "no label"} <= set(rejected["reason"])
    for name in ("trials", "layer_weights"):  # both are empty in this study
        assert pl.read_parquet(results / "tables" / f"{name}.parquet").is_empty()
    audit = pl.read_csv(results / "corpus" / "audit.csv")
    assert "error" not in set(audit["severity"])
    assert "Audit of the corpus: demo (synthetic speech)" in (results / "audit.html").read_text()
    gaps = pl.read_parquet(results / "tables" / "slice_gaps.parquet")
    assert {"sex", "style", "text", "duration"} <= set(gaps["slice"])
    ceiling = pl.read_parquet(results / "tables" / "ceiling.parquet").filter("is_ceiling")
    assert ceiling.select("experiment", "size", "target").rows() == [
        ("one more rater", None, "other raters"),
        *((name, "all", "other raters") for name in EXPERIMENTS),
    ]
    assert not (results / "tables" / "robustness.parquet").exists()  # not requested
    efficiency = pl.read_parquet(results / "tables" / "efficiency.parquet")
    assert len(efficiency) == 2 * 2
    assert read_metadata(results / "tables" / "efficiency.parquet")["reference"] in EXPERIMENTS[:1]
    forecast = pl.read_parquet(results / "tables" / "forecast.parquet")
    assert forecast["kind"].to_list() == ["forecast", "forecast"] * 2  # too few to hold a size out
    published = pl.read_parquet(results / "tables" / "published.parquet")
    assert published["our_value"].null_count() == len(published)
    for name in (
        "learning_curves",
        "confusion",
        "layer_weights",
        "slices",
        "efficiency",
        "forecast",
    ):
        assert (results / "figures" / f"{name}.html").stat().st_size > 100_000
        assert (results / "figures" / f"{name}.svg").stat().st_size > 1_000
    report = (results / "report.html").read_text()
    assert "Which representation recognises emotion best in demo" in report
    assert "The votes are generated. One more rater, compared with the plurality" in report


def test_predictions_of_a_trained_model_equal_the_table(finished: Checkout) -> None:
    results = finished.folder / "results" / "small"
    model = results / "runs" / "wav2vec2" / "fold1" / "all"
    trained = pl.read_parquet(model / "predictions.parquet").filter(repeat=1).sort("utterance")
    utterances = pl.read_parquet(results / "corpus" / "utterances.parquet")
    audio = trained.join(utterances, on="utterance", maintain_order="left")["audio"]
    (finished.folder / "list.txt").write_text(
        "\n".join(str(results / "raw" / path) for path in audio)
    )
    program = [sys.executable, "scripts/predict.py", str(model), "--list", "list.txt"]
    ran = subprocess.run(
        [*program, "--repeat", "1", "--output", "predictions.parquet"],
        cwd=finished.folder,
        env={**os.environ, "PYTHONPATH": "workflow"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "predictions: predictions.parquet\n"
    assert "wav2vec2/fold1/all: repeat 1; weights: untrained: random weights of" in ran.stderr
    predicted = pl.read_parquet(finished.folder / "predictions.parquet")
    assert predicted["predicted"].to_list() == trained["predicted"].to_list()
    for name in ("p_active", "p_calm"):
        assert float((predicted[name] - trained[name]).abs().max()) < 1e-6  # type: ignore[arg-type]


def test_every_job_has_a_log_and_a_benchmark(finished: Checkout) -> None:
    results = finished.folder / "results" / "small"
    logs = {path.relative_to(results / "logs").with_suffix("") for path in results.rglob("*.log")}
    benchmarks = {
        path.relative_to(results / "benchmarks").with_suffix("") for path in results.rglob("*.tsv")
    }
    assert logs - benchmarks == {Path("fetch_checkpoint/tiny")}  # has no benchmark
    assert len(logs) == 40


def test_paired_subsets_are_the_same_for_every_experiment(finished: Checkout) -> None:
    runs = finished.folder / "results" / "small" / "runs"
    for fold in ("fold1", "fold2", "fold3"):
        one, other = (
            json.loads((runs / name / fold / "8" / "run.json").read_text())
            for name in ("mfcc", "wav2vec2")
        )
        assert one["protocol_sha256"] == other["protocol_sha256"]


def test_a_second_run_does_nothing(finished: Checkout) -> None:
    ran = finished.run("--cores", "2")
    assert ran.returncode == 0
    assert "Nothing to be done" in ran.stdout
    assert finished.planned() == {}


@pytest.mark.parametrize(
    ("path", "value", "jobs"),
    [  # test_invalidation.py tests every key
        (
            "evidence.target_ua",
            [0.9],
            {"measure_efficiency": 1, "draw_figures": 1, "write_report": 1, "all": 1},
        ),
        (
            "representations.wav2vec2.layer",
            "all",
            {"extract_features": 2, "index_features": 1, "train": 6, **RESULTS},
        ),
        (  # two changes at once: both have an effect
            "",
            {"sizes": [8, 12, "all"], "training": {**STUDY["training"], "learning_rate": 0.5}},
            {"check_protocol": 1, "train": 18, **RESULTS},
        ),
    ],
)
def test_a_change_reruns_dependent_steps_only(
    finished: Checkout, path: str, value: Any, jobs: dict[str, int]
) -> None:
    assert finished.planned(changed(path, value)) == jobs


def test_a_changed_statement_reruns_its_steps_and_a_comment_nothing(
    finished: Checkout,
) -> None:
    engine, old = "workflow/emoscale/training/engine.py", "_EVALUATION_BATCH = 64"
    finished.edit(engine, old, old + "  # as many as fit a cache")
    assert finished.planned() == {}
    finished.edit(engine, old, "_EVALUATION_BATCH = 32")
    assert finished.planned() == {"train": 12, **RESULTS}
    finished.edit(engine, "_EVALUATION_BATCH = 32  # as many as fit a cache", old)
    assert finished.planned() == {}


@pytest.mark.slow
def test_robustness_to_perturbed_audio(finished: Checkout) -> None:
    config = {**STUDY, "robustness": ROBUSTNESS}
    scored = {"score_robustness": 1, "draw_figures": 1, "write_report": 1, "all": 1}
    assert finished.planned(config) == {
        "list_speakers": 1,
        "extract_perturbed": 2 * 2 * 2,
        "index_perturbed": 2 * 2,
        "test_robustness": 2 * 3,
        **scored,
    }
    ran = finished.run("--cores", "2", config=config)
    assert ran.returncode == 0, ran.stdout
    results = finished.folder / "results" / "small"
    for experiment in ROBUSTNESS["experiments"]:
        for fold in ("fold1", "fold2", "fold3"):
            cell = f"{experiment}/{fold}/all"
            trained = pl.read_parquet(results / "runs" / cell / "predictions.parquet")
            perturbed = pl.read_parquet(results / "robustness" / f"{cell}.parquet")
            clean, inaudible, loud = (
                perturbed.filter(condition=name).drop("condition")
                for name in ("clean", "inaudible", "loud")
            )
            order = ["repeat", "utterance"]
            assert clean.sort(order).equals(trained.sort(order))
            # Noise 200 dB below the speech must not change the predictions.
            assert inaudible["utterance"].equals(clean["utterance"])
            difference = (inaudible["p_calm"] - clean["p_calm"]).abs()
            assert float(difference.max()) < 5e-3  # type: ignore[arg-type]
            assert float((loud["p_calm"] - clean["p_calm"]).abs().max()) > 0.05  # type: ignore[arg-type]
    table = pl.read_parquet(results / "tables" / "robustness.parquet")
    scores = pl.read_parquet(results / "tables" / "scores.parquet").filter(size="all")
    ua = dict(scores.select("experiment", "ua").iter_rows())
    for row in table.filter(condition="clean").iter_rows(named=True):
        assert row["ua"] == pytest.approx(ua[row["experiment"]], abs=1e-12)
        assert row["drop"] == 0.0
    assert table["condition"].to_list() == ["clean", "inaudible", "loud"] * 2
    assert (results / "figures" / "robustness.svg").stat().st_size > 1_000
    assert finished.planned(config) == {}

    # A new condition reruns only its own extraction; nothing is trained again.
    further = {**ROBUSTNESS["conditions"], "phone": {"band": "telephone"}}
    more = {**STUDY, "robustness": {**ROBUSTNESS, "conditions": further}}
    again = {"test_robustness": 6, **scored}
    assert finished.planned(more) == {"extract_perturbed": 4, "index_perturbed": 2, **again}
    # Removed perturbed features are extracted again only when a condition changes.
    shutil.rmtree(results / "perturbed")
    assert finished.planned(config) == {}
    louder = {**ROBUSTNESS["conditions"], "loud": {"noise": "babble", "snr_db": -9}}
    other = {**STUDY, "robustness": {**ROBUSTNESS, "conditions": louder}}
    assert finished.planned(other) == {"extract_perturbed": 8, "index_perturbed": 4, **again}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("training.learning_rte", 0.5, r"unknown key learning_rte; did you mean learning_rate\?"),
        ("corpus", {"reader": "emodb"}, r"corpus\.root: is missing"),
        (
            "",
            {
                "checkpoints": {"tiny": {"url": "http://localhost:1/w.pt"}},
                "execution": {"checkpoint_cache": "cache", "offline": True},
            },
            r"checkpoints\.tiny: .*localhost:1/w\.pt",
        ),
        (
            "corpus",
            {"reader": "iemocap", "root": "nowhere"},
            r"nowhere does not exist: expected files such as Session1/dialog/EmoEvaluation",
        ),
    ],
)
def test_mistakes_are_reported(finished: Checkout, path: str, value: Any, message: str) -> None:
    ran = finished.run("--cores", "2", config={**changed(path, value), "study": "mistaken"})
    assert ran.returncode != 0
    assert re.search(message, ran.stdout)
    assert "Traceback" not in ran.stdout


@pytest.mark.slow
def test_normalisation_by_speaker(finished: Checkout) -> None:
    """A further experiment measures the speakers once; its note is beside the scores.

    The last test, because it leaves the study with one more experiment.
    """
    config = copy.deepcopy(STUDY)
    config["experiments"]["by_speaker"] = {
        "representations": ["wav2vec2/2"],
        "model": "mean",
        "training": {"normalisation": "speaker"},
    }
    planned = finished.planned(config)
    planned.pop("list_speakers", None)  # the test of robustness lists them, too
    assert planned == {"measure_speakers": 1, "train": 6, **RESULTS}
    ran = finished.run("--cores", "2", config=config)
    assert ran.returncode == 0, ran.stdout
    results = finished.folder / "results" / "small"
    note = "by_speaker: features are normalised by speaker, from all of each speaker's recordings"
    scores = pl.read_parquet(results / "tables" / "scores.parquet")
    assert all(note in notes for notes in scores.filter(experiment="by_speaker")["notes"])
    assert note.replace("'", "&#39;") in (results / "report.html").read_text()
    assert finished.planned(config) == {}
    robust = {**config, "robustness": {**ROBUSTNESS, "experiments": ["by_speaker"]}}
    perturbed = {name: count for name, count in finished.planned(robust).items() if "pert" in name}
    assert perturbed == {
        "extract_perturbed": 2 * 2,
        "index_perturbed": 2,
        "measure_perturbed_speakers": 2,
    }
