"""One pass of self-attention among the votes for each higher capsule."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from capsmed.networks.layers.squash import exponential_squash, lengths
from capsmed.networks.layers.votes import Votes
from capsmed.networks.routing.base import BaseRouting


class SelfAttentionRouting(BaseRouting):
    r"""A vote counts as much as it agrees with all votes for the same higher capsule.

    Mazzia, Salvetti & Chiaberge 2021 (Efficient-CapsNet, arXiv 2101.12491), with D components of
    a higher capsule and a learned prior b:

    .. math::
        c_{ij} = \mathrm{softmax}_j \frac{\sum_k \langle \hat u_{j|i}, \hat u_{j|k} \rangle}
        {\sqrt D}, \quad
        v_j = \mathrm{squash}_e \sum_i (c_{ij} + b_{ij}) \hat u_{j|i}

    where :math:`\mathrm{squash}_e` is `exponential_squash`. The sum over k is the inner product
    with the sum of all votes, so no vote and no table of votes against votes is formed.

    The paper's words call b log priors, which would stand inside the softmax; its equation and
    the authors' released code add b after it, so couplings need not sum to one. The default
    follows these two; ``prior="logits"`` follows the words. The released code's squash and
    lengths have no finite gradient at a zero vector; these have.

    With ``competition="map"`` the sum over k is smaller: in a `CapsuleConv` it weighs each lower
    capsule by one over the number of windows that it lies in, in a `SharedCapsuleConv` by one
    over the number of locations.

    Args:
        in_capsules: number of lower capsules.
        out_capsules: number of higher capsules.
        in_dim: components of a lower capsule.
        out_dim: components of a higher capsule.
        prior: ``"added"`` adds b to the couplings, ``"logits"`` to the softmax's logits.

    Raises:
        ValueError: ``prior`` is another word.
    """

    normalised_over = None
    reference = "Mazzia, Salvetti & Chiaberge 2021, Efficient-CapsNet, arXiv 2101.12491"

    def __init__(
        self,
        in_capsules: int,
        out_capsules: int,
        in_dim: int,
        out_dim: int,
        prior: Literal["added", "logits"] = "added",
    ) -> None:
        super().__init__(in_capsules, out_capsules, in_dim, out_dim)
        if prior not in ("added", "logits"):
            raise ValueError(f"prior: expected 'added' or 'logits', got {prior!r}")
        self.prior_use = prior
        self.prior = nn.Parameter(torch.zeros(out_capsules, in_capsules))

    @property
    def passes(self) -> int:
        """See `BaseRouting.passes`: one sum of all votes, one of the coupled ones."""
        return 2

    def couplings(self, votes: Votes) -> Tensor:
        """See `BaseRouting.couplings`."""
        total = votes.mix(None) * self.out_capsules
        logits = votes.agreement(total) / math.sqrt(self.out_dim)
        if self.prior_use == "logits":
            return votes.share(logits + self.prior)
        return votes.share(logits) + self.prior

    def settle(self, votes: Votes, couplings: Tensor | None) -> tuple[Tensor, Tensor]:
        """See `BaseRouting.settle`."""
        poses = exponential_squash(votes.mix(couplings))
        return poses, lengths(poses)

    def extra_repr(self) -> str:
        """The settings, for ``print(network)``."""
        return f"prior={self.prior_use!r}"
