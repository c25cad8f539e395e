"""No routing: every lower capsule goes to all higher ones alike."""

from __future__ import annotations

from torch import Tensor

from capsmed.networks.layers.squash import squash_with_lengths
from capsmed.networks.layers.votes import Votes
from capsmed.networks.routing.base import BaseRouting


class UniformRouting(BaseRouting):
    r"""Couplings fixed at one over the number of higher capsules: what routing has to beat.

    .. math:: v_j = \mathrm{squash} \sum_i \hat u_{j|i} / K

    Paik, Kwak & Kim 2019 (arXiv 1907.13327) and Gu, Tresp & Hu 2021 (arXiv 2103.15459) ask for this
    ablation. It equals `DynamicRouting` of one pass.

    Args:
        in_capsules: number of lower capsules.
        out_capsules: number of higher capsules.
        in_dim: components of a lower capsule.
        out_dim: components of a higher capsule.
    """

    normalised_over = "out"
    reference = "the ablation of Paik, Kwak & Kim 2019, arXiv 1907.13327"

    def couplings(self, votes: Votes) -> None:
        """See `BaseRouting.couplings`."""
        return None

    def settle(self, votes: Votes, couplings: Tensor | None) -> tuple[Tensor, Tensor]:
        """See `BaseRouting.settle`."""
        return squash_with_lengths(votes.mix(couplings))
