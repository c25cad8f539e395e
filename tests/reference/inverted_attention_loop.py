"""Inverted dot-product attention as procedure 1 of Tsai et al. 2020 writes it."""

import numpy as np

from tests.reference.dynamic_loop import softmax


def layer_norm(vector: np.ndarray, gain: np.ndarray, offset: np.ndarray) -> np.ndarray:
    centred = vector - vector.mean()
    return gain * centred / np.sqrt((centred**2).mean() + 1e-5) + offset


def inverted_attention_routing(
    votes: np.ndarray,
    norm: tuple[np.ndarray, np.ndarray],
    score: tuple[np.ndarray, np.ndarray],
    iterations: int = 2,
    activation: str = "sigmoid",
    scaled: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Poses [batch, out, out_dim] and activations [batch, out].

    Args: votes [batch, in, out, out_dim], gain and offset [out_dim] of the normalisation, weight
    [out_dim] and bias of the activations' linear layer.
    """
    scale = np.sqrt(votes.shape[3]) if scaled else 1.0
    samples = votes.astype(np.float64)
    poses = np.stack([_one_sample(sample, norm, iterations, scale) for sample in samples])
    scores = poses @ score[0] + score[1]
    if activation == "softmax":
        return poses, np.stack([softmax(row) for row in scores])
    return poses, 1 / (1 + np.exp(-scores))


def _one_sample(
    votes: np.ndarray, norm: tuple[np.ndarray, np.ndarray], iterations: int, scale: float
) -> np.ndarray:
    lower, higher, dim = votes.shape
    poses = np.zeros((higher, dim))
    for _ in range(iterations):
        totals = np.zeros((higher, dim))
        for i in range(lower):
            shares = softmax(np.array([poses[j] @ votes[i, j] / scale for j in range(higher)]))
            for j in range(higher):
                totals[j] = totals[j] + shares[j] * votes[i, j]
        poses = np.stack([layer_norm(total, *norm) for total in totals])
    return poses
