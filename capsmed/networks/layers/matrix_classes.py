"""Class capsules with pose matrices, transforms shared by all locations."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from capsmed.networks.blocks.options import at_least_one
from capsmed.networks.layers.coordinates import CoordinateVotes, coordinates
from capsmed.networks.layers.matrix_votes import (
    MatrixVotes,
    matrix_side,
    noisy_identity,
    pose_rows,
)
from capsmed.networks.layers.squash import lengths
from capsmed.networks.layers.votes import LinearVotes, Votes
from capsmed.networks.registry import RoutingSpec, build_routing


class MatrixCapsuleClasses(nn.Module):
    """Fully connected matrix capsules whose transforms lower capsules of one type share.

    Hinton, Sabour & Frosst 2018, section 4: a type looks for the same thing everywhere, so it has
    one transform for each higher capsule, and its place is added to its votes (`CoordinateVotes`).
    ``weight`` is ``[out, P, P, in_types]``, of which ``[j, q, r, t]`` is element ``(r, q)`` of the
    transform.

    Args:
        in_types: lower capsules at each location.
        out_capsules: number of higher capsules.
        dim: components of a pose, a square number, below and above.
        grid: spatial shape of the lower capsules' locations.
        routing: a name in ``Routing``, a pair of name and options, or a class.
        coordinate_addition: add the place of lower capsules to their votes.
        bias: ask the routing for a bias on each higher capsule.
        init_scale: standard deviation at the start of what is added to the identity.

    Raises:
        ValueError: there are no lower or no higher capsules, ``dim`` is no square, or a pose has
            too few rows for the grid's axes.
    """

    added: Tensor

    def __init__(
        self,
        in_types: int,
        out_capsules: int,
        dim: int,
        grid: Sequence[int],
        routing: RoutingSpec = "em",
        coordinate_addition: bool = True,
        bias: bool = False,
        init_scale: float = 0.1,
    ) -> None:
        super().__init__()
        at_least_one(in_types=in_types, out_capsules=out_capsules)
        side = matrix_side(dim)
        self.in_types, self.side = in_types, side
        self.grid = tuple(grid)
        self.locations = math.prod(self.grid)
        self.coordinate_addition = coordinate_addition
        if coordinate_addition:
            added = coordinates(self.grid, in_types, dim)
            self.register_buffer("added", added, persistent=False)
        self.weight = noisy_identity(out_capsules, side, in_types, init_scale)
        sizes = (in_types * self.locations, out_capsules, dim, dim)
        self.routing = build_routing(routing, sizes, bias)

    def forward(self, poses: Tensor, activations: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Route lower capsules to higher ones.

        Args:
            poses: ``[batch, in_types x locations, dim]``, matrices row by row.
            activations: ``[batch, in_types x locations]``; None where only lengths are known.

        Returns:
            Poses ``[batch, out_capsules, dim]`` and activations ``[batch, out_capsules]``.
        """
        if activations is None and self.routing.needs_activations:
            activations = lengths(poses)
        return self.routing(self.votes(poses, activations))

    def votes(self, poses: Tensor, activations: Tensor | None = None) -> Votes:
        """The votes of these lower capsules; shapes as in `forward`."""
        weight = self.weight.repeat_interleave(self.locations, 3)
        rows = LinearVotes(pose_rows(poses, self.side), weight, activations, self.grid)
        votes = MatrixVotes(rows, self.side)
        return CoordinateVotes(votes, self.added) if self.coordinate_addition else votes
