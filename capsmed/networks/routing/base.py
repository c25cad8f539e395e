"""The contract of a routing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import nullcontext
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from capsmed.networks.layers.votes import Votes


class BaseRouting(nn.Module, ABC):
    """Turns votes into the poses and activations of the higher capsules.

    A subclass writes `route`, says the three things below, and is tested on what it says.

    Attributes:
        iterative: it makes several passes, as many as its option ``iterations``; every pass calls
            ``votes.mix`` once.
        normalised_over: the axis over which its couplings sum to one, ``"out"`` or ``"in"``;
            None where they do not.
        needs_activations: it reads ``votes.activations``.

    Args:
        in_capsules: number of lower capsules.
        out_capsules: number of higher capsules.
        in_dim: components of a lower capsule.
        out_dim: components of a higher capsule.
    """

    iterative: ClassVar[bool]
    normalised_over: ClassVar[Literal["out", "in"] | None]
    needs_activations: ClassVar[bool] = False

    def __init__(self, in_capsules: int, out_capsules: int, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.in_capsules = in_capsules
        self.out_capsules = out_capsules
        self.in_dim = in_dim
        self.out_dim = out_dim

    def forward(self, votes: Votes) -> tuple[Tensor, Tensor]:
        """Route ``votes``; under autocast too this is computed in float32.

        Returns:
            Poses ``[batch, out, out_dim]`` and activations ``[batch, out]``; the activations are
            the poses' lengths unless the routing defines them.

        Raises:
            ValueError: the routing needs activations and ``votes`` has none.
        """
        if self.needs_activations and votes.activations is None:
            raise ValueError(f"{type(self).__name__}: expected activations, got None")
        device = votes.poses.device.type
        autocast = torch.is_autocast_enabled(device)
        with torch.autocast(device, enabled=False) if autocast else nullcontext():
            return self.route(votes)

    @abstractmethod
    def route(self, votes: Votes) -> tuple[Tensor, Tensor]:
        """Poses ``[batch, out, out_dim]`` and activations ``[batch, out]`` of ``votes``."""
