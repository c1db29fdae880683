"""Bayesian learning-curve model: posterior curves that fit measured unweighted accuracies (UA)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from emoscale.training.metrics import Floats

_DRAWS = 40_000
"""Weighted curves from which the posterior samples are taken."""

_MAXIMUM_EXPONENT = 3.0
"""With exponent 1, a curve rises from 10 % to 90 % of its height over 81 times the labels."""

_FALLING_PROBABILITY = 0.1
"""Prior probability that a curve falls from one of the measured sizes on."""

_FALL_SCALE = 0.02
"""Mean of the exponential prior of a fall, in UA per doubling of the labels."""

_DISCREPANCY_SCALE = 0.01
"""Scale of the half-normal prior of the model discrepancy: how far true learning curves deviate
from this formula, in the measured range and up to twice the labels. It increases by as much again
for each further doubling."""

_DISCREPANCIES = _DISCREPANCY_SCALE * np.array([0.0, 0.5, 1.0, 2.0, 3.0])


@dataclass(frozen=True)
class LearningCurvePosterior:
    """Posterior samples of UA(n) = chance + (ceiling - chance) / (1 + (middle / n)^exponent).

    A falling curve follows this formula up to a number of labels, its `turn`, and then falls
    linearly in the logarithm of the labels, to chance at most.
    """

    chance: float
    """UA without any labels."""

    ceiling: Floats
    """[samples] limit of the UA for infinitely many labels, without a fall."""

    exponent: Floats
    """[samples] exponent of the power law; 0: a constant curve."""

    log_odds: Floats
    """[samples] logarithm of (UA - chance) / (ceiling - UA) at `labels`, without a fall."""

    turn: Floats
    """[samples] number of labels from which the curve falls; infinite: it rises throughout."""

    fall: Floats
    """[samples] decrease of the UA per doubling of the labels after `turn`; 0: it rises."""

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

    @property
    def falling_fraction(self) -> float:
        """Fraction of the samples that fall at the largest measured size."""
        return float(np.isfinite(self.turn).mean())

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
        rising = np.log(np.minimum(labels, self.turn) / self.labels)
        log_odds = self.log_odds + self.exponent * rising
        highest = self.chance + (self.ceiling - self.chance) / (1 + np.exp(-log_odds))
        fallen = self.fall * np.log2(np.maximum(labels / self.turn, 1.0))
        ua: Floats = np.maximum(highest - fallen, self.chance)
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
        """Compute the smallest number of labels at which each posterior curve reaches a UA.

        A falling curve reaches it before its turn, or never.

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
        needed: Floats = np.where(reachable & (labels <= self.turn), labels, np.inf)
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

    With a prior probability of 0.1 the curve falls from one of the measured sizes on, its turn,
    linearly in the logarithm of the labels; each size but the largest is equally probable. A fall
    by 2 points per doubling is expected (exponential prior).

    The prior is uniform over the UA at the smallest size and at the largest size or turn, and over
    a ceiling between the latter and 1; the exponent is at most 3. Measured points have independent
    normal deviations from the curve, of standard deviation `noise`, and a model discrepancy of
    unknown standard deviation with a half-normal prior of scale 0.01, for curves of other forms.

    The posterior is sampled by importance resampling: curves are drawn near the measured points,
    from Student's t distribution with three degrees of freedom, and drawn again with probabilities
    proportional to the ratio of posterior and proposal.

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
    generator = np.random.default_rng([seed, 53])
    before_last = np.flatnonzero(labels < labels[-1])
    number = np.arange(_DRAWS)
    rises = number % 2 == 0
    turn = np.where(rises, len(labels) - 1, before_last[number // 2 % len(before_last)])
    turns_at_first = turn == 0
    scale = float(np.hypot(noise, _DISCREPANCY_SCALE))
    first, first_weights = _draw_near(ua[0], scale, generator)
    highest, highest_weights = _draw_near(ua[turn], scale, generator)
    last, last_weights = _draw_near(ua[-1], scale, generator)
    # Nothing is measured before a turn at the smallest size: the prior alone describes the rise
    # to it, from a UA at half of this size.
    first = np.where(turns_at_first, chance + (highest - chance) * generator.random(_DRAWS), first)
    first_weights = np.where(turns_at_first, highest - chance, first_weights)
    start = np.where(turns_at_first, labels[0] / 2, labels[0])
    ceiling = highest + (1 - highest) * generator.random(_DRAWS)
    doublings = np.log2(labels[-1] / labels[turn])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        fall = np.where(rises, 0.0, (highest - last) / doublings)
        fall_density = np.exp(-fall / _FALL_SCALE) / (_FALL_SCALE * doublings)
        first_log_odds = np.log((first - chance) / (ceiling - first))
        highest_log_odds = np.log((highest - chance) / (ceiling - highest))
        exponent = (highest_log_odds - first_log_odds) / np.log(labels[turn] / start)
    weights = first_weights * highest_weights * (1 - highest)
    weights *= np.where(
        rises, 1 - _FALLING_PROBABILITY, _FALLING_PROBABILITY * last_weights * fall_density
    )
    possible = (chance < first) & (first <= highest) & (highest < 1) & (fall >= 0)
    possible &= exponent <= _MAXIMUM_EXPONENT
    log_odds = highest_log_odds + exponent * np.log(labels[-1] / labels[turn])
    curves = LearningCurvePosterior(
        chance=chance,
        ceiling=ceiling[possible],
        exponent=exponent[possible],
        log_odds=log_odds[possible],
        turn=np.where(rises, np.inf, labels[turn])[possible],
        fall=fall[possible],
        labels=float(labels[-1]),
        noise=noise,
        model_discrepancy=np.zeros(int(possible.sum())),
        degrees_of_freedom=degrees_of_freedom,
        seed=seed,
    )
    squares = np.sum(
        [
            (measured - curves.expected_ua(size)) ** 2
            for size, measured in zip(labels, ua, strict=True)
        ],
        axis=0,
    )
    variances = noise**2 + _DISCREPANCIES[:, None] ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        log_posterior = (
            np.log(weights[possible])
            - squares / (2 * variances)
            - len(labels) / 2 * np.log(variances)
            - _DISCREPANCIES[:, None] ** 2 / (2 * _DISCREPANCY_SCALE**2)
        )
    log_posterior = np.where(np.isfinite(log_posterior), log_posterior, -np.inf)
    probabilities = np.exp(log_posterior - log_posterior.max()).ravel()  # not normalised
    quantiles = (np.arange(samples) + generator.random()) / samples  # systematic resampling
    chosen = np.searchsorted(np.cumsum(probabilities) / probabilities.sum(), quantiles)
    discrepancy, curve = np.unravel_index(chosen, log_posterior.shape)
    return replace(
        curves,
        ceiling=curves.ceiling[curve],
        exponent=curves.exponent[curve],
        log_odds=curves.log_odds[curve],
        turn=curves.turn[curve],
        fall=curves.fall[curve],
        model_discrepancy=_DISCREPANCIES[discrepancy],
    )


def _draw_near(ua: Floats, scale: float, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw values around measured UA, and return them with the inverses of their densities."""
    deviates = generator.standard_t(3, size=_DRAWS)
    return ua + scale * deviates, scale * np.pi * np.sqrt(3) / 2 * (1 + deviates**2 / 3) ** 2
