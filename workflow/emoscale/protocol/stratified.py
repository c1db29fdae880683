"""Stratified groups of speakers: disjoint groups whose class proportions are as equal as possible.

The objective is that of scikit-learn's StratifiedGroupKFold; a local search improves its greedy
assignment.
"""

from __future__ import annotations

import numpy as np

_RESTARTS = 1000  # divided by the number of speakers: few speakers are hard to balance, and fast
_TOLERANCE = 1e-12


def stratified_groups(counts: np.ndarray, groups: int, seed: int) -> list[list[int]]:
    """Partition speakers into groups of similar class proportions.

    The objective is `imbalance`. scikit-learn's StratifiedGroupKFold assigns the speakers once,
    greedily, those with the most uneven counts first. Here this assignment, and greedy assignments
    in random order, are improved by moving one speaker or swapping two until no step helps; the
    best result is returned.

    Parameters
    ----------
    counts : ndarray
        Utterances per speaker and class, ``[speakers, classes]``.
    groups : int
        Number of groups.
    seed : int
        Seed of the random orders.

    Returns
    -------
    list of list of int
        Row indices of each group, ascending; no group is empty.
    """
    fractions = counts / counts.sum(axis=0)
    speakers = len(fractions)
    generator = np.random.default_rng([seed, 45])
    most_uneven_first = np.argsort(-counts.std(axis=1), kind="stable")
    best, best_cost = np.zeros(speakers, dtype=np.int64), np.inf
    for restart in range(max(1, _RESTARTS // speakers)):
        order = generator.permutation(speakers) if restart else most_uneven_first
        initial = _greedy_assignment(fractions, groups, order)
        group_of = _local_search(initial, fractions, groups)
        cost = imbalance(fractions, group_of, groups)
        if cost < best_cost - _TOLERANCE:
            best, best_cost = group_of, cost
    members = [np.flatnonzero(best == group).tolist() for group in range(groups)]
    return sorted(members)


def imbalance(fractions: np.ndarray, group_of: np.ndarray, groups: int) -> float:
    """Return the sum over groups and classes of (fraction of the class in the group - 1/groups)^2.

    Parameters
    ----------
    fractions : ndarray
        Fraction of each class that each speaker has, ``[speakers, classes]``.
    group_of : ndarray
        Group index of each speaker, ``[speakers]``.
    groups : int
        Number of groups.

    Returns
    -------
    float
        0 if all groups have equal class counts.
    """
    return float(((_group_sums(fractions, group_of, groups) - 1 / groups) ** 2).sum())


def _group_sums(fractions: np.ndarray, group_of: np.ndarray, groups: int) -> np.ndarray:
    sums = np.zeros((groups, fractions.shape[1]))
    np.add.at(sums, group_of, fractions)
    return sums


def _greedy_assignment(fractions: np.ndarray, groups: int, order: np.ndarray) -> np.ndarray:
    """Assign each speaker in turn to the group of the lowest cost; no group stays empty."""
    sums, sizes = np.zeros((groups, fractions.shape[1])), np.zeros(groups, dtype=np.int64)
    group_of = np.zeros(len(fractions), dtype=np.int64)
    for position, speaker in enumerate(order):
        # The sum of squares grows by 2 sums . fraction + fraction^2; the last is equal for all.
        cost = sums @ fractions[speaker]
        if len(order) - position <= (sizes == 0).sum():
            cost = np.where(sizes == 0, cost, np.inf)
        group = int(np.lexsort((sizes, cost))[0])
        group_of[speaker] = group
        sums[group] += fractions[speaker]
        sizes[group] += 1
    return group_of


def _local_search(group_of: np.ndarray, fractions: np.ndarray, groups: int) -> np.ndarray:
    """Move or swap speakers as long as this lowers the imbalance."""
    speakers = len(fractions)
    # A move is a swap with a dummy speaker without utterances: one in each group.
    fractions = np.concatenate([fractions, np.zeros((groups, fractions.shape[1]))])
    group_of = np.concatenate([group_of, np.arange(groups)])
    sums = _group_sums(fractions, group_of, groups)
    improved = True
    while improved:
        improved = False
        for speaker in range(speakers):
            group = group_of[speaker]
            difference = fractions - fractions[speaker]  # what the speaker's group gains
            change = 2 * (difference * (sums[group] - sums[group_of])).sum(axis=1)
            change += 2 * (difference**2).sum(axis=1)
            change[group_of == group] = np.inf
            if (group_of[:speakers] == group).sum() == 1:
                change[speakers:] = np.inf
            partner = int(change.argmin())
            if change[partner] < -_TOLERANCE:
                partner_group = group_of[partner]
                sums[group] += difference[partner]
                sums[partner_group] -= difference[partner]
                group_of[speaker] = partner_group
                if partner < speakers:
                    group_of[partner] = group
                improved = True
    return group_of[:speakers]
