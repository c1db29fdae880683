"""What a fitted classifier of scikit-learn predicts with, as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Decision:
    """A score of each class from a vector: linear, or by votes of pairs of classes."""

    mean: Array
    """[dimension] of the training vectors."""

    scale: Array
    """[dimension] that centred vectors are divided by."""

    present: NDArray[np.int64]
    """[k] classes that were in the training; scores are in this order."""

    weights: Array
    """[k, dimension]; with a kernel of each pair of classes and support vector."""

    intercepts: Array
    """[k], or of each pair."""

    temperature: Array
    """[1] that scores are multiplied by to become logits."""

    support: Array | None = None
    """[support vectors, dimension] of a machine with a Gaussian kernel, standardised."""

    gamma: Array | None = None
    """[1] of that kernel."""

    def at(self, temperature: float) -> Decision:
        """The same with another temperature."""
        return replace(self, temperature=np.array([temperature]))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every array that there is, by its name here.

        Row by row in memory: safetensors writes an array's bytes as they lie, and scikit-learn's
        weights lie by columns.
        """
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: np.ascontiguousarray(array) for name, array in named.items() if array is not None
        }

    def scores(self, vectors: Array) -> Array:
        """[n, dimension] to [n, k]; the class of the highest is the decision."""
        standardised = (vectors - self.mean) / self.scale
        if self.support is None or self.gamma is None:
            return standardised @ self.weights.T + self.intercepts
        kernel = np.exp(-self.gamma * _square_distances(standardised, self.support))
        return _by_votes(kernel @ self.weights.T + self.intercepts, len(self.present))

    def probabilities(self, vectors: Array, classes: int) -> Array:
        """[n, dimension] to [n, classes]: a softmax; 0 for a class that was not there."""
        probabilities = np.zeros((len(vectors), classes))
        probabilities[:, self.present] = softmax(self.scores(vectors) * self.temperature)
        return probabilities


def linear_decision(
    fitted: Any, mean: Array, scale: Array, present: NDArray[np.int64], basis: Array | None
) -> Decision:
    """Of a `LinearSVC` or `LogisticRegression`.

    `basis` [dimension, n] is of the coordinates that it was fitted in, where these were others. Of
    two classes there are the second one's weights only; the first one's score is then 0.
    """
    weights, intercepts = fitted.coef_, fitted.intercept_
    if basis is not None:
        weights = weights @ basis.T
    if len(present) == 2:
        weights = np.concatenate([np.zeros_like(weights), weights])
        intercepts = np.concatenate([np.zeros_like(intercepts), intercepts])
    return Decision(mean, scale, present, weights, intercepts, np.ones(1))


def kernel_decision(fitted: Any, mean: Array, scale: Array, present: NDArray[np.int64]) -> Decision:
    """Of a fitted `SVC` with a Gaussian kernel and a number for gamma: a machine a pair (i, j).

    A pair's support vectors are those of its classes. Their coefficients stand in row j - 1 for
    those of i, and in row i for those of j (scikit-learn's user guide, "Support vector machines").
    """
    rows, classes = fitted.dual_coef_, len(present)
    pairs = list(combinations(range(classes), 2))
    owner = np.repeat(np.arange(classes), fitted.n_support_)
    weights = np.zeros((len(pairs), len(owner)))
    for place, (first, second) in enumerate(pairs):
        weights[place] = np.where(owner == first, rows[second - 1], 0.0)
        weights[place] += np.where(owner == second, rows[first], 0.0)
    # Of two classes scikit-learn turns the sign round, so that the second one's is positive.
    sign = -1.0 if classes == 2 else 1.0
    return Decision(
        mean,
        scale,
        present,
        sign * weights,
        sign * fitted.intercept_,
        np.ones(1),
        support=fitted.support_vectors_,
        gamma=np.array([fitted.gamma]),
    )


def softmax(logits: Array) -> Array:
    """Over the last axis."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Array = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return shares


def _square_distances(vectors: Array, others: Array) -> Array:
    """[n, m] of [n, dimension] and [m, dimension]."""
    squares = (vectors**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)
    distances: Array = np.maximum(squares - 2.0 * vectors @ others.T, 0.0)
    return distances


def _by_votes(pairs: Array, classes: int) -> Array:
    """[n, pairs] to [n, classes]: votes, and among equals the summed margins (less than 1/3)."""
    votes, margins = np.zeros((2, len(pairs), classes))
    for place, (first, second) in enumerate(combinations(range(classes), 2)):
        margin = pairs[:, place]
        votes[:, first] += margin >= 0
        votes[:, second] += margin < 0
        margins[:, first] += margin
        margins[:, second] -= margin
    scores: Array = votes + margins / (3.0 * (np.abs(margins) + 1.0))
    return scores
