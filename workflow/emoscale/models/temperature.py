"""Temperature scaling (Guo et al. 2017).

One scalar, fitted on the development set, calibrates the logits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from emoscale.models.decision_function import softmax

_MAXIMUM_FACTOR = 100.0  # if all utterances are classified correctly, the likelihood has no maximum


def fit_inverse_temperature(
    decision_values: NDArray[np.float64],
    labels: NDArray[np.int64],
    present: NDArray[np.int64],
    class_weights: bool,
) -> float:
    """Fit the factor on the decision values that maximises the likelihood of the labels.

    The factor is the inverse of the temperature of [1]_. Utterances of classes without a decision
    value are ignored; if none remain, the factor is 1.

    Parameters
    ----------
    decision_values : array
        Decision values, ``[utterances, k]``.
    labels : array
        Class index of each utterance, ``[utterances]``.
    present : array
        Classes of the decision values, ``[k]``, sorted.
    class_weights : bool
        Whether utterances are weighted so that all classes have the same total weight.

    Returns
    -------
    float
        The inverse temperature.

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural
       networks", ICML 2017.

    Examples
    --------
    Three of four utterances are classified correctly, and with log(3) the probability of the
    predicted class is 3/4:

    >>> values = np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    >>> labels, present = np.array([1, 1, 0, 0]), np.array([0, 1])
    >>> round(fit_inverse_temperature(values, labels, present, class_weights=False), 3)
    1.099
    """
    known = np.isin(labels, present)
    if not known.any():
        return 1.0
    decision_values, columns = decision_values[known], np.searchsorted(present, labels[known])
    weights = np.ones(len(columns))
    if class_weights:
        weights = 1.0 / np.bincount(columns)[columns]

    def negative_log_likelihood(log_factor: float) -> float:
        probabilities = softmax(decision_values * np.exp(log_factor))
        likelihoods = probabilities[np.arange(len(columns)), columns]
        return float(-(weights * np.log(np.maximum(likelihoods, 1e-300))).sum())

    limit = np.log(_MAXIMUM_FACTOR)
    optimum = minimize_scalar(
        negative_log_likelihood, bounds=(-limit, limit), method="bounded", options={"xatol": 1e-8}
    )
    return float(np.exp(optimum.x))
