"""Inverted dot-product attention: higher capsules compete for each vote."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from capsmed.networks.layers.votes import Votes
from capsmed.networks.routing.base import Gradient, IterativeRouting


class InvertedAttentionRouting(IterativeRouting):
    r"""Attention whose softmax runs over those who ask, the higher capsules.

    Tsai, Srivastava, Goh & Salakhutdinov 2020 (arXiv 2002.04764), procedure 1, with higher poses
    p = 0 first, and so uniform couplings in the first pass:

    .. math::
        r_{ij} = \mathrm{softmax}_j \langle p_j, \hat u_{j|i} \rangle, \quad
        p_j = \mathrm{LayerNorm} \sum_i r_{ij} \hat u_{j|i}

    Unlike in dynamic routing the logits are made anew in each pass. One layer normalisation with a
    learned gain and offset serves all higher capsules. This is the sequential form; the paper
    prefers to iterate all capsule layers of a network at once, each with the others' last poses.

    A normalised pose has no telling length, so activations come from a linear layer that all
    higher capsules share. The paper takes the softmax of its values over classes
    (``activation="softmax"``); here their sigmoid is the default, the probability of each capsule
    by itself, which margin losses and hidden layers need.

    Args:
        in_capsules: number of lower capsules.
        out_capsules: number of higher capsules.
        in_dim: components of a lower capsule.
        out_dim: components of a higher capsule, 2 or more.
        iterations: number of passes.
        gradient: ``"full"`` differentiates all passes, as the authors' released code does;
            ``"last"`` holds the couplings constant and differentiates the last pass only.
        activation: ``"sigmoid"`` or ``"softmax"``.
        scaled: divide the agreements by the square root of ``out_dim``; in the authors' released
            code, not in the paper.

    Raises:
        ValueError: ``iterations`` is below 1, ``out_dim`` below 2, or ``gradient`` or
            ``activation`` is another word.
    """

    normalised_over = "out"
    defines_activations = True
    reference = "Tsai, Srivastava, Goh & Salakhutdinov 2020, arXiv 2002.04764, procedure 1"

    def __init__(
        self,
        in_capsules: int,
        out_capsules: int,
        in_dim: int,
        out_dim: int,
        iterations: int = 2,
        gradient: Gradient = "full",
        activation: Literal["sigmoid", "softmax"] = "sigmoid",
        scaled: bool = False,
    ) -> None:
        super().__init__(in_capsules, out_capsules, in_dim, out_dim, iterations, gradient)
        if activation not in ("sigmoid", "softmax"):
            raise ValueError(f"activation: expected 'sigmoid' or 'softmax', got {activation!r}")
        if out_dim < 2:
            raise ValueError(f"out_dim: expected 2 or more, got {out_dim}")
        self.activation = activation
        self.scaled = scaled
        self.norm = nn.LayerNorm(out_dim)
        self.score = nn.Linear(out_dim, 1)

    def couplings(self, votes: Votes) -> Tensor | None:
        """See `BaseRouting.couplings`."""
        couplings = None
        for _ in range(self.iterations - 1):
            agreement = votes.agreement(self._poses(votes, couplings))
            couplings = votes.share(agreement / math.sqrt(self.out_dim if self.scaled else 1))
        return couplings

    def settle(self, votes: Votes, couplings: Tensor | None) -> tuple[Tensor, Tensor]:
        """See `BaseRouting.settle`."""
        poses = self._poses(votes, couplings)
        weight, bias = (p.to(poses.dtype) for p in (self.score.weight, self.score.bias))
        scores = F.linear(poses, weight, bias).squeeze(2)
        return poses, scores.softmax(1) if self.activation == "softmax" else torch.sigmoid(scores)

    def _poses(self, votes: Votes, couplings: Tensor | None) -> Tensor:
        mixed = votes.mix(couplings)
        weight, bias = (p.to(mixed.dtype) for p in (self.norm.weight, self.norm.bias))
        return F.layer_norm(mixed, self.norm.normalized_shape, weight, bias, self.norm.eps)

    def extra_repr(self) -> str:
        """The settings, for ``print(network)``."""
        return f"{super().extra_repr()}, activation={self.activation!r}, scaled={self.scaled}"
