"""How UA grows with labels: the curves that fit what was measured, and what they say of more."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emoscale.training.metrics import Floats

_ACCURACIES = 40
"""Values of the UA at either end of the measured range that are tried."""

_CEILINGS = 30
_STEEPEST = 3.0
"""Exponent; at 1 a curve rises from a tenth to nine tenths of its way in 81 times the labels."""

_OWN_WAY = 0.01
"""Scale (half-normal) of how far learning curves stray from any formula, where they were measured
and up to twice the labels; beyond, as much again for each further doubling."""

_STRAYING = _OWN_WAY * np.array([0.0, 0.5, 1.0, 2.0, 3.0])


@dataclass(frozen=True)
class GrowthCurves:
    """Equally likely curves UA(n) = chance + (ceiling - chance) / (1 + (middle / n)^exponent)."""

    chance: float
    """Where the curves begin."""

    ceiling: Floats
    """[curves] what the UA tends to with ever more labels."""

    exponent: Floats
    """[curves]; 0: a constant."""

    odds: Floats
    """[curves] logarithm of (UA - chance) / (ceiling - UA) at `labels`."""

    labels: float

    noise: float
    """Standard deviation of a measured UA around the speakers' own curve."""

    straying: Floats
    """[curves] that of the speakers' own curve around this one, up to twice `labels`."""

    freedom: int
    """Degrees of freedom with which the noise is known."""

    seed: int

    def expected(self, labels: float) -> Floats:
        """[curves] UA of these speakers at a number of labels."""
        odds = self.odds + self.exponent * np.log(labels / self.labels)
        ua: Floats = self.chance + (self.ceiling - self.chance) / (1 + np.exp(-odds))
        return ua

    def measured(self, labels: float) -> Floats:
        """[curves] UA that a training and test there might give: with the noise of measuring."""
        generator = np.random.default_rng([self.seed, 54])
        away = generator.standard_t(self.freedom, size=len(self.straying))
        doublings = max(1.0, float(np.log2(labels / self.labels)))
        deviation = np.hypot(self.noise, self.straying * doublings)
        ua: Floats = self.expected(labels) + deviation * away
        return ua.clip(0.0, 1.0)

    def labels_for(self, ua: float) -> Floats:
        """[curves] labels at which each has a UA; infinite where it never does, 0 for chance."""
        if ua <= self.chance:
            return np.zeros(len(self.ceiling))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            wanted = np.log((ua - self.chance) / (self.ceiling - ua))
            labels = self.labels * np.exp((wanted - self.odds) / self.exponent)
        reachable = (self.ceiling > ua) & ((self.exponent > 0) | (self.odds >= wanted))
        found: Floats = np.where(reachable, labels, np.inf)
        return found


def fit_growth(
    labels: Floats,
    ua: Floats,
    noise: float,
    chance: float,
    freedom: int,
    seed: int = 0,
    curves: int = 4000,
) -> GrowthCurves:
    """Draw curves from the posterior of what was measured at two or more numbers of labels.

    A curve begins at chance, grows as a line over log labels in its middle, and nears its ceiling
    as a power law: ceiling - UA falls as n^-exponent. (It is the estimator M4 of Alabdulmohsin,
    Neyshabur & Zhai, "Revisiting Neural Scaling Laws", 2022, with alpha = 1 and errors of chance at
    no labels.) A power law alone cannot say that a curve still gathers speed.

    All combinations of the UA at the fewest and at the most labels and of a ceiling between the
    latter and 1 are equally likely beforehand, with an exponent of 3 at most. Measured points lie
    around the curve with the standard deviation `noise` (known with so many degrees of `freedom`),
    independently, and with another that is unknown, of about 0.01, for curves that are not of this
    form (`_OWN_WAY`).
    """
    # Guessing gives chance in the mean over studies; one study's luck may lie below it as a whole.
    chance = min(chance, float(ua.min()) - noise)
    steps = np.log(labels / labels[0]) / np.log(labels[-1] / labels[0])
    reach = 5 * float(np.hypot(noise, _OWN_WAY))
    lowest = max(chance, float(ua.min()) - reach)
    highest = min(1.0, max(float(ua.max()) + reach, chance + reach))
    cell = (highest - lowest) / _ACCURACIES
    accuracies = lowest + (np.arange(_ACCURACIES) + 0.5) * cell
    shares = (np.arange(_CEILINGS) + 0.5) / _CEILINGS
    first, last = accuracies[:, None, None], accuracies[None, :, None]
    ceilings = last + (1 - last) * shares
    # Where the first is above the last, or equal to the ceiling, there is no curve.
    with np.errstate(divide="ignore", invalid="ignore"):
        begin = np.log((first - chance) / (ceilings - first))
        end = np.log((last - chance) / (ceilings - last))
        odds = begin[..., None] + (end - begin)[..., None] * steps
        fitted = chance + (ceilings - chance)[..., None] / (1 + np.exp(-odds))
        possible = (first <= last) & (end - begin <= _STEEPEST * np.log(labels[-1] / labels[0]))
        squares = ((ua - fitted) ** 2).sum(axis=-1)
    variances = noise**2 + _STRAYING**2
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithms = (
            -squares[..., None] / (2 * variances)
            - len(labels) / 2 * np.log(variances)
            - _STRAYING**2 / (2 * _OWN_WAY**2)
            + np.log(1 - last)[..., None]
        )
    logarithms = np.where(possible[..., None] & np.isfinite(logarithms), logarithms, -np.inf)
    weights = np.exp(logarithms - logarithms.max()).ravel()
    generator = np.random.default_rng([seed, 53])
    evenly = (np.arange(curves) + generator.random()) / curves
    chosen = np.searchsorted(np.cumsum(weights) / weights.sum(), evenly)
    low, high, part, straying = np.unravel_index(chosen, logarithms.shape)
    # Anywhere within the cell of the grid.
    both = np.stack([accuracies[low], accuracies[high]])
    both = np.sort(both + cell * (generator.random((2, curves)) - 0.5), axis=0)
    share = shares[part] + (generator.random(curves) - 0.5) / _CEILINGS
    ceiling = both[1] + (1 - both[1]) * share
    ends = np.log(np.maximum(both - chance, 1e-9) / (ceiling - both))
    return GrowthCurves(
        chance=chance,
        ceiling=ceiling,
        exponent=(ends[1] - ends[0]) / np.log(labels[-1] / labels[0]),
        odds=ends[1],
        labels=float(labels[-1]),
        noise=noise,
        straying=_STRAYING[straying],
        freedom=freedom,
        seed=seed,
    )
