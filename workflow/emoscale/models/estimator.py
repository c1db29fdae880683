"""Classifiers of scikit-learn on one vector an utterance: the hand-engineered baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from emoscale.config.models import EstimatorSettings
from emoscale.models.contract import InputShape, PackedFrames
from emoscale.models.decision import Decision, kernel_decision, linear_decision
from emoscale.models.layers import Segments
from emoscale.models.temperature import fitted_temperature
from emoscale.runtime.errors import ConfigurationError, UserError

Vectors = NDArray[np.float64]

_ITERATIONS = 20_000


def utterance_vectors(batch: PackedFrames, statistics: bool) -> Vectors:
    """[utterances, dimension], or [utterances, 2 * dimension] with `statistics`.

    Statistics are mean and standard deviation over frames; without them each utterance is its
    single frame. Which it is must be the same for all utterances of a study's representation.
    """
    frames = batch.frames.double()
    if not statistics:
        return np.asarray(frames.cpu())
    segments = Segments(batch.lengths, frames.device)
    mean = segments.mean(frames)
    deviation = segments.mean((frames - segments.spread(mean)).square()).sqrt()
    return np.concatenate([mean.cpu(), deviation.cpu()], axis=1)


@dataclass(frozen=True)
class Tried:
    """What became of the strengths."""

    chosen: float
    """The one of the highest development UA, the smallest among equals."""

    scores: dict[float, float | None]
    """Development UA of each, by rising strength; None without a development set."""


class Estimator:
    """Standardisation and a support vector machine or logistic regression.

    It is fitted and not trained by steps, so it is no torch module; what predicts is held as plain
    arrays, and `state` gives them out to be kept without pickles.
    """

    def __init__(
        self, settings: EstimatorSettings, inputs: Sequence[InputShape], classes: int
    ) -> None:
        (shape,) = inputs
        if shape.layers is not None:
            raise ConfigurationError(
                f"the kind estimator cannot weigh the {shape.layers} layers of its "
                "representation; name one of them, as in `wavlm/6`"
            )
        self._settings, self._classes = settings, classes
        self._decision: Decision | None = None

    def fit(
        self,
        vectors: Vectors,
        labels: NDArray[np.int64],
        development: Vectors,
        development_labels: NDArray[np.int64],
        class_weights: bool,
        seed: int,
    ) -> Tried:
        """Fit on `vectors` [n, dimension] of the classes `labels` [n], with each strength C.

        The one of the highest development UA is kept, the smallest among equals. With
        `class_weights` every class counts the same, however many utterances it has. Without a
        development set (no row) there is one strength, and nothing to fit probabilities to.

        Raises `UserError` where the training subset is of one class only, and where there are
        strengths to choose from and no development set.
        """
        present = np.unique(labels)
        if len(present) < 2:
            raise UserError(
                "the training subset holds utterances of one class only, from which no "
                f"{self._settings.method} can be fitted; take a larger training size"
            )
        if not len(development) and len(self._settings.C) > 1:
            raise UserError(
                "there is no development set on which one of the estimator's strengths could be "
                "chosen; name a single one, such as `strengths: [0.01]`"
            )
        scaler = StandardScaler().fit(vectors)
        standardised = scaler.transform(vectors)
        basis = None
        if self._settings.method != "rbf_svm" and vectors.shape[1] > len(vectors):
            # Linear weights lie in the span of the training vectors: to look for them in its
            # coordinates is the same, and many times faster for thousands of functionals.
            basis, _ = np.linalg.qr(standardised.T)
            standardised = standardised @ basis
        best: tuple[float, float, Any] | None = None
        tried: dict[float, float | None] = {}
        for strength in sorted(self._settings.C):
            fitted = self._unfitted(strength, standardised, class_weights, seed)
            fitted.fit(standardised, labels)
            score = 0.0
            if len(development):
                seen = scaler.transform(development)
                predicted = fitted.predict(seen if basis is None else seen @ basis)
                score = _unweighted_accuracy(development_labels, predicted)
            tried[strength] = score if len(development) else None
            if best is None or score > best[0]:
                best = score, strength, fitted
        assert best is not None  # the settings name one strength or more
        _, strength, fitted = best
        learned = scaler.mean_, scaler.scale_, present
        if self._settings.method == "rbf_svm":
            self._decision = kernel_decision(fitted, *learned)
        else:
            self._decision = linear_decision(fitted, *learned, basis)
        if self._settings.method != "logistic" and len(development):
            scores = self._decision.scores(development)
            temperature = fitted_temperature(scores, development_labels, present, class_weights)
            self._decision = self._decision.at(temperature)
        return Tried(strength, tried)

    def probabilities(self, vectors: Vectors) -> Vectors:
        """[n, classes] of vectors [n, dimension]; 0 for a class that was not in the training.

        Of logistic regression they are its own. A support vector machine has none: they are the
        softmax of its decision values times one number that is fitted to the development set
        (`emoscale.models.temperature`), so the likeliest class is always the machine's decision.
        """
        return self._fitted().probabilities(vectors, self._classes)

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays, and settings that are JSON, of which `from_state` makes the same classifier."""
        settings = {"settings": self._settings.model_dump(mode="json"), "classes": self._classes}
        return self._fitted().arrays(), settings

    @classmethod
    def from_state(cls, arrays: dict[str, NDArray[Any]], settings: dict[str, Any]) -> Estimator:
        """The fitted classifier that gave this state."""
        checked = EstimatorSettings.model_validate(settings["settings"])
        estimator = cls(checked, [InputShape(len(arrays["mean"]))], settings["classes"])
        estimator._decision = Decision(**arrays)
        return estimator

    def _fitted(self) -> Decision:
        if self._decision is None:
            raise RuntimeError("the estimator is asked before it is fitted")
        return self._decision

    def _unfitted(
        self, strength: float, standardised: Vectors, class_weights: bool, seed: int
    ) -> Any:
        weights = "balanced" if class_weights else None
        match self._settings.method:
            case "linear_svm":
                utterances, dimension = standardised.shape
                return LinearSVC(
                    C=strength,
                    dual=utterances <= dimension,
                    class_weight=weights,
                    random_state=seed % 2**32,
                    max_iter=_ITERATIONS,
                )
            case "rbf_svm":
                gamma = 1.0 / (standardised.shape[1] * max(standardised.var(), 1e-12))
                return SVC(C=strength, gamma=gamma, class_weight=weights, break_ties=True)
            case "logistic":
                return LogisticRegression(C=strength, class_weight=weights, max_iter=_ITERATIONS)


def _unweighted_accuracy(truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """Mean recall over the classes that occur in the truth."""
    return float(recall_score(truth, predicted, labels=np.unique(truth), average="macro"))
