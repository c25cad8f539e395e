"""Dynamic routing between capsules, without forming the votes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from capsmed.networks.layers.squash import squash, squash_with_lengths
from capsmed.networks.layers.votes import Votes
from capsmed.networks.routing.base import Gradient, IterativeRouting


class DynamicRouting(IterativeRouting):
    r"""Routing by agreement: a lower capsule prefers the higher one that its vote agrees with.

    Sabour, Frosst & Hinton 2017 (arXiv 1710.09829), procedure 1, with :math:`b_{ij} = 0` first:

    .. math::
        c_{ij} = \mathrm{softmax}_j\, b_{ij}, \quad
        v_j = \mathrm{squash} \sum_i c_{ij} \hat u_{j|i}, \quad
        b_{ij} \leftarrow b_{ij} + \langle \hat u_{j|i}, v_j \rangle

    The last of the ``iterations`` passes makes no update of b. ``iterations=1`` is a uniform sum.
    An agreement is linear in the pose, so b is computed as the agreement with the sum of all
    poses so far, and no logits are kept from pass to pass.

    Args:
        in_capsules: number of lower capsules.
        out_capsules: number of higher capsules.
        in_dim: components of a lower capsule.
        out_dim: components of a higher capsule.
        iterations: number of passes.
        gradient: ``"last"`` holds the couplings constant and differentiates the last pass only;
            ``"full"`` differentiates all passes, as the authors' released code does.
        bias: add a learned vector to each higher capsule's sum in every pass, starting at 0.1;
            in the authors' released code, not in the paper.

    Raises:
        ValueError: ``iterations`` is below 1, or ``gradient`` is another word.
    """

    normalised_over = "out"
    reference = "Sabour, Frosst & Hinton 2017, arXiv 1710.09829, procedure 1"

    def __init__(
        self,
        in_capsules: int,
        out_capsules: int,
        in_dim: int,
        out_dim: int,
        iterations: int = 3,
        gradient: Gradient = "last",
        bias: bool = False,
    ) -> None:
        super().__init__(in_capsules, out_capsules, in_dim, out_dim, iterations, gradient)
        self.bias = nn.Parameter(torch.full((out_capsules, out_dim), 0.1)) if bias else None

    def couplings(self, votes: Votes) -> Tensor | None:
        """See `BaseRouting.couplings`."""
        total = couplings = None
        for _ in range(self.iterations - 1):
            poses = squash(self._sum(votes, couplings))
            total = poses if total is None else total + poses
            couplings = None  # its memory serves the next
            couplings = self._attention(votes, total)
        return couplings

    def settle(self, votes: Votes, couplings: Tensor | None) -> tuple[Tensor, Tensor]:
        """See `BaseRouting.settle`."""
        return squash_with_lengths(self._sum(votes, couplings))

    def _attention(self, votes: Votes, poses: Tensor) -> Tensor:
        """Couplings for logits that are the votes' agreement with ``poses``."""
        return votes.attention(poses)

    def _sum(self, votes: Votes, couplings: Tensor | None) -> Tensor:
        mixed = votes.mix(couplings)
        return mixed if self.bias is None else mixed + self.bias

    def extra_repr(self) -> str:
        """The settings, for ``print(network)``."""
        return f"{super().extra_repr()}, bias={self.bias is not None}"
