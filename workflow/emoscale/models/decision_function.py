"""The decision function of a fitted scikit-learn classifier as plain arrays.

A run saves these arrays instead of a pickled classifier.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FittedDecision:
    """Decision function of a linear classifier, or of a kernel SVM (one-vs-one)."""

    mean: Array
    """[dim] mean of the training vectors."""

    scale: Array
    """[dim] factor of the centred vectors; 0 where the training vectors do not vary."""

    bound: Array
    """[1] largest absolute value of the standardised vectors; infinite: no limit."""

    present: NDArray[np.int64]
    """[k] classes of the training utterances, sorted; decision values are in this order."""

    weights: Array
    """[k, dim] of a linear classifier; [pairs of classes, support vectors] of a kernel SVM."""

    intercepts: Array
    """[k] of a linear classifier; [pairs of classes] of a kernel SVM."""

    temperature: Array
    """[1] inverse temperature: decision values are multiplied by it to become logits."""

    support: NDArray[np.float32] | None = None
    """[support vectors, dim] support vectors of a kernel SVM, not standardised: those are half as
    large, because vectors are of float32 (`emoscale.models.estimator.utterance_vectors`)."""

    gamma: Array | None = None
    """[1] coefficient of the Gaussian (RBF) kernel."""

    def with_inverse_temperature(self, factor: float) -> FittedDecision:
        """Return a copy with another inverse temperature.

        Parameters
        ----------
        factor : float
            The inverse temperature.

        Returns
        -------
        FittedDecision
            The copy.
        """
        return replace(self, temperature=np.array([factor]))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all arrays that are set, by field name, in row-major (C) order.

        safetensors writes an array's memory unchanged, and scikit-learn's weights are in
        column-major order.
        """
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: np.ascontiguousarray(array) for name, array in named.items() if array is not None
        }

    def decision_function(self, vectors: Array) -> Array:
        """Compute decision values; the predicted class is that of the highest.

        Parameters
        ----------
        vectors : array
            Vectors, ``[n, dim]``.

        Returns
        -------
        array
            Decision values, ``[n, k]``.
        """
        standardised = standardise(vectors, self.mean, self.scale, self.bound)
        if self.support is None or self.gamma is None:
            return standardised @ self.weights.T + self.intercepts
        support = standardise(self.support, self.mean, self.scale, self.bound)
        kernel = np.exp(-self.gamma * _squared_distances(standardised, support))
        return _ovr_decision_function(kernel @ self.weights.T + self.intercepts, len(self.present))

    def probabilities(self, vectors: Array, num_classes: int) -> Array:
        """Compute probabilities, the softmax of the scaled decision values.

        Parameters
        ----------
        vectors : array
            Vectors, ``[n, dim]``.
        num_classes : int
            Number of classes, including those without a training utterance.

        Returns
        -------
        array
            Probabilities, ``[n, classes]``; 0 for a class without a training utterance.
        """
        probabilities = np.zeros((len(vectors), num_classes))
        logits = self.decision_function(vectors) * self.temperature
        probabilities[:, self.present] = softmax(logits)
        return probabilities


def linear_decision(
    classifier: Any,
    mean: Array,
    scale: Array,
    bound: Array,
    present: NDArray[np.int64],
    basis: Array | None,
) -> FittedDecision:
    """Extract the decision function of a fitted linear classifier.

    Parameters
    ----------
    classifier : LinearSVC or LogisticRegression
        The fitted classifier.
    mean : array
        Mean of the training vectors, ``[dim]``.
    scale : array
        Factor of the centred vectors, ``[dim]``.
    bound : array
        Largest absolute value of the standardised vectors, ``[1]``.
    present : array
        Classes of the training utterances, ``[k]``.
    basis : array or None
        Basis of the coordinates that the classifier was fitted in, ``[dim, coordinates]``;
        None: it was fitted on the standardised vectors.

    Returns
    -------
    FittedDecision
        Its decision function.
    """
    weights, intercepts = classifier.coef_, classifier.intercept_
    if basis is not None:
        weights = weights @ basis.T
    # Of two classes scikit-learn has only the second one's weights; the first one's value is 0.
    if len(present) == 2:
        weights = np.concatenate([np.zeros_like(weights), weights])
        intercepts = np.concatenate([np.zeros_like(intercepts), intercepts])
    return FittedDecision(mean, scale, bound, present, weights, intercepts, np.ones(1))


