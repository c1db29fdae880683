from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from emoscale.config.models import EstimatorSettings
from emoscale.models.contract import InputShape, PackedFrames
from emoscale.models.estimator import Estimator, GridResult, utterance_vectors
from emoscale.runtime.errors import ConfigurationError, UserError

Method = Literal["linear_svm", "rbf_svm", "logistic"]
METHODS: tuple[Method, ...] = ("linear_svm", "rbf_svm", "logistic")
DIMENSION = 6


def draw_vectors(
    utterances: int, classes: int, seed: int, separation: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, utterances)
    centres = np.random.default_rng(99).normal(size=(classes, DIMENSION)) * separation
    vectors = centres[labels] + random.normal(size=(utterances, DIMENSION))
    vectors = vectors * np.arange(1, DIMENSION + 1) + 3.0
    return vectors.astype(np.float32).astype(np.float64), labels


def fitted(
    method: Method,
    classes: int = 4,
    C: tuple[float, ...] = (0.5,),
    class_weights: bool = True,
    **others: Any,
) -> tuple[Estimator, GridResult]:
    settings = EstimatorSettings(kind="estimator", method=method, C=C)
    estimator = Estimator(settings, [InputShape(DIMENSION)], classes)
    training = others.get("training", draw_vectors(80, classes, 1))
    development = others.get("development", draw_vectors(40, classes, 2))
    result = estimator.fit(
        training[0], training[1], development[0], development[1], class_weights, seed=2**40 + 7
    )
    return estimator, result


def sklearn_pipeline(method: Method, weights: str | None = "balanced") -> Any:
    """Return the same classifier as a pipeline of scikit-learn."""
    classifiers = {
        "linear_svm": LinearSVC(
            C=0.5, class_weight=weights, random_state=(2**40 + 7) % 2**32, max_iter=20_000
        ),
        "rbf_svm": SVC(C=0.5, class_weight=weights, break_ties=True),
        "logistic": LogisticRegression(C=0.5, class_weight=weights, max_iter=20_000),
    }
    return make_pipeline(StandardScaler(), classifiers[method])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("classes", [2, 3, 4])
def test_a_restored_estimator_predicts_as_scikit_learn(
    tmp_path: Path, method: Method, classes: int
) -> None:
    arrays, settings = fitted(method, classes)[0].state()
    save_file(arrays, tmp_path / "model.safetensors")
    settings = json.loads(json.dumps(settings))
    restored = Estimator.from_state(load_file(tmp_path / "model.safetensors"), settings)
    vectors, _ = draw_vectors(200, classes, 3)
    probabilities = restored.probabilities(vectors)
    reference = sklearn_pipeline(method).fit(*draw_vectors(80, classes, 1))
    assert probabilities.sum(axis=1) == pytest.approx(1.0)
    assert (probabilities.argmax(axis=1) == reference.predict(vectors)).all()
    if method == "logistic":
        np.testing.assert_allclose(probabilities, reference.predict_proba(vectors), atol=1e-6)


def test_support_vectors_are_saved_as_they_are_stored() -> None:
    vectors, labels = draw_vectors(80, 3, 1)
    arrays, _ = fitted("rbf_svm", 3)[0].state()
    reference = sklearn_pipeline("rbf_svm").fit(vectors, labels)
    assert arrays["support"].dtype == np.float32
    np.testing.assert_array_equal(arrays["support"], vectors[reference[-1].support_])
    standardised = (arrays["support"] - arrays["mean"]) * arrays["scale"]
    np.testing.assert_allclose(standardised, reference[-1].support_vectors_, rtol=1e-12)


@pytest.mark.parametrize("method", ["linear_svm", "rbf_svm"])
def test_probabilities_of_an_svm_are_calibrated_as_by_scikit_learn(method: Method) -> None:
    estimator, _ = fitted(method, class_weights=False)
    reference = sklearn_pipeline(method, weights=None).fit(*draw_vectors(80, 4, 1))
    calibrated = CalibratedClassifierCV(FrozenEstimator(reference), method="temperature")
    calibrated.fit(*draw_vectors(40, 4, 2))
    vectors, _ = draw_vectors(50, 4, 3)
    actual, expected = estimator.probabilities(vectors), calibrated.predict_proba(vectors)
    np.testing.assert_allclose(actual, expected, atol=2e-3)


def test_C_is_selected_on_the_development_set_and_ties_select_the_smallest() -> None:
    C_values = (10.0, 1e-6, 0.1)
    training, development = (
        draw_vectors(60, 4, 1, separation=0.7),
        draw_vectors(300, 4, 2, separation=0.7),
    )
    result = fitted("rbf_svm", C=C_values, training=training, development=development)[1]
    expected = {}
    for C in C_values:
        estimator, _ = fitted("rbf_svm", C=(C,), training=training)
        predicted = estimator.probabilities(development[0]).argmax(axis=1)
        recalls = [(predicted[development[1] == each] == each).mean() for each in range(4)]
        expected[C] = np.mean(recalls)
    assert result.best_C == max(C_values, key=lambda C: expected[C])
    assert list(result.development_ua) == [1e-6, 0.1, 10.0]
    assert result.development_ua == pytest.approx(expected)
    assert min(expected.values()) < max(expected.values())
    easy = draw_vectors(80, 4, 1, separation=50.0)
    _, result = fitted("logistic", C=(10.0, 0.1, 1.0), training=easy, development=easy)
    assert result.best_C == 0.1


