"""Consistent routing as Mobiny & Van Nguyen 2018 describe it: loops over single numbers."""

import numpy as np

from tests.reference.dynamic_loop import softmax, squash


def consistent_routing(
    votes: np.ndarray,
    locations: int,
    iterations: int = 3,
    combine: str = "sum",
    bias: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Poses [batch, out, out_dim] and their lengths of votes [batch, in, out, out_dim].

    Lower capsule number ``t * locations + l`` is the one of type t at location l.
    """
    settings = (locations, iterations, combine, bias)
    poses = np.stack([_one_sample(sample, *settings) for sample in votes.astype(np.float64)])
    return poses, np.sqrt((poses**2).sum(-1))


def _one_sample(
    votes: np.ndarray, locations: int, iterations: int, combine: str, bias: float
) -> np.ndarray:
    lower, higher, dim = votes.shape
    types = lower // locations
    logits = np.zeros((locations, higher))
    for number in range(iterations):
        poses = np.zeros((higher, dim))
        for j in range(higher):
            total = np.full(dim, bias)
            for t in range(types):
                for place in range(locations):
                    coupling = softmax(logits[place])[j]
                    total = total + coupling * votes[t * locations + place, j]
            poses[j] = squash(total)
        if number < iterations - 1:
            for place in range(locations):
                for j in range(higher):
                    agreements = [votes[t * locations + place, j] @ poses[j] for t in range(types)]
                    logits[place, j] += sum(agreements) / (types if combine == "mean" else 1)
    return poses
