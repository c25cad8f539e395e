"""Self-attention routing as Mazzia et al. 2021 write it: every vote against every other."""

import numpy as np

from tests.reference.dynamic_loop import softmax


def exponential_squash(vector: np.ndarray) -> np.ndarray:
    length = np.sqrt(float(vector @ vector))
    if length == 0:
        return np.zeros_like(vector)
    return (1 - np.exp(-length)) * vector / length


def self_attention_routing(
    votes: np.ndarray, prior: np.ndarray, use: str = "added"
) -> tuple[np.ndarray, np.ndarray]:
    """Poses and their lengths of votes [batch, in, out, out_dim] and prior [out, in]."""
    samples = votes.astype(np.float64)
    poses = np.stack([_one_sample(sample, prior, use) for sample in samples])
    return poses, np.sqrt((poses**2).sum(-1))


def _one_sample(votes: np.ndarray, prior: np.ndarray, use: str) -> np.ndarray:
    lower, higher, dim = votes.shape
    logits = np.zeros((lower, higher))
    for j in range(higher):
        for i in range(lower):
            for k in range(lower):
                logits[i, j] += votes[i, j] @ votes[k, j] / np.sqrt(dim)
    poses = np.zeros((higher, dim))
    for j in range(higher):
        total = np.zeros(dim)
        for i in range(lower):
            if use == "logits":
                coupling = softmax(logits[i] + prior[:, i])[j]
            else:
                coupling = softmax(logits[i])[j] + prior[j, i]
            total = total + coupling * votes[i, j]
        poses[j] = exponential_squash(total)
    return poses
