"""Dynamic routing between capsules, without forming the votes."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Literal

import torch
from torch import Tensor, nn

from capsmed.networks.layers.squash import squash
from capsmed.networks.layers.votes import Votes, exporting
from capsmed.networks.routing.base import BaseRouting


class DynamicRouting(BaseRouting):
    r"""Routing by agreement: a lower capsule prefers the higher one that its vote agrees with.

    Sabour, Frosst & Hinton 2017 (arXiv 1710.09829), procedure 1, with :math:`b_{ij} = 0` first:

    .. math::
        c_{ij} = \mathrm{softmax}_j\, b_{ij}, \quad
        v_j = \mathrm{squash} \sum_i c_{ij} \hat u_{j|i}, \quad
        b_{ij} \leftarrow b_{ij} + \langle \hat u_{j|i}, v_j \rangle

    The last of the ``iterations`` passes makes no update of b. ``iterations=1`` is a uniform sum.

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

    iterative = True
    normalised_over = "out"
    needs_activations = False

    def __init__(
        self,
        in_capsules: int,
        out_capsules: int,
        in_dim: int,
        out_dim: int,
        iterations: int = 3,
        gradient: Literal["last", "full"] = "last",
        bias: bool = False,
    ) -> None:
        super().__init__(in_capsules, out_capsules, in_dim, out_dim)
        if iterations < 1:
            raise ValueError(f"iterations: expected 1 or more, got {iterations}")
        if gradient not in ("last", "full"):
            raise ValueError(f"gradient: expected 'last' or 'full', got {gradient!r}")
        self.iterations = iterations
        self.gradient = gradient
        self.bias = nn.Parameter(torch.full((out_capsules, out_dim), 0.1)) if bias else None

    def route(self, votes: Votes) -> tuple[Tensor, Tensor]:
        """See `BaseRouting.route`."""
        if self.gradient == "full":
            couplings = self._couplings(votes)
        else:
            # inside an exported graph a change of the gradient mode has no place; detach does
            with nullcontext() if exporting() else torch.no_grad():
                couplings = self._couplings(votes)
            couplings = None if couplings is None else couplings.detach()
        poses = self._pass(votes, couplings)
        return poses, torch.linalg.vector_norm(poses, dim=-1)

    def _couplings(self, votes: Votes) -> Tensor | None:
        """Couplings ``[batch, out, in]`` of the last pass; None means uniform."""
        logits = couplings = None
        for _ in range(self.iterations - 1):
            agreement = votes.agreement(self._pass(votes, couplings))
            logits = agreement if logits is None else logits + agreement
            couplings = logits.softmax(dim=1)
        return couplings

    def _pass(self, votes: Votes, couplings: Tensor | None) -> Tensor:
        mixed = votes.mix(couplings)
        return squash(mixed if self.bias is None else mixed + self.bias)

    def extra_repr(self) -> str:
        """The settings, for ``print(network)``."""
        return (
            f"iterations={self.iterations}, gradient={self.gradient!r}, "
            f"bias={self.bias is not None}"
        )
