"""From a network's scores to probabilities."""

from __future__ import annotations

import torch
from torch import Tensor

#: What scores mean: class logits; capsule lengths of one class a case; lengths of several.
SCORE_KINDS = ("logits", "lengths", "multilabel")


def probabilities(scores: Tensor, kind: str) -> Tensor:
    """Class probabilities of ``scores [batch, classes]``.

    Args:
        scores: what the network gave.
        kind: its ``score_kind``. ``logits``: softmax. ``lengths``: divided by their sum; a softmax
            would squeeze lengths between 0 and 1 towards ``1 / classes``. ``multilabel``: lengths
            as they are.

    Returns:
        ``[batch, classes]``; each row sums to one unless multilabel. All-zero lengths give equal
        probabilities, NaN stays NaN.

    Raises:
        ValueError: ``kind`` is unknown.

    >>> probabilities(torch.tensor([[0.6, 0.2]]), "lengths")
    tensor([[0.7500, 0.2500]])
    """
    if kind == "logits":
        return scores.softmax(dim=-1)
    if kind == "lengths":
        total = scores.sum(dim=-1, keepdim=True)
        shares = scores / total.clamp_min(torch.finfo(scores.dtype).tiny)
        return torch.where(total == 0, torch.full_like(scores, 1 / scores.shape[-1]), shares)
    if kind == "multilabel":
        return scores
    raise ValueError(f"kind: expected one of {list(SCORE_KINDS)}, got {kind!r}")
