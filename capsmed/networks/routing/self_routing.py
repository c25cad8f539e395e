"""Routing without agreement: each lower capsule knows by itself where it belongs."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from capsmed.networks.layers.votes import Votes
from capsmed.networks.routing.base import BaseRouting


class SelfRouting(BaseRouting):
    r"""Couplings from the lower pose by a small linear layer of its own.

    Hahn, Pyeon & Kim 2019 (NeurIPS), a mixture of experts with lower activations a:

    .. math::
        c_{ij} = \mathrm{softmax}_j (u_i W^{route}_i + b_i), \quad
        a_j = \frac{\sum_i c_{ij} a_i}{\sum_i a_i}, \quad
        v_j = \frac{\sum_i c_{ij} a_i \hat u_{j|i}}{\sum_i c_{ij} a_i}

    The activations of the higher capsules sum to one and do not depend on the votes: in the
    layer of the classes, where the paper has no votes, these serve the decoder only. The paper
    trains the logarithm of the activations with cross-entropy; a margin loss works as well.

    In the authors' released code the route weights start at zero, and so the couplings at one over
    the number of higher capsules (``route_scale=0``); behind squashed lower capsules, which are
    short, that trains more slowly, and poses under a batch norm train fastest. Where no
    lower capsule is active, higher activations and poses are zero.

    Args:
        in_capsules: number of lower capsules.
        out_capsules: number of higher capsules.
        in_dim: components of a lower capsule.
        out_dim: components of a higher capsule.
        route_scale: standard deviation of the route weights at the start.
        bias: learn the biases b of the logits, starting at zero; in the authors' released code,
            not in the paper.

    Raises:
        ValueError: ``route_scale`` is negative.
    """

    normalised_over = "in"
    needs_activations = True
    defines_activations = True
    reference = "Hahn, Pyeon & Kim 2019, Self-Routing Capsule Networks, NeurIPS"

    def __init__(
        self,
        in_capsules: int,
        out_capsules: int,
        in_dim: int,
        out_dim: int,
        route_scale: float = 0.3,
        bias: bool = False,
    ) -> None:
        super().__init__(in_capsules, out_capsules, in_dim, out_dim)
        if route_scale < 0:
            raise ValueError(f"route_scale: expected 0 or more, got {route_scale}")
        self.route_scale = route_scale
        self.route = nn.Parameter(route_scale * torch.randn(in_capsules, out_capsules, in_dim))
        self.bias = nn.Parameter(torch.zeros(out_capsules, in_capsules)) if bias else None

    def couplings(self, votes: Votes) -> Tensor:
        """See `BaseRouting.couplings`."""
        dtype = torch.promote_types(self.route.dtype, torch.float32)
        logits = torch.einsum("bid,ijd->bji", votes.poses.to(dtype), self.route.to(dtype))
        return votes.share(logits if self.bias is None else logits + self.bias)

    def settle(self, votes: Votes, couplings: Tensor | None) -> tuple[Tensor, Tensor]:
        """See `BaseRouting.settle`."""
        batch, lower, _ = votes.poses.shape
        if couplings is None:
            couplings = votes.share(self.route.new_zeros(batch, self.out_capsules, lower))
        active = cast(Tensor, votes.activations).to(couplings.dtype).unsqueeze(1)
        received = couplings * active
        poses = votes.mix(_divided(received, received.sum(2, keepdim=True)))
        activations = _divided(received.sum(2), active.sum(2))
        return poses, activations

    def extra_repr(self) -> str:
        """The settings, for ``print(network)``."""
        return f"route_scale={self.route_scale}, bias={self.bias is not None}"


def _divided(part: Tensor, whole: Tensor) -> Tensor:
    """``part / whole``, and ``part`` where the whole is zero: value and gradient stay finite."""
    return part / torch.where(whole > 0, whole, torch.ones_like(whole))
