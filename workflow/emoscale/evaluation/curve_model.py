"""Bayesian learning-curve model: posterior curves that fit measured unweighted accuracies (UA)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emoscale.training.metrics import Floats

_UA_GRID_POINTS = 40
"""Grid points of the UA at the smallest size, and as many of that at the largest."""

_CEILING_GRID_POINTS = 30

_MAXIMUM_EXPONENT = 3.0
"""With exponent 1, a curve rises from 10 % to 90 % of its height over 81 times the labels."""

_DISCREPANCY_SCALE = 0.01
"""Scale of the half-normal prior of the model discrepancy: how far true learning curves deviate
from this formula, in the measured range and up to twice the labels. It increases by as much again
for each further doubling."""

_DISCREPANCIES = _DISCREPANCY_SCALE * np.array([0.0, 0.5, 1.0, 2.0, 3.0])


@dataclass(frozen=True)
class LearningCurvePosterior:
    """Posterior samples of UA(n) = chance + (ceiling - chance) / (1 + (middle / n)^exponent)."""

    chance: float
    """UA without any labels."""

    ceiling: Floats
    """[samples] limit of the UA for infinitely many labels."""

    exponent: Floats
    """[samples] exponent of the power law; 0: a constant curve."""

    log_odds: Floats
    """[samples] logarithm of (UA - chance) / (ceiling - UA) at `labels`."""

    labels: float
    """Number of labels at the largest measured size."""

    noise: float
    """Standard deviation of a measured UA around the true curve of the tested speakers."""

    model_discrepancy: Floats
    """[samples] standard deviation of the true curve around this one, up to twice `labels`."""

    degrees_of_freedom: int
    """Degrees of freedom of the estimate of `noise`."""

    seed: int
    """Seed of the predictive distribution."""

    def expected_ua(self, labels: float) -> Floats:
        """Compute the expected UA of the tested speakers at a number of labels.

        Parameters
        ----------
        labels : float
            Number of training labels.

        Returns
        -------
        ndarray
            Unweighted accuracies ``[samples]``.
        """
        log_odds = self.log_odds + self.exponent * np.log(labels / self.labels)
        ua: Floats = self.chance + (self.ceiling - self.chance) / (1 + np.exp(-log_odds))
        return ua

    def predictive_ua(self, labels: float) -> Floats:
        """Sample the UA that would be measured at a number of labels.

        The samples include the measurement noise and the model discrepancy.

        Parameters
        ----------
        labels : float
            Number of training labels.

        Returns
        -------
        ndarray
            Unweighted accuracies ``[samples]``, 0 to 1.
        """
        generator = np.random.default_rng([self.seed, 54])
        deviates = generator.standard_t(self.degrees_of_freedom, size=len(self.model_discrepancy))
        doublings = max(1.0, float(np.log2(labels / self.labels)))
        deviation = np.hypot(self.noise, self.model_discrepancy * doublings)
        ua: Floats = self.expected_ua(labels) + deviation * deviates
        return ua.clip(0.0, 1.0)

    def labels_for(self, ua: float) -> Floats:
        """Compute the number of labels at which each posterior curve reaches a UA.

        Parameters
        ----------
        ua : float
            The unweighted accuracy to reach, 0 to 1.

        Returns
        -------
        ndarray
            Numbers of labels ``[samples]``; infinite where the curve never reaches the UA, 0 where
            the UA is chance or less.
        """
        if ua <= self.chance:
            return np.zeros(len(self.ceiling))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            target = np.log((ua - self.chance) / (self.ceiling - ua))
            labels = self.labels * np.exp((target - self.log_odds) / self.exponent)
        reachable = (self.ceiling > ua) & ((self.exponent > 0) | (self.log_odds >= target))
        needed: Floats = np.where(reachable, labels, np.inf)
        return needed


def fit_learning_curve(
    labels: Floats,
    ua: Floats,
    noise: float,
    chance: float,
    degrees_of_freedom: int,
    seed: int = 0,
    samples: int = 4000,
) -> LearningCurvePosterior:
    """Sample learning curves from the posterior, given UA at two or more numbers of labels.

    A curve begins at chance, is linear in the logarithm of the labels in its middle, and approaches
    its ceiling as a power law: ceiling - UA decreases as n^-exponent. This is the estimator M4 of
    Alabdulmohsin et al. with alpha = 1 and the error of chance at no labels. A power law alone
    cannot describe a curve whose slope still increases.

    The prior is uniform over the UA at the smallest and at the largest size and over a ceiling
    between the latter and 1; the exponent is at most 3. Measured points have independent normal
    deviations from the curve, of standard deviation `noise`, and a model discrepancy of unknown
    standard deviation with a half-normal prior of scale 0.01, for curves of other forms.

    Parameters
    ----------
    labels : ndarray
        Numbers of labels ``[sizes]``, increasing.
    ua : ndarray
        Measured unweighted accuracies ``[sizes]``, 0 to 1.
    noise : float
        Standard deviation of a measured UA.
    chance : float
        UA of chance, 0 to 1.
    degrees_of_freedom : int
        Degrees of freedom of the estimate of `noise`.
    seed : int
        Seed of the random generator.
    samples : int
        Number of posterior samples.

    Returns
    -------
    LearningCurvePosterior
        The posterior samples.

    References
    ----------
    Alabdulmohsin, Neyshabur & Zhai, "Revisiting Neural Scaling Laws", 2022.
    """
    # Chance is the expected UA without knowledge; all UA of one study may by chance be lower.
    chance = min(chance, float(ua.min()) - noise)
    steps = np.log(labels / labels[0]) / np.log(labels[-1] / labels[0])
    margin = 5 * float(np.hypot(noise, _DISCREPANCY_SCALE))
    lowest = max(chance, float(ua.min()) - margin)
    highest = min(1.0, max(float(ua.max()) + margin, chance + margin))
    spacing = (highest - lowest) / _UA_GRID_POINTS
    ua_grid = lowest + (np.arange(_UA_GRID_POINTS) + 0.5) * spacing
    ceiling_grid = (np.arange(_CEILING_GRID_POINTS) + 0.5) / _CEILING_GRID_POINTS
    first, last = ua_grid[:, None, None], ua_grid[None, :, None]
    ceilings = last + (1 - last) * ceiling_grid
    # There is no curve where the first UA is above the last, or equal to the ceiling.
    with np.errstate(divide="ignore", invalid="ignore"):
        first_log_odds = np.log((first - chance) / (ceilings - first))
        last_log_odds = np.log((last - chance) / (ceilings - last))
        log_odds = first_log_odds[..., None] + (last_log_odds - first_log_odds)[..., None] * steps
        fitted = chance + (ceilings - chance)[..., None] / (1 + np.exp(-log_odds))
        possible = (first <= last) & (
            last_log_odds - first_log_odds <= _MAXIMUM_EXPONENT * np.log(labels[-1] / labels[0])
        )
        squares = ((ua - fitted) ** 2).sum(axis=-1)
    variances = noise**2 + _DISCREPANCIES**2
    with np.errstate(divide="ignore", invalid="ignore"):
        log_posterior = (
            -squares[..., None] / (2 * variances)
            - len(labels) / 2 * np.log(variances)
            - _DISCREPANCIES**2 / (2 * _DISCREPANCY_SCALE**2)
            + np.log(1 - last)[..., None]
        )
    log_posterior = np.where(
        possible[..., None] & np.isfinite(log_posterior), log_posterior, -np.inf
    )
    probabilities = np.exp(log_posterior - log_posterior.max()).ravel()  # not normalised
    generator = np.random.default_rng([seed, 53])
    quantiles = (np.arange(samples) + generator.random()) / samples  # systematic resampling
    chosen = np.searchsorted(np.cumsum(probabilities) / probabilities.sum(), quantiles)
    low, high, ceiling_index, discrepancy_index = np.unravel_index(chosen, log_posterior.shape)
    # Samples are uniform within their grid cell.
    ends = np.stack([ua_grid[low], ua_grid[high]])
    ends = np.sort(ends + spacing * (generator.random((2, samples)) - 0.5), axis=0)
    height = ceiling_grid[ceiling_index] + (generator.random(samples) - 0.5) / _CEILING_GRID_POINTS
    ceiling = ends[1] + (1 - ends[1]) * height
    ends_log_odds = np.log(np.maximum(ends - chance, 1e-9) / (ceiling - ends))
    return LearningCurvePosterior(
        chance=chance,
        ceiling=ceiling,
        exponent=(ends_log_odds[1] - ends_log_odds[0]) / np.log(labels[-1] / labels[0]),
        log_odds=ends_log_odds[1],
        labels=float(labels[-1]),
        noise=noise,
        model_discrepancy=_DISCREPANCIES[discrepancy_index],
        degrees_of_freedom=degrees_of_freedom,
        seed=seed,
    )
