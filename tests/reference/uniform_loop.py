"""Uniform couplings: the mean of the votes over the higher capsules, written out."""

import numpy as np

from tests.reference.dynamic_loop import squash


def uniform_routing(votes: np.ndarray) -> np.ndarray:
    """Poses [batch, out, out_dim] of votes [batch, in, out, out_dim]."""
    batch, lower, higher, dim = votes.shape
    poses = np.zeros((batch, higher, dim))
    for b in range(batch):
        for j in range(higher):
            total = np.zeros(dim)
            for i in range(lower):
                total = total + votes[b, i, j] / higher
            poses[b, j] = squash(total)
    return poses
