"""Normalisation by speaker and by utterance, in batches and in whole cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from numpy.typing import NDArray

from emoscale.config.models import EstimatorSettings
from emoscale.config.training import CellSettings, Normalisation, TrainingSettings
from emoscale.runtime.errors import ConfigurationError, UserError
from emoscale.store.index import FeatureStore, index_shards
from emoscale.store.shard import ShardHeader
from emoscale.store.speaker_statistics import speaker_statistics_path, write_speaker_statistics
from emoscale.store.writer import write_shard
from emoscale.training.cell import CellSummary, train_cell
from emoscale.training.cell_features import CellFeatures
from emoscale.training.normalisation import input_normalisations
from emoscale.training.prepared_cell import Cell
from tests.training.test_cell import (
    CLASSES,
    DIMENSION,
    FIXED,
    MODEL,
    NAME,
    corpus,
    fold_of,
    predictions_of,
    weights_of,
)

CPU = torch.device("cpu")
ESTIMATOR = EstimatorSettings(kind="estimator", C=(0.01,))
SPEAKERS = dict(corpus().select("utterance", "speaker").iter_rows())
Frames = NDArray[np.float64]


def draw_frames(functionals: bool = False) -> dict[str, Frames]:
    """Return frames of the corpus of test_cell, and of an utterance outside its classes."""
    random = np.random.default_rng(0)
    labels = {**dict(corpus().select("utterance", "label").iter_rows()), "unlabelled": "joy"}
    return {
        key: random.normal(size=(1 if functionals else int(random.integers(3, 9)), DIMENSION))
        + 2.0 * np.eye(DIMENSION)[CLASSES.index(label)]
        for key, label in labels.items()
    }


def write_store(
    folder: Path, frames_of: dict[str, Frames], speaker_of: dict[str, str]
) -> FeatureStore:
    header = ShardHeader('{"kind":"mfcc"}', DIMENSION, 100.0, "code", "rows")
    write_shard(folder / "00.h5", header, list(frames_of), list(frames_of.values()), "float32")
    index_shards([folder / "00.h5"], folder / "index.parquet")
    store = FeatureStore(folder / "index.parquet")
    write_speaker_statistics(store, speaker_of)
    return store


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return write_store(tmp_path / "it", draw_frames(), {**SPEAKERS, "unlabelled": "s0F"})


def features_of(
    store: FeatureStore, keys: list[str], kind: Normalisation, resident: bool = False
) -> CellFeatures:
    normalisations = input_normalisations(kind, [store], keys, CPU)
    return CellFeatures(keys, [store.load(keys)], CPU, normalisations, resident)


def train(
    store: FeatureStore,
    folder: Path,
    kind: Normalisation,
    model: Any = MODEL,
    fold: pl.DataFrame | None = None,
    **training: Any,
) -> CellSummary:
    settings = CellSettings(
        model=model,
        training=FIXED.model_copy(update={"normalisation": kind, **training}),
        seed=3,
    )
    fold = fold_of("unit") if fold is None else fold
    return train_cell(Cell(NAME, settings, fold, [store], "code", "protocol"), folder, CPU)


@pytest.mark.parametrize("resident", [False, True])
def test_batches_and_statistics_of_normalised_frames(store: FeatureStore, resident: bool) -> None:
    """The speaker's statistics are of all its recordings; here only some are in the cell."""
    keys = ["s007", "s000", "s104", "s002"]
    frames_of = draw_frames()
    speaker_of = {**SPEAKERS, "unlabelled": "s0F"}
    expected: dict[str, list[Frames]] = {"speaker": [], "utterance": []}
    for key in keys:
        frames, of_speaker = (
            frames_of[key],
            np.concatenate(
                [frames_of[each] for each in frames_of if speaker_of[each] == speaker_of[key]]
            ),
        )
        for kind, reference in (("speaker", of_speaker), ("utterance", frames)):
            normalised = (frames - reference.mean(axis=0)) / reference.std(axis=0)
            expected[kind].append(normalised)
    kinds: tuple[Normalisation, ...] = ("speaker", "utterance")
    for kind in kinds:
        features = features_of(store, keys, kind, resident)
        (batch,) = features.batch(torch.tensor([2, 0, 3]))
        np.testing.assert_allclose(
            batch.frames, np.concatenate([expected[kind][index] for index in (2, 0, 3)]), atol=1e-5
        )
        mean, std = features.inputs[0].statistics(torch.tensor([0, 2]))
        both = np.concatenate([expected[kind][0], expected[kind][2]])
        np.testing.assert_allclose(mean, both.mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(std, both.std(axis=0), atol=1e-5)


@pytest.mark.parametrize("model", [MODEL, ESTIMATOR], ids=["network", "estimator"])
def test_speakers_with_a_constant_offset_and_gain_are_indistinguishable(
    tmp_path: Path, model: Any
) -> None:
    """Other offsets and gains of the speakers change the predictions, unless by speaker."""
    frames_of = {key: frames for key, frames in draw_frames().items() if key in SPEAKERS}
    distorted = {
        key: frames * (1.0 + int(SPEAKERS[key][1])) + (7.0 if "F" in SPEAKERS[key] else -3.0)
        for key, frames in frames_of.items()
    }
    kinds: tuple[Normalisation, ...] = ("training", "speaker")
    for kind in kinds:
        probabilities = []
        for name, frames in (("plain", frames_of), ("distorted", distorted)):
            store = write_store(tmp_path / kind / name / "it", frames, SPEAKERS)
            train(store, tmp_path / kind / name / "run", kind, model)
            table = predictions_of(tmp_path / kind / name / "run")
            probabilities.append(table.select("^p_.*$").to_numpy())
        difference = np.abs(probabilities[0] - probabilities[1]).max()
        assert difference < 1e-3 if kind == "speaker" else difference > 0.1


def test_functionals_are_normalised_over_the_utterances_of_the_speaker(tmp_path: Path) -> None:
    frames_of = {key: frames for key, frames in draw_frames(True).items() if key in SPEAKERS}
    store = write_store(tmp_path / "it", frames_of, SPEAKERS)
    keys = list(frames_of)
    (batch,) = features_of(store, keys, "speaker").batch(torch.arange(len(keys)))
    vectors, speakers = batch.frames.double().numpy(), np.array([SPEAKERS[key] for key in keys])
    for speaker in set(speakers):
        np.testing.assert_allclose(vectors[speakers == speaker].mean(axis=0), 0.0, atol=1e-6)
        np.testing.assert_allclose(vectors[speakers == speaker].std(axis=0), 1.0, atol=1e-5)
    train(store, tmp_path / "run", "speaker", ESTIMATOR)
    table = predictions_of(tmp_path / "run")
    assert float(np.mean((table["label"] == table["predicted"]).to_numpy())) > 0.6
    with pytest.raises(ConfigurationError, match="it is one vector per utterance, which has no"):
        train(store, tmp_path / "run", "utterance")


def test_a_speaker_with_a_single_vector_is_an_error(tmp_path: Path) -> None:
    frames_of = {key: frames for key, frames in draw_frames(True).items() if key in SPEAKERS}
    store = write_store(tmp_path / "it", frames_of, SPEAKERS | {"s000": "alone"})
    with pytest.raises(UserError, match="the speaker alone has one vector of features only"):
        train(store, tmp_path / "run", "speaker")
    features_of(store, ["s001"], "speaker")  # it is not of this speaker


def test_other_speakers_train_again(store: FeatureStore, tmp_path: Path) -> None:
    """A recording outside the fold is assigned to another speaker, whose statistics change."""
    run = tmp_path / "run"
    assert train(store, run, "speaker") == CellSummary(0, 2, [])
    assert train(store, run, "speaker") == CellSummary(2, 0, [])
    before = weights_of(run)
    write_speaker_statistics(store, {**SPEAKERS, "unlabelled": "s2M"})
    assert train(store, run, "speaker") == CellSummary(0, 2, [])
    assert any(not torch.equal(value, before[name]) for name, value in weights_of(run).items())
    assert train(store, run, "training") == CellSummary(0, 2, [])
    speaker_statistics_path(store.path).unlink()
    assert train(store, run, "training") == CellSummary(2, 0, [])


@pytest.mark.parametrize("model", [MODEL, ESTIMATOR], ids=["network", "estimator"])
def test_the_clip_bounds_every_input_of_the_classifier(
    store: FeatureStore, tmp_path: Path, model: Any
) -> None:
    train(store, tmp_path, "training", model, feature_clip=2.5)
    bounds = [value for name, value in weights_of(tmp_path).items() if name.endswith("bound")]
    assert [float(bound) for bound in bounds] == [2.5, 2.5]
    trained = TrainingSettings(normalisation="speaker", feature_clip=2.5)
    assert TrainingSettings.model_validate(trained.model_dump()) == trained


def test_augmented_batches_are_normalised(store: FeatureStore, tmp_path: Path) -> None:
    """Masked frames take the mean of the normalised training subset."""
    augmentation = TrainingSettings.model_fields["augmentation"].default.model_copy(
        update={"time_mask": 0.5, "mixup": 0.2}
    )
    for kind, largest in (("training", np.inf), ("speaker", 0.3)):
        train(store, tmp_path / kind, kind, augmentation=augmentation)  # type: ignore[arg-type]
        means = [v for name, v in weights_of(tmp_path / kind).items() if name.endswith(".mean")]
        assert max(float(mean.abs().max()) for mean in means) < largest
