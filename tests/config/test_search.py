"""Grid search: the trials of a search grid."""

from __future__ import annotations

from typing import Any

import pytest

from emoscale.config.models import (
    ConvolutionalSettings,
    EstimatorSettings,
    LateFusionSettings,
    PooledSettings,
)
from emoscale.config.search import LARGEST_GRID, trials_of
from emoscale.config.training import AugmentationSettings, TrainingSettings
from emoscale.runtime.errors import ConfigurationError

MODEL = PooledSettings(kind="pooled", projection_size=16)
TRAINING = TrainingSettings(maximum_steps=7, augmentation=AugmentationSettings(time_mask=0.1))


def test_without_a_search_one_trial_has_the_unchanged_settings() -> None:
    (trial,) = trials_of(MODEL, TRAINING, {})
    assert (trial.number, trial.choices) == (0, {})
    assert (trial.model, trial.training) == (MODEL, TRAINING)


def test_the_last_key_varies_fastest() -> None:
    search = {"training.learning_rate": [0.1, 0.01], "model.dropout": [0.0, 0.2, 0.4]}
    trials = trials_of(MODEL, TRAINING, search)
    assert [trial.number for trial in trials] == list(range(6))
    pairs = [(rate, dropout) for rate in (0.1, 0.01) for dropout in (0.0, 0.2, 0.4)]
    for trial, (rate, dropout) in zip(trials, pairs, strict=True):
        assert trial.choices == {"training.learning_rate": rate, "model.dropout": dropout}
        assert list(trial.choices) == list(search)
        assert trial.training == TRAINING.model_copy(update={"learning_rate": rate})
        assert trial.model == MODEL.model_copy(update={"dropout": dropout})


def test_values_keep_the_order_of_the_configuration() -> None:
    trials = trials_of(MODEL, TRAINING, {"model.projection_size": [64, 8, 32]})
    assert [trial.model.projection_size for trial in trials] == [64, 8, 32]


def test_nested_settings() -> None:
    trials = trials_of(MODEL, TRAINING, {"training.augmentation.mixup": [0.0, 0.3]})
    assert [trial.training.augmentation for trial in trials] == [
        AugmentationSettings(time_mask=0.1),
        AugmentationSettings(time_mask=0.1, mixup=0.3),
    ]
    assert TRAINING.augmentation.mixup == 0.0


def test_lists_and_nulls_are_values() -> None:
    model = ConvolutionalSettings(kind="convolutional")
    search: dict[str, list[Any]] = {
        "model.layers": [[[8, 1]], [[8, 3], [4, 1]]],
        "model.hidden_size": [None, 16],
    }
    trials = trials_of(model, TRAINING, search)
    assert [(trial.model.layers, trial.model.hidden_size) for trial in trials] == [
        (((8, 1),), None),
        (((8, 1),), 16),
        (((8, 3), (4, 1)), None),
        (((8, 3), (4, 1)), 16),
    ]


def test_estimator_settings() -> None:
    model = EstimatorSettings(kind="estimator")
    trials = trials_of(model, TRAINING, {"model.method": ["linear_svm", "rbf_svm"]})
    assert [trial.model.method for trial in trials] == ["linear_svm", "rbf_svm"]


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (
            {"model.projection_sise": [1]},
            r"search\.model\.projection_sise is no setting .* one of model\.projection_size,",
        ),
        ({"widht": [1]}, r"search\.widht is no setting"),
        ({"model": [{}]}, r"search\.model is no setting"),
        ({"": [1]}, r"search\. is no setting"),
        ({"data.projection_size": [1]}, r"search\.data\.projection_size is no setting"),
        (
            {"model.projection_size.more": [1]},
            r"search\.model\.projection_size\.more is no setting",
        ),
        ({"training.augmentation.mixp": [1]}, r"augmentation\.mixp is no setting"),
        ({"model.kind": ["pooled"]}, r"search\.model\.kind is no setting"),
        (
            {"model.projection_size": []},
            r"search\.model\.projection_size must list one or more different values",
        ),
        (
            {"model.projection_size": [8, 8]},
            r"search\.model\.projection_size must list one or more different values",
        ),
        (
            {"model.projection_size": [0]},
            r"search: model.*projection_size.*greater than or equal to 1",
        ),
        ({"model.pooling": ["median"]}, r"search: model.*pooling"),
        ({"training.learning_rate": [-1.0]}, r"search: training.*learning_rate.*greater than 0"),
        ({"training.augmentation": [{"mixup": "a"}]}, r"search: training.*augmentation\.mixup"),
    ],
)
def test_mistakes_are_reported(search: dict[str, list[Any]], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        trials_of(MODEL, TRAINING, search)


def test_the_kind_is_not_among_the_suggestions() -> None:
    with pytest.raises(ConfigurationError) as raised:
        trials_of(MODEL, TRAINING, {"model.projection_sise": [1]})
    assert "model.kind" not in str(raised.value)
    assert "training.learning_rate" in str(raised.value)


def test_fusion_branches_are_searched_as_a_list() -> None:
    branch = PooledSettings(kind="pooled", projection_size=4)
    model = LateFusionSettings(kind="late_fusion", branches=(branch, branch))
    with pytest.raises(
        ConfigurationError, match=r"search\.model\.branches\.0\.projection_size is no setting"
    ):
        trials_of(model, TRAINING, {"model.branches.0.projection_size": [4, 8]})
    branch_lists = [
        [{"kind": "pooled", "projection_size": w}, {"kind": "pooled", "projection_size": 4}]
        for w in (4, 8)
    ]
    trials = trials_of(model, TRAINING, {"model.branches": branch_lists})
    assert [trial.model.branches[0].projection_size for trial in trials] == [4, 8]


def test_a_too_large_grid_is_refused() -> None:
    rates = [10.0**-power for power in range(1, 9)]
    widths = list(range(1, 9))
    search: dict[str, list[Any]] = {
        "training.learning_rate": rates,
        "model.projection_size": widths,
    }
    assert len(trials_of(MODEL, TRAINING, search)) == LARGEST_GRID == 64
    with pytest.raises(ConfigurationError, match="search has 72 combinations, more than 64"):
        trials_of(MODEL, TRAINING, {**search, "model.projection_size": [*widths, 9]})
