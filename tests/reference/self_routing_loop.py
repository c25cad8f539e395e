"""Self-routing as Hahn et al. 2019 write it: loops over single numbers."""

import numpy as np

from tests.reference.dynamic_loop import softmax


def self_routing_routing(
    votes: np.ndarray,
    poses: np.ndarray,
    active: np.ndarray,
    route: np.ndarray,
    bias: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Higher poses [batch, out, out_dim] and activations [batch, out].

    Args: votes [batch, in, out, out_dim], lower poses [batch, in, in_dim] and their activations
    [batch, in], route weights [in, out, in_dim], biases [out, in].
    """
    if bias is None:
        bias = np.zeros(route.shape[1::-1])
    results = [
        _one_sample(*sample, route, bias) for sample in zip(votes, poses, active, strict=True)
    ]
    return tuple(np.stack(part) for part in zip(*results, strict=True))


def _one_sample(
    votes: np.ndarray, poses: np.ndarray, active: np.ndarray, route: np.ndarray, bias: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    lower, higher, dim = votes.shape
    higher_poses, activations = np.zeros((higher, dim)), np.zeros(higher)
    for j in range(higher):
        weighted, received = np.zeros(dim), 0.0
        for i in range(lower):
            logits = np.array([route[i, k] @ poses[i] + bias[k, i] for k in range(higher)])
            share = softmax(logits)[j] * active[i]
            weighted = weighted + share * votes[i, j]
            received += share
        higher_poses[j] = weighted / received
        activations[j] = received / active.sum()
    return higher_poses, activations
