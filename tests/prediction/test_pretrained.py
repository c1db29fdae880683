"""New recordings are predicted with the weights that a study has pre-trained."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from emoscale.config import parse_settings
from emoscale.config.checkpoints import CheckpointSettings, PredictionSettings
from emoscale.config.corpus import AudioChecks, LabelSettings
from emoscale.config.protocol import ProtocolSettings
from emoscale.config.representations import RepresentationSettings
from emoscale.config.training import CellSettings
from emoscale.corpus.labels import add_labels
from emoscale.corpus.votes import add_vote_shares
from emoscale.prediction.features import locate_checkpoints
from emoscale.pretraining.objectives import objective_module
from emoscale.protocol.orders import make_fold
from emoscale.representations.registry import build_representation
from emoscale.representations.weights.local_checkpoint import LocalCheckpoint
from emoscale.representations.weights.resolving import resolve_checkpoints
from emoscale.runtime.errors import CheckpointError
from emoscale.store.extraction import extract_shard
from emoscale.store.index import FeatureStore, index_shards
from emoscale.tables.parquet import read_table
from emoscale.tables.schemas import EXTRACTION_INPUTS, RECORDINGS
from emoscale.training.cell import train_cell
from emoscale.training.prepared_cell import Cell
from emoscale.training.run_record import CellName
from emoscale.training.saved_run import read_run
from tests.prediction.conftest import SmallStudy
from tests.prediction.test_programs import run_program
from tests.pretraining.test_masked import TINY

SETTINGS: dict[str, dict[str, Any]] = {
    "net": {
        "pretrain": "wav2vec",
        "architecture": {
            "conv_feature_layers": [[8, 10, 5], [8, 8, 4], [8, 4, 2], [8, 4, 2], [8, 4, 2]],
            "conv_aggregator_layers": [[8, 2, 1]],
        },
    },
    "net2": {"pretrain": "wav2vec2", "architecture": TINY},
}
REPRESENTATIONS: dict[str, dict[str, Any]] = {
    "net": {"kind": "wav2vec", "checkpoint": "net", "output": "c"},
    "net2": {"kind": "transformers_audio", "model": "net2", "layer": 1},
}


@dataclass(frozen=True)
class PretrainedStudy:
    """Folder of the results, and the recordings of a test fold."""

    folder: Path
    recordings: list[Path]

    def weights(self, name: str) -> Path:
        settings = parse_settings(CheckpointSettings, {**SETTINGS[name], "steps": 0}, name)
        return self.folder.joinpath("checkpoints", name, settings.weights)

    def run_folder(self, name: str) -> Path:
        return self.folder / "runs" / name / "fold1" / "all"


def write_weights(study: PretrainedStudy, name: str, seed: int) -> None:
    values = {**SETTINGS[name], "steps": 0, "seed": seed}
    settings = parse_settings(CheckpointSettings, values, name)
    module, folder = objective_module(settings.pretrain), study.folder / "checkpoints" / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "model").mkdir(parents=True)
    module.write_model(folder / "model", module.build_network(settings, None), settings)


@pytest.fixture(scope="module")
def trained(small_study: SmallStudy, tmp_path_factory: pytest.TempPathFactory) -> PretrainedStudy:
    study = PretrainedStudy(tmp_path_factory.mktemp("results"), small_study.test_recordings())
    recordings = read_table(small_study.folder / "corpus" / "recordings.parquet", RECORDINGS)
    labels = LabelSettings(classes={name: [name] for name in recordings["emotion"].unique()})
    labelled = add_vote_shares(add_labels(recordings, labels), labels)
    fold = make_fold(labelled, ProtocolSettings(fold_unit="speakers", folds=3, repeats=1), 0, 1)
    rows = recordings.with_columns(
        **{name: pl.lit(None) for name in EXTRACTION_INPUTS.names if name not in recordings.columns}
    ).select(EXTRACTION_INPUTS.names)
    training = {"maximum_steps": 20, "steps_between_evaluations": 10, "batch_size": 8}
    model = {"kind": "pooled", "projection_size": 8}
    for name in SETTINGS:
        write_weights(study, name, seed=1)
        settings = parse_settings(RepresentationSettings, REPRESENTATIONS[name], name)
        checkpoint = LocalCheckpoint(name, study.weights(name), "", f"{name} pre-trained")
        resolved, weights = resolve_checkpoints(settings, [checkpoint])
        shard = study.folder / "features" / name / "00.h5"
        representation = build_representation(resolved)
        extract_shard(rows, small_study.corpus, settings, representation, shard, "code", weights)
        index_shards([shard], shard.with_name("index.parquet"))
        store = FeatureStore(shard.with_name("index.parquet"), None)
        prediction = PredictionSettings(
            audio=AudioChecks(minimum_seconds=0.2),
            pretrained={name: str(study.weights(name))},
            checkpoint_cache=str(study.folder / "no cache"),
        )
        values = {"model": model, "training": training, "seed": 5}
        cell_settings = parse_settings(CellSettings, values, name)
        run = CellName(name, "fold1", "all")
        cell = Cell(run, cell_settings, fold, [store], "code", "protocol", prediction)
        train_cell(cell, study.run_folder(name), torch.device("cpu"))
    return study


@pytest.mark.parametrize("name", SETTINGS)
def test_predictions_are_those_of_the_study(
    trained: PretrainedStudy, tmp_path: Path, name: str
) -> None:
    output = tmp_path / "table.parquet"
    ran = run_program(
        "predict.py", trained.run_folder(name), *trained.recordings, "--output", output
    )
    assert ran.exit_code == 0, ran.stderr
    table = pl.read_parquet(output)
    expected = pl.read_parquet(trained.run_folder(name) / "predictions.parquet").sort("utterance")
    assert [Path(file).stem for file in table["file"]] == expected["utterance"].to_list()
    np.testing.assert_allclose(table["p_high"], expected["p_high"], rtol=0, atol=1e-5)
    assert set(table["pretrained_weights"]) == {f"{name} pre-trained"}
    assert not (trained.folder / "no cache").exists()


@pytest.mark.parametrize("name", SETTINGS)
def test_missing_weights_are_named_and_may_be_elsewhere(
    trained: PretrainedStudy, tmp_path: Path, name: str
) -> None:
    run, weights = trained.run_folder(name), trained.weights(name)
    elsewhere = tmp_path / weights.name
    before = run_program("predict.py", run, trained.recordings[0])
    assert before.exit_code == 0, before.stderr
    weights.rename(elsewhere)
    try:
        ran = run_program("predict.py", run, trained.recordings[0])
        assert ran.exit_code == 1
        assert ran.stderr == (
            f"Error: checkpoints.{name}: {weights}, where the study has pre-trained these weights, "
            f"does not exist; to predict, add --weights {name}=PATH\n"
        )
        ran = run_program(
            "predict.py", run, trained.recordings[0], "--weights", f"{name}={elsewhere}"
        )
        assert ran.exit_code == 0, ran.stderr
        assert ran.stdout == before.stdout
    finally:
        elsewhere.rename(weights)


def test_weights_that_were_trained_again_are_refused(trained: PretrainedStudy) -> None:
    write_weights(trained, "net", seed=2)
    try:
        ran = run_program("predict.py", trained.run_folder("net"), trained.recordings[0])
    finally:
        write_weights(trained, "net", seed=1)
    assert ran.exit_code == 1
    assert "representation net: its weights have sha256" in ran.stderr
    assert "--weights net=PATH" in ran.stderr
    ran = run_program("predict.py", trained.run_folder("net"), trained.recordings[0])
    assert ran.exit_code == 0, ran.stderr


def test_the_names_of_pretrained_weights_are_known(trained: PretrainedStudy) -> None:
    run = read_run(trained.run_folder("net"))
    located = locate_checkpoints(run, {}, None, download=False)
    assert [(each.name, each.path) for each in located] == [("net", trained.weights("net"))]
    with pytest.raises(CheckpointError, match=r"no pre-trained weights other; .* uses: net$"):
        locate_checkpoints(run, {"other": Path("w.pt")}, None, download=False)
