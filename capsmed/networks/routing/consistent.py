"""Dynamic routing whose couplings are shared by all capsules of one location."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor

from capsmed.networks.layers.votes import Votes
from capsmed.networks.routing.base import Gradient
from capsmed.networks.routing.dynamic import DynamicRouting


class ConsistentRouting(DynamicRouting):
    r"""Routing by agreement in which the capsules of one grid location move together.

    Mobiny & Van Nguyen 2018 (arXiv 1806.07416): the logits of all types t at a location l are one,

    .. math::
        c_{(t,l)j} = \mathrm{softmax}_j\, b_{lj}, \quad
        v_j = \mathrm{squash} \sum_{t,l} c_{(t,l)j} \hat u_{j|(t,l)}, \quad
        b_{lj} \leftarrow b_{lj} + \sum_t \langle \hat u_{j|(t,l)}, v_j \rangle

    The authors' released code makes all channels of a location one long lower capsule and routes
    those dynamically. The vote of a long capsule is the sum of the votes of its parts, so this is
    the same routing as summing the agreements here; only the squash of the lower capsules
    differs. Their threefold speed is against formed votes, which are not formed here: expect the
    step time of `DynamicRouting`.

    Without a grid each lower capsule is a location of its own, and this is `DynamicRouting`.

    Args:
        in_capsules: number of lower capsules.
        out_capsules: number of higher capsules.
        in_dim: components of a lower capsule.
        out_dim: components of a higher capsule.
        iterations: number of passes.
        gradient: ``"last"`` holds the couplings constant and differentiates the last pass only,
            as the authors' released code does; ``"full"`` differentiates all passes.
        combine: ``"sum"`` adds up the agreements of a location's types, as the released code
            does; ``"mean"`` averages them, for couplings no sharper than those of one capsule.
        bias: add a learned vector to each higher capsule's sum in every pass, starting at 0.1.

    Raises:
        ValueError: ``iterations`` is below 1, or ``gradient`` or ``combine`` is another word.
    """

    reference = "Mobiny & Van Nguyen 2018, Fast CapsNet, arXiv 1806.07416"

    def __init__(
        self,
        in_capsules: int,
        out_capsules: int,
        in_dim: int,
        out_dim: int,
        iterations: int = 3,
        gradient: Gradient = "last",
        combine: Literal["sum", "mean"] = "sum",
        bias: bool = False,
    ) -> None:
        super().__init__(in_capsules, out_capsules, in_dim, out_dim, iterations, gradient, bias)
        if combine not in ("sum", "mean"):
            raise ValueError(f"combine: expected 'sum' or 'mean', got {combine!r}")
        self.combine = combine

    def _attention(self, votes: Votes, poses: Tensor) -> Tensor:
        """Couplings for logits that are each location's agreement, in the place of its types'."""
        if not votes.grid:
            return super()._attention(votes, poses)
        by_type = votes.agreement(poses).unflatten(2, (-1, math.prod(votes.grid)))
        pool = by_type.sum if self.combine == "sum" else by_type.mean
        return votes.share(pool(2, keepdim=True).expand_as(by_type).flatten(2))

    def extra_repr(self) -> str:
        """The settings, for ``print(network)``."""
        return f"{super().extra_repr()}, combine={self.combine!r}"
