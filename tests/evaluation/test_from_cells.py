"""Tables of cells that were trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from emoscale.config import parse_settings
from emoscale.config.protocol import ProtocolSettings
from emoscale.config.training import CellSettings
from emoscale.corpus.votes import VOTE_SHARES_DTYPE
from emoscale.evaluation.layer_weights import LAYER_WEIGHTS
from emoscale.evaluation.runs import CollectedRuns, collect_runs, runs_schema
from emoscale.evaluation.trials import TRIALS
from emoscale.store.index import FeatureStore, index_shards
from emoscale.store.shard import ShardHeader
from emoscale.store.speaker_statistics import write_speaker_statistics
from emoscale.store.writer import write_shard
from emoscale.tables.parquet import write_table
from emoscale.training.cell import train_cell
from emoscale.training.prepared_cell import Cell
from emoscale.training.run_record import CellName

KEYS = [f"u{number:02d}" for number in range(24)]
RATES = [0.01, 0.1]
FUSION = {
    "model": {"kind": "early_fusion", "projection_size": 4, "hidden_size": None, "dropout": 0.0},
    "training": {"maximum_steps": 20, "steps_between_evaluations": 10, "batch_size": 4},
    "search": {"training.learning_rate": RATES},
    "layers": [None, None],
    "seed": 1,
}
ESTIMATOR = {"model": {"kind": "estimator", "C": [0.1, 1.0]}, "training": {}, "seed": 1}
PROTOCOL = ProtocolSettings(fold_unit="speakers", folds=2, repeats=2)


def make_store(folder: Path, kind: str, layers: tuple[int, ...]) -> FeatureStore:
    generator = np.random.default_rng(len(layers))
    layer_axis = (len(layers),) if layers else ()
    features = [
        generator.normal(number % 2, 0.5, (*layer_axis, 3 + number % 4, 2))
        for number in range(len(KEYS))
    ]
    header = ShardHeader(
        f'{{"kind":"{kind}","model":"it"}}',
        2,
        100.0,
        "code",
        "rows",
        layers=layers,
        versions=f'{{"{kind}":"2.0"}}',
    )
    write_shard(folder / "00.h5", header, KEYS, features, "float16")
    index_shards([folder / "00.h5"], folder / "index.parquet")
    return FeatureStore(folder / "index.parquet")


def make_fold() -> pl.DataFrame:
    roles = ["train"] * 12 + ["dev"] * 6 + ["test"] * 6
    ranks = [*range(12), *[None] * 12]
    return pl.DataFrame(
        {
            "utterance": KEYS,
            "role": roles,
            "label": ["a", "b"] * 12,
            "speaker": [role + key[-1] for role, key in zip(roles, KEYS, strict=True)],
            "votes": [None] * 24,
            "rank_0": ranks,
            "rank_1": ranks,
        },
        schema_overrides={"votes": VOTE_SHARES_DTYPE, "rank_0": pl.Int32, "rank_1": pl.Int32},
    )


def train(
    runs: Path, experiment: str, settings: dict[str, Any], stores: list[FeatureStore]
) -> CellName:
    parsed: CellSettings = parse_settings(CellSettings, settings, "settings")
    name = CellName(experiment, "fold1", "all")
    cell = Cell(name, parsed, make_fold(), stores, "code", "protocol")
    train_cell(cell, name.folder(runs), torch.device("cpu"))
    return name


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> CollectedRuns:
    folder = tmp_path_factory.mktemp("study")
    all_layers = make_store(folder / "wavlm", "transformers_audio", (6, 12))
    one_layer = make_store(folder / "bert", "transformers_text", ())
    cells = [
        train(folder / "runs", "fusion", FUSION, [all_layers, one_layer]),
        train(folder / "runs", "svm", ESTIMATOR, [one_layer]),
    ]
    results = collect_runs(folder / "runs", cells, "study", "generated", "", PROTOCOL)
    for table, schema in (
        (results.runs, runs_schema(results.classes)),
        (results.trials, TRIALS),
        (results.layer_weights, LAYER_WEIGHTS),
    ):
        write_table(table, folder / "table.parquet", schema)  # raises if it does not match
    return results


def test_normalisation_by_speaker_is_noted_beside_every_score(tmp_path: Path) -> None:
    store = make_store(tmp_path / "bert", "transformers_text", ())
    speaker_of = dict(make_fold().select("utterance", "speaker").iter_rows())
    write_speaker_statistics(store, speaker_of)
    by_speaker = {**ESTIMATOR, "training": {"normalisation": "speaker"}}
    cells = [
        train(tmp_path / "runs", "svm", ESTIMATOR, [store]),
        train(tmp_path / "runs", "svm_speaker", by_speaker, [store]),
    ]
    results = collect_runs(tmp_path / "runs", cells, "study", "generated", "a warning", PROTOCOL)
    assert results.runs["notes"].unique().to_list() == [
        "a warning\nsvm_speaker: features are normalised by speaker, from all of each speaker's "
        "recordings, also those that are tested (no label is used)"
    ]
    results = collect_runs(tmp_path / "runs", cells[:1], "study", "generated", "", PROTOCOL)
    assert results.runs["notes"].unique().to_list() == [""]


def test_runs_have_their_inputs_and_settings(collected: CollectedRuns) -> None:
    names = (
        "experiment",
        "repeat",
        "representations",
        "modality",
        "model",
        "trials",
        "stop_reason",
    )
    assert collected.runs.select(names).rows() == [
        ("fusion", 0, "wavlm+bert", "audio+text", "early_fusion", 2, "budget"),
        ("fusion", 1, "wavlm+bert", "audio+text", "early_fusion", 2, "budget"),
        ("svm", 0, "bert", "text", "estimator", 1, "fitted"),
        ("svm", 1, "bert", "text", "estimator", 1, "fitted"),
    ]
    of_bert = '{"bert":{"transformers_text":"2.0"}'
    assert collected.runs["feature_versions"].unique(maintain_order=True).to_list() == [
        of_bert + ',"wavlm":{"transformers_audio":"2.0"}}',
        of_bert + "}",
    ]


def test_chosen_trial_has_the_best_development_ua(collected: CollectedRuns) -> None:
    assert collected.trials.select("experiment", "repeat", "trial").rows() == [
        ("fusion", repeat, trial) for repeat in (0, 1) for trial in (0, 1)
    ]
    for run in collected.runs.filter(pl.col("experiment") == "fusion").to_dicts():
        of_repeat = collected.trials.filter(pl.col("repeat") == run["repeat"])
        (chosen,) = of_repeat.filter("chosen").to_dicts()
        assert (
            chosen["development_ua"]
            == of_repeat["development_ua"].max()
            == run["best_development_ua"]
        )
        assert chosen["trial"] == run["chosen_trial"]
        rate = RATES[chosen["trial"]]
        assert chosen["choices"] == run["choices"] == f'{{"training.learning_rate":{rate}}}'


def test_layer_weights_sum_to_one(collected: CollectedRuns) -> None:
    layer_weights = collected.layer_weights
    assert layer_weights.select("experiment", "representation", "repeat", "layer").rows() == [
        ("fusion", "wavlm", repeat, layer) for repeat in (0, 1) for layer in (6, 12)
    ]
    sums = layer_weights.group_by("repeat").agg(pl.col("weight").sum())["weight"].to_list()
    assert sums == pytest.approx([1.0, 1.0])