def kernel_decision(
    classifier: Any,
    mean: Array,
    scale: Array,
    bound: Array,
    present: NDArray[np.int64],
    vectors: Array,
) -> FittedDecision:
    """Extract the decision function of a fitted `SVC` with an RBF kernel, one-vs-one.

    The support vectors of a pair of classes (i, j) are those of both classes. Their dual
    coefficients are in row j - 1 for class i and in row i for class j [1]_.

    Parameters
    ----------
    classifier : SVC
        The fitted classifier; its gamma is a number.
    mean : array
        Mean of the training vectors, ``[dim]``.
    scale : array
        Factor of the centred vectors, ``[dim]``.
    bound : array
        Largest absolute value of the standardised vectors, ``[1]``.
    present : array
        Classes of the training utterances, ``[k]``.
    vectors : array
        Training vectors ``[n, dim]``, before standardisation.

    Returns
    -------
    FittedDecision
        Its decision function.

    References
    ----------
    .. [1] scikit-learn user guide, "Support vector machines", "Multi-class classification".
    """
    dual_coefficients, num_classes = classifier.dual_coef_, len(present)
    pairs = list(combinations(range(num_classes), 2))
    class_of_vector = np.repeat(np.arange(num_classes), classifier.n_support_)
    weights = np.zeros((len(pairs), len(class_of_vector)))
    for pair, (first, second) in enumerate(pairs):
        weights[pair] = np.where(class_of_vector == first, dual_coefficients[second - 1], 0.0)
        weights[pair] += np.where(class_of_vector == second, dual_coefficients[first], 0.0)
    # With two classes scikit-learn inverts the sign, so that the second class is the positive one.
    sign = -1.0 if num_classes == 2 else 1.0
    return FittedDecision(
        mean,
        scale,
        bound,
        present,
        sign * weights,
        sign * classifier.intercept_,
        np.ones(1),
        support=vectors[classifier.support_].astype(np.float32),
        gamma=np.array([classifier.gamma]),
    )


def standardise(vectors: NDArray[np.floating], mean: Array, scale: Array, bound: Array) -> Array:
    """Standardise vectors.

    Parameters
    ----------
    vectors : array
        Vectors, ``[n, dim]``.
    mean : array
        Mean of the training vectors, ``[dim]``.
    scale : array
        Factor of the centred vectors, ``[dim]``.
    bound : array
        Largest absolute value of the result, ``[1]``.

    Returns
    -------
    array
        Standardised vectors, ``[n, dim]``.
    """
    return np.clip((vectors - mean) * scale, -bound, bound)


def softmax(logits: Array) -> Array:
    """Compute the softmax over the last axis.

    Parameters
    ----------
    logits : array
        Logits, ``[..., classes]``.

    Returns
    -------
    array
        Probabilities, of the same shape.
    """
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: Array = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return probabilities


def _squared_distances(vectors: NDArray[np.floating], others: Array) -> Array:
    """Return squared Euclidean distances [n, m] of vectors [n, dim] and [m, dim]."""
    squares = (vectors**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)
    distances: Array = np.maximum(squares - 2.0 * vectors @ others.T, 0.0)
    return distances


def _ovr_decision_function(pair_values: Array, num_classes: int) -> Array:
    """Combine one-vs-one values [n, pairs] to decision values [n, classes].

    As in `sklearn.utils.multiclass`: the votes of the pairs, plus the sum of the margins scaled to
    less than 1/3, which decides between classes with equally many votes.
    """
    votes, margins = np.zeros((2, len(pair_values), num_classes))
    for pair, (first, second) in enumerate(combinations(range(num_classes), 2)):
        margin = pair_values[:, pair]
        votes[:, first] += margin >= 0
        votes[:, second] += margin < 0
        margins[:, first] += margin
        margins[:, second] -= margin
    decision_values: Array = votes + margins / (3.0 * (np.abs(margins) + 1.0))
    return decision_values
