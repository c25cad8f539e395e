"""Capsules whose votes are one ``torch.einsum``: what a careful user writes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from capsmed.networks.layers import CapsuleLinear
from tests.benchmarks.textbook import PASSES, squash


class EinsumCapsules(nn.Module):
    """Fully connected capsules with dynamic routing; W is not copied, the votes are stored.

    Args:
        in_capsules: number of lower capsules.
        out_capsules: number of higher capsules.
        in_dim: components of a lower capsule.
        out_dim: components of a higher capsule.
        last: hold the couplings constant for the gradient, as is usual to save time.
    """

    def __init__(
        self, in_capsules: int, out_capsules: int, in_dim: int, out_dim: int, last: bool = False
    ) -> None:
        super().__init__()
        self.W = nn.Parameter(0.05 * torch.randn(in_capsules, out_capsules, in_dim, out_dim))
        self.last = last

    def take(self, layer: CapsuleLinear) -> None:
        """Copy the weights of capsmed's layer, ``[out, out_dim, in_dim, in]``."""
        with torch.no_grad():
            self.W.copy_(layer.weight.permute(3, 0, 2, 1))

    def gradient(self) -> Tensor:
        """The gradient of W in the axis order of capsmed's weight."""
        assert self.W.grad is not None
        return self.W.grad.permute(1, 3, 2, 0)

    def forward(self, x: Tensor) -> Tensor:
        """Poses ``[batch, out, out_dim]`` of lower capsules ``[batch, in, in_dim]``."""
        votes = torch.einsum("bid,ijde->bije", x, self.W)
        routed = votes.detach() if self.last else votes
        logits = torch.zeros(votes.shape[:3])
        for _ in range(PASSES - 1):
            poses = squash(torch.einsum("bij,bije->bje", logits.softmax(dim=2), routed))
            logits = logits + torch.einsum("bije,bje->bij", routed, poses)
        return squash(torch.einsum("bij,bije->bje", logits.softmax(dim=2), votes))
