"""A routing that looks at directions alone."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from capsmed.networks import IterativeRouting, squash
from capsmed.networks.layers import Votes, lengths


class CosineRouting(IterativeRouting):
    """Routing by agreement with the direction of the higher capsule, whatever its length.

    As in `DynamicRouting`, but a vote is compared with the higher capsule's unit vector, so that
    capsules which are long already attract no more than others.

    Args:
        in_capsules: number of lower capsules.
        out_capsules: number of higher capsules.
        in_dim: components of a lower capsule.
        out_dim: components of a higher capsule.
        iterations: number of passes.
        gradient: ``"last"`` differentiates the last pass only, ``"full"`` all of them.
        sharpness: factor on the agreement.
    """

    normalised_over = "out"
    reference = "an example; after Sabour, Frosst & Hinton 2017, arXiv 1710.09829, procedure 1"

    def __init__(
        self,
        in_capsules: int,
        out_capsules: int,
        in_dim: int,
        out_dim: int,
        iterations: int = 3,
        gradient: Literal["last", "full"] = "last",
        sharpness: float = 1.0,
    ) -> None:
        super().__init__(in_capsules, out_capsules, in_dim, out_dim, iterations, gradient)
        self.sharpness = sharpness

    def couplings(self, votes: Votes) -> Tensor | None:
        """See `BaseRouting.couplings`."""
        logits = couplings = None
        for _ in range(self.iterations - 1):
            directions = F.normalize(votes.mix(couplings), dim=-1, eps=1e-6)
            agreement = self.sharpness * votes.agreement(directions)
            logits = agreement if logits is None else logits + agreement
            couplings = votes.share(logits)
        return couplings

    def settle(self, votes: Votes, couplings: Tensor | None) -> tuple[Tensor, Tensor]:
        """See `BaseRouting.settle`."""
        poses = squash(votes.mix(couplings))
        return poses, lengths(poses)
