"""The contract of a routing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import nullcontext
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from capsmed.networks.layers.votes import Votes, exporting

Gradient = Literal["last", "full"]


class BaseRouting(nn.Module, ABC):
    """Turns votes into the poses and activations of the higher capsules, in two steps.

    `couplings` says how much of each lower capsule goes to each higher one, `settle` makes the
    higher capsules from that. A subclass writes these two, says the things below, and is tested
    on what it says. Keeping the steps apart lets couplings be drawn, held constant for the
    gradient, or replaced.

    Attributes:
        iterative: it makes several passes, as many as its option ``iterations``; it then derives
            from `IterativeRouting`.
        normalised_over: the axis over which the couplings given to ``votes.mix`` sum to one,
            ``"out"`` or ``"in"``; None where they do not.
        needs_activations: it reads ``votes.activations``.
        defines_activations: its activations, 0 to 1, are not the poses' lengths.
        reference: where the algorithm is published.

    Args:
        in_capsules: number of lower capsules.
        out_capsules: number of higher capsules.
        in_dim: components of a lower capsule.
        out_dim: components of a higher capsule.
    """

    iterative: ClassVar[bool] = False
    normalised_over: ClassVar[Literal["out", "in"] | None]
    needs_activations: ClassVar[bool] = False
    defines_activations: ClassVar[bool] = False
    reference: ClassVar[str]

    gradient: Gradient = "full"

    def __init__(self, in_capsules: int, out_capsules: int, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.in_capsules = in_capsules
        self.out_capsules = out_capsules
        self.in_dim = in_dim
        self.out_dim = out_dim

    @property
    def passes(self) -> int:
        """How often ``votes.mix`` is called."""
        return 1

    def forward(self, votes: Votes) -> tuple[Tensor, Tensor]:
        """Route ``votes``; under autocast and with half-precision weights too this is float32.

        Returns:
            Poses ``[batch, out, out_dim]`` and activations ``[batch, out]``; the activations are
            the poses' lengths unless the routing defines them.

        Raises:
            ValueError: the routing needs activations and ``votes`` has none.
        """
        if self.needs_activations and votes.activations is None:
            raise ValueError(f"{type(self).__name__}: expected activations, got None")
        device = votes.poses.device.type
        autocast = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
        with torch.autocast(device, enabled=False) if autocast else nullcontext():
            return self.settle(votes, self._coupled(votes))

    def _coupled(self, votes: Votes) -> Tensor | None:
        if self.gradient == "full":
            return self.couplings(votes)
        # inside an exported graph a change of the gradient mode has no place; detach does
        with nullcontext() if exporting() else torch.no_grad():
            couplings = self.couplings(votes)
        return None if couplings is None else couplings.detach()

    @abstractmethod
    def couplings(self, votes: Votes) -> Tensor | None:
        """How lower capsules are shared out in the last pass, ``[batch, out, in]``.

        None means ``1 / out`` everywhere.
        """

    @abstractmethod
    def settle(self, votes: Votes, couplings: Tensor | None) -> tuple[Tensor, Tensor]:
        """The last pass: poses and activations of the higher capsules for these couplings."""


class IterativeRouting(BaseRouting):
    """A routing that refines its couplings over several passes.

    Args:
        in_capsules: number of lower capsules.
        out_capsules: number of higher capsules.
        in_dim: components of a lower capsule.
        out_dim: components of a higher capsule.
        iterations: number of passes, each of which calls ``votes.mix`` once.
        gradient: ``"last"`` holds the couplings constant and differentiates the last pass only;
            ``"full"`` differentiates all passes.

    Raises:
        ValueError: ``iterations`` is below 1, or ``gradient`` is another word.
    """

    iterative = True

    def __init__(
        self,
        in_capsules: int,
        out_capsules: int,
        in_dim: int,
        out_dim: int,
        iterations: int,
        gradient: Gradient,
    ) -> None:
        super().__init__(in_capsules, out_capsules, in_dim, out_dim)
        if iterations < 1:
            raise ValueError(f"iterations: expected 1 or more, got {iterations}")
        if gradient not in ("last", "full"):
            raise ValueError(f"gradient: expected 'last' or 'full', got {gradient!r}")
        self.iterations = iterations
        self.gradient = gradient

    @property
    def passes(self) -> int:
        """See `BaseRouting.passes`."""
        return self.iterations

    def extra_repr(self) -> str:
        """The settings, for ``print(network)``."""
        return f"iterations={self.iterations}, gradient={self.gradient!r}"
