"""scikit-learn classifiers of one vector per utterance: the hand-engineered baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.svm import SVC, LinearSVC

from emoscale.config.models import EstimatorSettings
from emoscale.models.contract import InputShape, PackedFrames
from emoscale.models.decision_function import (
    FittedDecision,
    kernel_decision,
    linear_decision,
    standardise,
)
from emoscale.models.layers import inverse_deviation
from emoscale.models.temperature import fit_inverse_temperature
from emoscale.runtime.errors import ConfigurationError, UserError

Vectors = NDArray[np.float64]

_MAXIMUM_ITERATIONS = 20_000


def utterance_vectors(batch: PackedFrames, statistics: bool) -> Vectors:
    """Return one vector per utterance, in float64 with the precision of float32.

    Support vectors are saved in float32. All utterances of a representation must be converted with
    the same value of `statistics`.

    Parameters
    ----------
    batch : PackedFrames
        Frames of utterances.
    statistics : bool
        True: mean and standard deviation over frames. False: the single frame of each utterance.

    Returns
    -------
    array
        ``[utterances, dim]``, or ``[utterances, 2 * dim]`` with `statistics`.
    """
    frames = batch.frames.double()
    if not statistics:
        return frames.float().double().cpu().numpy()
    layout = batch.layout
    mean = layout.mean(frames)
    std = layout.mean((frames - layout.broadcast(mean)).square()).sqrt()
    return torch.cat([mean, std], dim=1).float().double().cpu().numpy()


@dataclass(frozen=True)
class GridResult:
    """Result of the grid search over C, the inverse regularisation strength."""

    best_C: float
    """Value of C with the highest development UA; the smallest of equals."""

    development_ua: dict[float, float | None]
    """Development UA of each value of C, ascending in C; None without a development set."""


class Estimator:
    """Standardisation and a support vector machine or logistic regression.

    It is not a torch module, as it is not trained by steps. After fitting it holds plain arrays,
    which `state` returns, so that it can be saved without pickles.

    Parameters
    ----------
    settings : EstimatorSettings
        Settings of the model.
    input_shapes : sequence of InputShape
        The shape of the only input.
    num_classes : int
        Number of classes.

    Raises
    ------
    ConfigurationError
        If the input has several layers.
    """

    def __init__(
        self, settings: EstimatorSettings, input_shapes: Sequence[InputShape], num_classes: int
    ) -> None:
        (shape,) = input_shapes
        if shape.layers is not None:
            raise ConfigurationError(
                f"a model of the kind estimator cannot weigh the {shape.layers} layers of its "
                "representation; select one of them, as in `wavlm/6`"
            )
        self._settings, self._num_classes = settings, num_classes
        self._decision: FittedDecision | None = None

    def fit(
        self,
        vectors: Vectors,
        labels: NDArray[np.int64],
        development: Vectors,
        development_labels: NDArray[np.int64],
        class_weights: bool,
        seed: int,
        feature_clip: float | None = None,
    ) -> GridResult:
        """Fit with each value of C and keep the classifier with the highest development UA.

        Of equal classifiers the one with the smallest C is kept. Without a development set there
        must be one value of C, and a support vector machine is not calibrated.

        Parameters
        ----------
        vectors : array
            Training vectors, ``[n, dim]``.
        labels : array
            Class index of each training vector, ``[n]``.
        development : array
            Development vectors, ``[m, dim]``; no rows: there is no development set.
        development_labels : array
            Class index of each development vector, ``[m]``.
        class_weights : bool
            Whether classes are weighted inversely to their frequency.
        seed : int
            Seed of the linear SVM's coordinate descent.
        feature_clip : float or None
            Largest absolute value of the standardised vectors; None: no limit.

        Returns
        -------
        GridResult
            The selected value of C and the development UA of each value.

        Raises
        ------
        UserError
            If the training labels are of one class, or if there are several values of C and no
            development set.
        """
        present = np.unique(labels)
        if len(present) < 2:
            raise UserError(
                "the training subset holds utterances of one class only, on which no "
                f"{self._settings.method} can be fitted; use a larger training size"
            )
        if not len(development) and len(self._settings.C) > 1:
            raise UserError(
                "there is no development set on which one of the estimator's values of C could be "
                "selected; set a single one, such as `C: [0.01]`"
            )
        standardisation = _standardisation(vectors, feature_clip)
        standardised = standardise(vectors, *standardisation)
        basis = None
        if self._settings.method != "rbf_svm" and vectors.shape[1] > len(vectors):
            # The weights of a linear classifier are in the span of the training vectors. Fitting
            # in coordinates of that span is equivalent, and much faster for many functionals.
            basis, _ = np.linalg.qr(standardised.T)
            standardised = standardised @ basis
        best: tuple[float, float, Any] | None = None
        development_ua: dict[float, float | None] = {}
        for C in sorted(self._settings.C):
            classifier = self._unfitted(C, standardised, class_weights, seed)
            classifier.fit(standardised, labels)
            ua = 0.0
            if len(development):
                coordinates = standardise(development, *standardisation)
                predicted = classifier.predict(
                    coordinates if basis is None else coordinates @ basis
                )
                ua = _unweighted_accuracy(development_labels, predicted)
            development_ua[C] = ua if len(development) else None
            if best is None or ua > best[0]:
                best = ua, C, classifier
        assert best is not None  # the settings hold at least one value of C
        _, best_C, classifier = best
        preprocessing = *standardisation, present
        if self._settings.method == "rbf_svm":
            self._decision = kernel_decision(classifier, *preprocessing, vectors)
        else:
            self._decision = linear_decision(classifier, *preprocessing, basis)
        if self._settings.method != "logistic" and len(development):
            decision_values = self._decision.decision_function(development)
            factor = fit_inverse_temperature(
                decision_values, development_labels, present, class_weights
            )
            self._decision = self._decision.with_inverse_temperature(factor)
        return GridResult(best_C, development_ua)

    def probabilities(self, vectors: Vectors) -> Vectors:
        """Compute class probabilities.

        Those of a support vector machine are the softmax of its decision values after temperature
        scaling (`emoscale.models.temperature`), so its most probable class is its prediction.

        Parameters
        ----------
        vectors : array
            Vectors, ``[n, dim]``.

        Returns
        -------
        array
            Probabilities, ``[n, classes]``; 0 for a class without a training utterance.
        """
        return self._fitted().probabilities(vectors, self._num_classes)

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return arrays and JSON-serialisable settings from which `from_state` restores it."""
        settings = {
            "settings": self._settings.model_dump(mode="json"),
            "classes": self._num_classes,
        }
        return self._fitted().arrays(), settings

    @classmethod
    def from_state(cls, arrays: dict[str, NDArray[Any]], settings: dict[str, Any]) -> Estimator:
        """Restore a fitted classifier.

        Parameters
        ----------
        arrays : dict of str to array
            The arrays that `state` returned.
        settings : dict of str to Any
            The settings that `state` returned.

        Returns
        -------
        Estimator
            The fitted classifier.
        """
        checked = EstimatorSettings.model_validate(settings["settings"])
        estimator = cls(checked, [InputShape(len(arrays["mean"]))], settings["classes"])
        estimator._decision = FittedDecision(**arrays)
        return estimator

    def _fitted(self) -> FittedDecision:
        if self._decision is None:
            raise RuntimeError("the estimator is not fitted; call fit first")
        return self._decision

    def _unfitted(self, C: float, standardised: Vectors, class_weights: bool, seed: int) -> Any:
        class_weight = "balanced" if class_weights else None
        match self._settings.method:
            case "linear_svm":
                utterances, dimension = standardised.shape
                return LinearSVC(
                    C=C,
                    dual=utterances <= dimension,
                    class_weight=class_weight,
                    random_state=seed % 2**32,
                    max_iter=_MAXIMUM_ITERATIONS,
                )
            case "rbf_svm":
                gamma = 1.0 / (standardised.shape[1] * max(standardised.var(), 1e-12))
                return SVC(C=C, gamma=gamma, class_weight=class_weight, break_ties=True)
            case "logistic":
                return LogisticRegression(
                    C=C, class_weight=class_weight, max_iter=_MAXIMUM_ITERATIONS
                )


def _standardisation(
    vectors: Vectors, feature_clip: float | None
) -> tuple[Vectors, Vectors, Vectors]:
    """Return mean, factor and bound of the standardisation by the training vectors."""
    mean, std = vectors.mean(axis=0), vectors.std(axis=0)
    scale = inverse_deviation(torch.from_numpy(mean), torch.from_numpy(std)).numpy()
    return mean, scale, np.array([np.inf if feature_clip is None else feature_clip])


def _unweighted_accuracy(labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """Return the mean recall over the classes that occur in the labels."""
    return float(recall_score(labels, predicted, labels=np.unique(labels), average="macro"))
