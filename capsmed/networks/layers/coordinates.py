"""Coordinate addition: the place of a lower capsule as part of its votes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from capsmed.networks.layers.votes import Votes


def coordinates(
    grid: Sequence[int], types: int, out_dim: int, components: Sequence[int] | None = None
) -> Tensor:
    """What coordinate addition adds to the votes of each lower capsule.

    The centre of a location in units of the grid's size: 0.25 and 0.75 along an axis of two.

    Args:
        grid: spatial shape of the lower capsules' locations.
        types: capsules at each location.
        out_dim: components of a vote.
        components: the component that each axis is added to; None for the first elements of the
            right-hand column, from the top, where a vote is a square matrix, row by row, with a
            row for each axis; for the first components otherwise.

    Returns:
        ``[types x locations, out_dim]``, type first, location last.

    Raises:
        ValueError: votes have too few components for the grid's axes.
    """
    places = _places(len(grid), out_dim) if components is None else list(components)
    if len(places) < len(grid) or max(places) >= out_dim:
        raise ValueError(
            f"coordinate addition: expected votes with a component for each of {len(grid)} axes, "
            f"got {out_dim} components; use larger poses"
        )
    axes = [(torch.arange(size) + 0.5) / size for size in grid]
    added = torch.zeros(types, math.prod(grid), out_dim)
    for place, centres in zip(places, torch.meshgrid(*axes, indexing="ij"), strict=False):
        added[:, :, place] = centres.flatten()
    return added.flatten(0, 1)


def _places(axes: int, out_dim: int) -> list[int]:
    side = math.isqrt(out_dim)
    if side * side == out_dim and side >= axes:
        return [side * (axis + 1) - 1 for axis in range(axes)]
    return list(range(min(axes, out_dim)))


class CoordinateVotes(Votes):
    """Votes with something added that depends on the lower capsule alone.

    Hinton, Sabour & Frosst 2018, section 4: class capsules share their transforms over all
    locations, and the scaled row and column of each lower capsule are added to the first two
    elements of the right-hand column of its votes, so that the place is not lost.

    As each addition is the same for all higher capsules, no vote is formed for it.

    Args:
        votes: the votes to add to.
        added: ``[in, out_dim]``, as `coordinates` gives it.
    """

    def __init__(self, votes: Votes, added: Tensor) -> None:
        self.votes = votes
        self.poses = votes.poses
        self.activations = votes.activations
        self.grid = votes.grid
        self.out_capsules = votes.out_capsules
        self.added = added.to(votes.poses)

    def mix(self, couplings: Tensor | None) -> Tensor:
        """See `Votes.mix`."""
        if couplings is None:
            batch, lower, _ = self.poses.shape
            shape = (batch, self.out_capsules, lower)
            couplings = self.share(self.poses.new_zeros(shape))
        return self.votes.mix(couplings) + couplings @ self.added

    def agreement(self, poses: Tensor) -> Tensor:
        """See `Votes.agreement`."""
        return self.votes.agreement(poses) + poses @ self.added.T

    def share(self, logits: Tensor) -> Tensor:
        """See `Votes.share`."""
        return self.votes.share(logits)

    def dense(self) -> Tensor:
        """See `Votes.dense`."""
        return self.votes.dense() + self.added.unsqueeze(1)
