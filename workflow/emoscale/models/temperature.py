"""Probabilities of scores that are none: one number makes them fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from emoscale.models.decision import softmax

_LARGEST = 100.0  # where scores of all utterances are right, the larger the better


def fitted_temperature(
    scores: NDArray[np.float64],
    labels: NDArray[np.int64],
    present: NDArray[np.int64],
    class_weights: bool,
) -> float:
    """The factor on `scores` [n, k] under whose softmax the labels [n] are likeliest.

    It is the inverse of the temperature of Guo et al. (2017), "On calibration of modern neural
    networks". Utterances of classes that are not `present` [k] have no score and do not count;
    1 where no others are there. With `class_weights` each class weighs the same.

    >>> scores = np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    >>> round(fitted_temperature(scores, np.array([1, 1, 0, 0]), np.array([0, 1]), False), 3)
    1.099

    Three of four are right, and log(3) makes their probability 3/4.
    """
    known = np.isin(labels, present)
    if not known.any():
        return 1.0
    scores, places = scores[known], np.searchsorted(present, labels[known])
    weights = np.ones(len(places))
    if class_weights:
        weights = 1.0 / np.bincount(places)[places]

    def loss(logarithm: float) -> float:
        probabilities = softmax(scores * np.exp(logarithm))[np.arange(len(places)), places]
        return float(-(weights * np.log(np.maximum(probabilities, 1e-300))).sum())

    limit = np.log(_LARGEST)
    found = minimize_scalar(loss, bounds=(-limit, limit), method="bounded", options={"xatol": 1e-8})
    return float(np.exp(found.x))
