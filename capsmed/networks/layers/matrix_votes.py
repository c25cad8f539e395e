"""Votes of capsules whose poses are square matrices."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from capsmed.networks.layers.votes import LinearVotes, Votes, exporting


def matrix_side(dim: int) -> int:
    """Rows of the square matrix that has ``dim`` elements.

    Raises:
        ValueError: there is none.

    >>> matrix_side(16)
    4
    """
    side = math.isqrt(dim)
    if dim < 1 or side * side != dim:
        squares = " or ".join(str(near * near) for near in (side, side + 1) if near)
        raise ValueError(
            f"pose dimension: expected a square such as 16, got {dim}; matrix transforms act on "
            f"square poses: use {squares}, or transform 'linear'"
        )
    return side


def pose_rows(poses: Tensor, side: int) -> Tensor:
    """Rows of the pose matrices as capsules: ``[batch, in, P P]`` to ``[batch x P, in, P]``.

    Raises:
        ValueError: poses have another number of components.
    """
    # a trace would take the comparison for a part of the network
    if not exporting() and poses.shape[2] != side * side:
        raise ValueError(
            f"matrix votes: expected poses [batch, in, {side * side}], got {list(poses.shape)}"
        )
    return poses.unflatten(2, (side, side)).transpose(1, 2).flatten(0, 1)


def noisy_identity(out_capsules: int, side: int, lower: int, scale: float) -> nn.Parameter:
    """Transforms near the identity, ``[out, side, side, lower]``.

    Args:
        out_capsules: number of higher capsules.
        side: rows of a pose matrix.
        lower: number of lower capsules.
        scale: standard deviation of what is added to the identity.
    """
    identity = torch.eye(side)[None, :, :, None]
    return nn.Parameter(identity + scale * torch.randn(out_capsules, side, side, lower))


class MatrixVotes(Votes):
    r"""Votes :math:`V_{ij} = M_i W_{ij}`, poses and transforms P x P matrices.

    Hinton, Sabour & Frosst 2018, section 3. Every row of a pose matrix is transformed by the same
    P x P matrix, so the rows are the batch of votes from P to P components: no vote is formed, and
    a transform has P times fewer numbers than that of a vector of as many components.

    Poses are the matrices row by row, ``P P`` components.

    Args:
        rows: votes of the rows, of poses as `pose_rows` gives them and transforms
            ``[out, P, P, in]``, of which ``[j, q, r, i]`` is element ``(r, q)`` of ``W(ij)``. Their
            activations are those of the matrices.
        side: P.
        windows: windows that ``rows`` has folded into its batch, behind the rows.
    """

    def __init__(self, rows: LinearVotes, side: int, windows: int = 1) -> None:
        self.rows = rows
        self.side = side
        self.windows = windows
        self.activations = rows.activations
        self.grid = rows.grid
        self.out_capsules = rows.out_capsules
        self.poses = self._together(rows.poses)

    def mix(self, couplings: Tensor | None) -> Tensor:
        """See `Votes.mix`."""
        return self._together(self.rows.mix(None if couplings is None else self._each(couplings)))

    def agreement(self, poses: Tensor) -> Tensor:
        """See `Votes.agreement`."""
        matrices = poses.unflatten(2, (self.side, self.side)).unflatten(0, (-1, self.windows))
        agreed = self.rows.agreement(matrices.movedim(3, 1).flatten(0, 2))
        return agreed.unflatten(0, (-1, self.side, self.windows)).sum(1).flatten(0, 1)

    def share(self, logits: Tensor) -> Tensor:
        """See `Votes.share`."""
        return self.rows.share(logits)

    def dense(self) -> Tensor:
        """See `Votes.dense`."""
        return self._together(self.rows.dense())

    def _each(self, couplings: Tensor) -> Tensor:
        """The same couplings for every row."""
        parts = couplings.unflatten(0, (-1, 1, self.windows))
        return parts.expand(-1, self.side, -1, -1, -1).flatten(0, 2)

    def _together(self, rows: Tensor) -> Tensor:
        """``[batch x P x windows, ..., P]`` as ``[batch x windows, ..., P P]``."""
        matrices = rows.unflatten(0, (-1, self.side, self.windows))
        return matrices.movedim(1, -2).flatten(0, 1).flatten(-2)
