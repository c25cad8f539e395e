"""Losses of lengths written out: loops over single numbers."""

import numpy as np


def margin_loss(
    lengths: np.ndarray,
    true: np.ndarray,
    weights: np.ndarray,
    focal: float = 0.0,
    m_plus: float = 0.9,
    m_minus: float = 0.1,
    down_weight: float = 0.5,
) -> np.ndarray:
    """One value a sample, of lengths and multi-hot rows [batch, classes]."""
    totals = np.zeros(len(lengths))
    for b, row in enumerate(lengths):
        own = [weights[k] for k in range(len(row)) if true[b, k]]
        for k, length in enumerate(row):
            if true[b, k]:
                violation, largest, weight = m_plus - length, m_plus, weights[k]
            else:
                violation, largest = length - m_minus, 1 - m_minus
                weight = down_weight * (np.mean(own) if own else 1.0)
            if violation > 0:
                totals[b] += weight * (violation / largest) ** focal * violation**2
    return totals


def spread_loss(
    active: np.ndarray, target: np.ndarray, weights: np.ndarray, margin: float
) -> np.ndarray:
    """One value a sample, of activations [batch, classes] and class indices [batch]."""
    totals = np.zeros(len(active))
    for b, t in enumerate(target):
        for i in range(active.shape[1]):
            if i != t:
                totals[b] += weights[t] * max(0.0, margin - (active[b, t] - active[b, i])) ** 2
    return totals


def cross_entropy(
    logits: np.ndarray, target: np.ndarray, weights: np.ndarray, smoothing: float = 0.0
) -> np.ndarray:
    """One value a sample, of logits [batch, classes] and class indices [batch]."""
    totals = np.zeros(len(logits))
    for b, row in enumerate(logits):
        logarithms = row - np.log(np.exp(row).sum())
        for k, logarithm in enumerate(logarithms):
            share = smoothing / len(row) + (1 - smoothing) * (k == target[b])
            totals[b] -= weights[k] * share * logarithm
    return totals
