"""Dividing cases so that a patient stays whole and every part holds its share of each class."""

from __future__ import annotations

import numpy as np


def deal(
    groups: np.ndarray, targets: np.ndarray, folds: int, rng: np.random.Generator
) -> np.ndarray:
    """The fold of each case: groups are dealt, rarest class first, to the fold that lacks it most.

    Args:
        groups: [n] patient of each case.
        targets: [n] class index of each case.
        folds: how many folds.
        rng: decides the order of equals.

    Returns:
        int array [n]; cases of one group share a fold.
    """
    member, counts, rarest = _groups(groups, targets)
    order = rng.permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(1), kind="stable")]
    frequency = np.bincount(rarest, minlength=counts.shape[1])
    order = order[np.argsort(frequency[rarest[order]], kind="stable")]
    held = np.zeros((folds, counts.shape[1]), dtype=int)
    fold_of = np.zeros(len(counts), dtype=int)
    for group in order:
        fold = np.lexsort((held.sum(1), held[:, rarest[group]]))[0]
        fold_of[group] = fold
        held[fold] += counts[group]
    return fold_of[member]


def draw(
    groups: np.ndarray, targets: np.ndarray, share: float, rng: np.random.Generator
) -> np.ndarray:
    """True for the cases of a stratified random share of the groups; at least one of each class.

    A class with a single group is never drawn.
    """
    member, counts, rarest = _groups(groups, targets)
    drawn = np.zeros(len(counts), dtype=bool)
    for target in range(counts.shape[1]):
        candidates = rng.permutation(np.flatnonzero(rarest == target))
        if len(candidates) > 1:
            wanted = max(1, round(share * len(candidates)))
            drawn[candidates[: min(wanted, len(candidates) - 1)]] = True
    return drawn[member]


def pick(targets: np.ndarray, limit: int, rng: np.random.Generator) -> np.ndarray:
    """Sorted positions of at most ``limit`` cases, each class in its proportion (one at least)."""
    if len(targets) <= limit:
        return np.arange(len(targets))
    ranks = np.empty(len(targets))
    for target in np.unique(targets):
        places = rng.permutation(np.flatnonzero(targets == target))
        # evenly spread ranks in [0, 1): the first ``limit`` then hold every class's share
        ranks[places] = (np.arange(len(places)) + (np.arange(len(places)) > 0) * 0.5) / len(places)
    return np.sort(np.argsort(ranks, kind="stable")[:limit])


def _groups(groups: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group number of each case [n], class counts [groups, classes], rarest class of each group."""
    _, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    counts = np.zeros((member.max() + 1, int(targets.max()) + 1), dtype=int)
    np.add.at(counts, (member, targets), 1)
    frequency = np.where(counts > 0, (counts > 0).sum(0), np.iinfo(int).max)
    return member, counts, frequency.argmin(1)
