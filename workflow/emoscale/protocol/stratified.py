"""Deals whole speakers to groups whose shares of the classes are as even as can be."""

from __future__ import annotations

import numpy as np

_STARTS = 1000  # divided by the number of speakers: few speakers are hard to deal, and quick
_ENOUGH = 1e-12


def even_groups(counts: np.ndarray, groups: int, seed: int) -> list[list[int]]:
    """Groups of the rows of `counts` [speakers, classes], each by rising row, none empty.

    What is made small is the sum, over groups and classes, of the squared difference between the
    share of the class's utterances that the group has and an even share: the measure of
    scikit-learn's StratifiedGroupKFold, which deals the speakers once, those of the most uneven
    counts first. Here that deal, and others in random order, are improved by moving a speaker or
    exchanging two until none of that helps; the best is taken. `seed` draws the orders.
    """
    shares = counts / counts.sum(axis=0)
    speakers = len(shares)
    generator = np.random.default_rng([seed, 45])
    uneven = np.argsort(-counts.std(axis=1), kind="stable")
    best, best_cost = np.zeros(speakers, dtype=np.int64), np.inf
    for start in range(max(1, _STARTS // speakers)):
        order = generator.permutation(speakers) if start else uneven
        group_of = _improved(_dealt(shares, groups, order), shares, groups)
        cost = unevenness(shares, group_of, groups)
        if cost < best_cost - _ENOUGH:
            best, best_cost = group_of, cost
    members = [np.flatnonzero(best == group).tolist() for group in range(groups)]
    return sorted(members)


def unevenness(shares: np.ndarray, group_of: np.ndarray, groups: int) -> float:
    """Sum over groups and classes of (share of the group - 1/groups) squared.

    `shares` [speakers, classes]: each speaker's share of a class; `group_of` [speakers]: its group.
    """
    return float(((_sums(shares, group_of, groups) - 1 / groups) ** 2).sum())


def _sums(shares: np.ndarray, group_of: np.ndarray, groups: int) -> np.ndarray:
    sums = np.zeros((groups, shares.shape[1]))
    np.add.at(sums, group_of, shares)
    return sums


def _dealt(shares: np.ndarray, groups: int, order: np.ndarray) -> np.ndarray:
    """Each speaker in turn goes where it costs least; no group stays empty."""
    sums, sizes = np.zeros((groups, shares.shape[1])), np.zeros(groups, dtype=np.int64)
    group_of = np.zeros(len(shares), dtype=np.int64)
    for place, speaker in enumerate(order):
        # The sum of squares grows by 2 sums . share + share^2, the last the same for all groups.
        cost = sums @ shares[speaker]
        if len(order) - place <= (sizes == 0).sum():
            cost = np.where(sizes == 0, cost, np.inf)
        group = int(np.lexsort((sizes, cost))[0])
        group_of[speaker] = group
        sums[group] += shares[speaker]
        sizes[group] += 1
    return group_of


def _improved(group_of: np.ndarray, shares: np.ndarray, groups: int) -> np.ndarray:
    """The same groups after every move or exchange of speakers that makes them more even."""
    speakers = len(shares)
    # A move is an exchange with nobody: one in each group, who has no utterance.
    shares = np.concatenate([shares, np.zeros((groups, shares.shape[1]))])
    group_of = np.concatenate([group_of, np.arange(groups)])
    sums = _sums(shares, group_of, groups)
    better = True
    while better:
        better = False
        for speaker in range(speakers):
            own = group_of[speaker]
            difference = shares - shares[speaker]  # what the own group gains
            change = 2 * (difference * (sums[own] - sums[group_of])).sum(axis=1)
            change += 2 * (difference**2).sum(axis=1)
            change[group_of == own] = np.inf
            if (group_of[:speakers] == own).sum() == 1:
                change[speakers:] = np.inf
            other = int(change.argmin())
            if change[other] < -_ENOUGH:
                theirs = group_of[other]
                sums[own] += difference[other]
                sums[theirs] -= difference[other]
                group_of[speaker] = theirs
                if other < speakers:
                    group_of[other] = own
                better = True
    return group_of[:speakers]
