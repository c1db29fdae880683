from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from emoscale.audio.conditions import PerturbedReader
from emoscale.config.representations import MfccSettings
from emoscale.config.robustness import WhiteNoise
from emoscale.prediction import perturbed
from emoscale.prediction.perturbed import predict_conditions
from emoscale.representations.registry import build_representation
from emoscale.runtime.errors import StoreError
from emoscale.store.extraction import extract_shard
from emoscale.store.index import FeatureStore, index_shards
from emoscale.store.speaker_statistics import speaker_statistics_path, write_speaker_statistics
from emoscale.tables.parquet import read_table, write_table
from emoscale.tables.schemas import (
    EXTRACTION_INPUTS,
    RECORDINGS,
    SPEAKER_STATISTICS,
    TEXTS,
    perturbed_schema,
)
from emoscale.training.cell_features import CellFeatures
from emoscale.training.saved_run import read_run
from tests.prediction.conftest import MODELS, REPRESENTATIONS, SmallStudy

CPU = torch.device("cpu")


def fold_of(study: SmallStudy) -> pl.DataFrame:
    """Return the test rows of the fold, in the order of the training's predictions."""
    test = study.predictions("pooled").filter(repeat=0).select("utterance", "label")
    return test.with_columns(role=pl.lit("test"))


def clean_stores(study: SmallStudy, experiment: str) -> list[FeatureStore]:
    stores = []
    for reference in MODELS[experiment][0]:
        name, _, layer = reference.partition("/")
        index = study.folder / "features" / name / "index.parquet"
        stores.append(FeatureStore(index, int(layer) if layer else None))
    return stores


def noisy_store(study: SmallStudy, folder: Path, snr_db: float, **settings: int) -> FeatureStore:
    """Extract the corpus's MFCCs in white noise."""
    recordings = read_table(study.folder / "corpus" / "recordings.parquet", RECORDINGS)
    texts = read_table(study.folder / "corpus" / "texts.parquet", TEXTS)
    mfcc_settings = MfccSettings.model_validate({**REPRESENTATIONS["mfcc"], **settings})
    reader = PerturbedReader(WhiteNoise(noise="white", snr_db=snr_db), None, study.corpus)
    path = folder / str(snr_db) / "mfcc" / "00.h5"
    rows = recordings.join(texts, on="utterance").select(EXTRACTION_INPUTS.names)
    representation = build_representation(mfcc_settings)
    extract_shard(
        rows,
        study.corpus,
        mfcc_settings,
        representation,
        path,
        "code",
        waveform_reader=reader,
    )
    index_shards([path], path.with_name("index.parquet"))
    store = FeatureStore(path.with_name("index.parquet"))
    write_speaker_statistics(store, dict(recordings.select("utterance", "speaker").iter_rows()))
    return store


@pytest.mark.parametrize(
    "experiment", ["pooled", "estimator", "late", "aligned_within_words", "late_by_speaker"]
)
def test_predictions_for_clean_audio_are_those_of_the_training(
    small_study: SmallStudy, tmp_path: Path, experiment: str
) -> None:
    run = read_run(small_study.run_folder(experiment))
    clean = clean_stores(small_study, experiment)
    conditions = {
        name: [noisy_store(small_study, tmp_path, snr_db), *clean[1:]]
        for name, snr_db in (("quiet", 200.0), ("loud", -10.0))
    }
    table = predict_conditions(run, fold_of(small_study), clean, conditions, CPU)
    write_table(table, tmp_path / "table.parquet", perturbed_schema(run.classes))
    by_name = {name: table.filter(condition=name) for name in ("clean", "quiet", "loud")}
    assert by_name["clean"].drop("condition").equals(small_study.predictions(experiment))
    differences = {
        name: float((each["p_high"] - by_name["clean"]["p_high"]).abs().max())  # type: ignore[arg-type]
        for name, each in by_name.items()
    }
    assert differences["quiet"] < 5e-3
    assert differences["loud"] > 0.02


def test_perturbed_features_are_normalised_by_the_perturbed_recordings_of_the_speaker(
    small_study: SmallStudy, tmp_path: Path
) -> None:
    run, fold = read_run(small_study.run_folder("estimator_by_speaker")), fold_of(small_study)
    clean = clean_stores(small_study, "estimator")
    noisy = {"noise": [noisy_store(small_study, tmp_path, 0.0)]}
    table = predict_conditions(run, fold, clean, noisy, CPU)
    path = speaker_statistics_path(noisy["noise"][0].path)
    statistics = read_table(path, SPEAKER_STATISTICS)
    tested = statistics.filter(pl.col("utterances").list.contains(fold["utterance"][0]))
    of_all = [0.0] * len(tested["mean"][0])
    other = statistics.with_columns(mean=pl.lit(of_all, dtype=pl.List(pl.Float64)))
    metadata = {"features_sha256": noisy["noise"][0].sha256}
    write_table(other, path, SPEAKER_STATISTICS, metadata)
    shifted = predict_conditions(run, fold, clean, noisy, CPU)
    clean_rows, noisy_rows = (table.filter(condition=name) for name in ("clean", "noise"))
    assert shifted.filter(condition="clean").equals(clean_rows)
    assert not shifted.filter(condition="noise").equals(noisy_rows)
    path.unlink()
    with pytest.raises(StoreError, match=r"speakers\.parquet does not exist; run the step"):
        predict_conditions(run, fold, clean, noisy, CPU)


def test_features_of_one_condition_are_held_at_a_time(
    small_study: SmallStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: weakref.WeakSet[CellFeatures] = weakref.WeakSet()

    class Counted(CellFeatures):
        def __init__(self, *arguments: Any) -> None:
            assert not held
            super().__init__(*arguments)
            held.add(self)

    monkeypatch.setattr(perturbed, "CellFeatures", Counted)
    run = read_run(small_study.run_folder("pooled"))
    clean = clean_stores(small_study, "pooled")
    conditions = {"noise": [noisy_store(small_study, tmp_path, 10.0)]}
    table = predict_conditions(run, fold_of(small_study), clean, conditions, CPU)
    assert table["condition"].unique(maintain_order=True).to_list() == ["clean", "noise"]


def test_perturbed_audio_has_equally_many_frames(small_study: SmallStudy, tmp_path: Path) -> None:
    keys = fold_of(small_study)["utterance"].to_list()
    (clean,) = clean_stores(small_study, "pooled")
    noisy = noisy_store(small_study, tmp_path, 0.0)
    assert (noisy.load(keys).lengths == clean.load(keys).lengths).all()


def test_features_of_other_settings_are_refused(small_study: SmallStudy, tmp_path: Path) -> None:
    run = read_run(small_study.run_folder("pooled"))
    fold, clean = fold_of(small_study), clean_stores(small_study, "pooled")
    other = {"noise": [noisy_store(small_study, tmp_path, 5.0, mel_bands=40)]}
    with pytest.raises(StoreError, match=r"mfcc/index\.parquet: was extracted with other settings"):
        predict_conditions(run, fold, clean, other, CPU)
    noisy = noisy_store(small_study, tmp_path, 5.0)
    noisy.versions = {**noisy.versions, "torch": "1.0"}
    message = (
        r"was extracted with soundfile .*, torch 1\.0.*, but .*mfcc/index\.parquet with soundf"
    )
    with pytest.raises(StoreError, match=message):
        predict_conditions(run, fold, clean, {"noise": [noisy]}, CPU)
    late = clean_stores(small_study, "late")[1:]
    with pytest.raises(StoreError, match="was trained on other features than those"):
        predict_conditions(run, fold, late, {}, CPU)