@pytest.mark.parametrize("method", METHODS)
def test_more_dimensions_than_utterances(method: Method) -> None:
    """Linear classifiers are then fitted in the span of the training vectors."""
    random = np.random.default_rng(5)
    projection = random.normal(size=(DIMENSION, 90))

    def wide(utterances: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        vectors, labels = draw_vectors(utterances, 3, seed)
        noise = np.random.default_rng(seed).normal(size=(utterances, 90))
        return vectors @ projection + 3.0 * noise, labels

    estimator, _ = fitted(method, 3, training=wide(40, 1), development=wide(30, 2))
    vectors, _ = wide(200, 3)
    reference = sklearn_pipeline(method).fit(*wide(40, 1))
    predicted = estimator.probabilities(vectors).argmax(axis=1)
    assert (predicted == reference.predict(vectors)).all()


def test_class_weights_raise_the_probability_of_the_rare_class() -> None:
    vectors, labels = draw_vectors(300, 2, 1, separation=0.3)
    selected = (labels == 0) | (np.arange(300) < 40)
    means = [
        fitted(
            "logistic", 2, class_weights=balanced, training=(vectors[selected], labels[selected])
        )[0]
        .probabilities(draw_vectors(200, 2, 3)[0])[:, 1]
        .mean()
        for balanced in (False, True)
    ]
    assert means[1] > means[0] + 0.1


@pytest.mark.parametrize("method", METHODS)
def test_a_class_without_training_utterances_has_probability_0(method: Method) -> None:
    vectors, labels = draw_vectors(80, 4, 1)
    estimator, _ = fitted(method, training=(vectors[labels != 1], labels[labels != 1]))
    probabilities = estimator.probabilities(vectors)
    assert probabilities.shape == (80, 4)
    assert (probabilities[:, 1] == 0).all()
    assert probabilities.sum(axis=1) == pytest.approx(1.0)


def test_fitting_is_deterministic_and_a_constant_dimension_is_allowed() -> None:
    vectors, labels = draw_vectors(80, 4, 1)
    vectors[:, 2] = 5.0
    first, second = (
        fitted("linear_svm", training=(vectors, labels))[0].probabilities(vectors) for _ in range(2)
    )
    assert np.isfinite(first).all()
    assert (first == second).all()


@pytest.mark.parametrize("method", METHODS)
def test_vectors_far_outside_the_training_subset_are_bounded(
    tmp_path: Path, method: Method
) -> None:
    """The bound is a part of the saved classifier; a constant dimension has no effect at all."""
    vectors, labels = draw_vectors(80, 4, 1)
    vectors[:, 2] = 5.0
    settings = EstimatorSettings(kind="estimator", method=method, C=(0.5,))
    estimator = Estimator(settings, [InputShape(DIMENSION)], 4)
    empty = np.empty((0, 0)), np.empty(0, dtype=np.int64)
    estimator.fit(vectors, labels, *empty, class_weights=True, seed=1, feature_clip=3.0)
    arrays, state = estimator.state()
    save_file(arrays, tmp_path / "model.safetensors")
    restored = Estimator.from_state(load_file(tmp_path / "model.safetensors"), state)
    mean, std = vectors.mean(axis=0), vectors.std(axis=0)
    test, _ = draw_vectors(50, 4, 3)
    test[:, 0] *= 1000.0
    test[:, 2] = -1e6
    bounded = np.clip(test, mean - 3.0 * std, mean + 3.0 * std)
    np.testing.assert_allclose(
        restored.probabilities(test), restored.probabilities(bounded), atol=1e-12
    )
    unbounded = Estimator(settings, [InputShape(DIMENSION)], 4)
    unbounded.fit(vectors, labels, *empty, class_weights=True, seed=1)
    assert unbounded.state()[0]["bound"].tolist() == [np.inf]
    assert np.abs(unbounded.probabilities(test) - restored.probabilities(test)).max() > 0.1


def test_errors_of_fitting() -> None:
    vectors, labels = draw_vectors(20, 4, 1)
    with pytest.raises(UserError, match="one class only"):
        fitted("logistic", training=(vectors, np.zeros_like(labels)))
    empty = vectors[:0], labels[:0]
    with pytest.raises(UserError, match=r"no development set .* such as `C: \[0\.01\]`"):
        fitted("logistic", C=(0.1, 1.0), development=empty)
    assert fitted("linear_svm", C=(0.1,), development=empty)[1].best_C == 0.1
    settings = EstimatorSettings(kind="estimator")
    with pytest.raises(ConfigurationError, match="cannot weigh the 13 layers"):
        Estimator(settings, [InputShape(DIMENSION, 13)], 4)


def test_utterance_vectors_have_the_precision_of_float32() -> None:
    frames = torch.rand(9, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for lengths, statistics in (([1] * 9, False), ([4, 5], True)):
        vectors = utterance_vectors(PackedFrames.of(frames, lengths), statistics)
        assert vectors.dtype == np.float64
        np.testing.assert_array_equal(vectors, vectors.astype(np.float32))


def test_utterance_vectors() -> None:
    frames = torch.tensor([[1.0, 0.0], [3.0, 4.0], [7.0, 8.0]])
    assert utterance_vectors(PackedFrames.of(frames, [1, 1, 1]), statistics=False).tolist() == [
        [1.0, 0.0],
        [3.0, 4.0],
        [7.0, 8.0],
    ]
    assert utterance_vectors(PackedFrames.of(frames, [2, 1]), statistics=True).tolist() == [
        [2.0, 2.0, 1.0, 2.0],
        [7.0, 8.0, 0.0, 0.0],
    ]
