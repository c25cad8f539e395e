"""Dynamic routing as procedure 1 of Sabour et al. 2017 writes it: loops over single numbers."""

import numpy as np


def squash(vector: np.ndarray) -> np.ndarray:
    squared = float(vector @ vector)
    if squared == 0:
        return np.zeros_like(vector)
    return squared / (1 + squared) * vector / np.sqrt(squared)


def softmax(row: np.ndarray) -> np.ndarray:
    powers = np.exp(row - row.max())
    return powers / powers.sum()


def dynamic_routing(votes: np.ndarray, iterations: int = 3, bias: float = 0.0) -> np.ndarray:
    """Poses [batch, out, out_dim] of votes [batch, in, out, out_dim]."""
    return np.stack([_one_sample(sample, iterations, bias) for sample in votes.astype(np.float64)])


def _one_sample(votes: np.ndarray, iterations: int, bias: float) -> np.ndarray:
    lower, higher, dim = votes.shape
    logits = np.zeros((lower, higher))
    for number in range(iterations):
        couplings = np.array([softmax(logits[i]) for i in range(lower)])
        poses = np.zeros((higher, dim))
        for j in range(higher):
            total = np.full(dim, bias)
            for i in range(lower):
                total = total + couplings[i, j] * votes[i, j]
            poses[j] = squash(total)
        if number < iterations - 1:
            for i in range(lower):
                for j in range(higher):
                    logits[i, j] += votes[i, j] @ poses[j]
    return poses
