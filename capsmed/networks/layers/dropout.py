"""Dropout of whole capsules."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class CapsuleDropout(nn.Module):
    """Drops whole capsules while training: all components of a pose, and its activation.

    Components dropped one by one would turn a pose; a dropped capsule is an entity not seen.

    What a routing sums up keeps its expectation. Without activations that is the pose: the poses
    of capsules that stay are divided by ``1 - probability``. With activations it is activation
    times pose: then the activations are divided and the poses that stay are left as they are, so
    that an average weighted by activations, as in EM routing, does not grow.

    Args:
        probability: of a capsule to be dropped, 0 to below 1.

    Raises:
        ValueError: ``probability`` is out of range.
    """

    def __init__(self, probability: float = 0.5) -> None:
        super().__init__()
        if not 0 <= probability < 1:
            raise ValueError(f"probability: expected 0 to below 1, got {probability}")
        self.probability = probability

    def forward(
        self, poses: Tensor, activations: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Drop capsules; in evaluation mode both come back as they are.

        Args:
            poses: ``[batch, capsules, dim]``.
            activations: ``[batch, capsules]``, or None where only lengths are known.

        Returns:
            Poses and activations of the same shapes.
        """
        if not self.training or not self.probability:
            return poses, activations
        kept = F.dropout(poses.new_ones(poses.shape[:2]), self.probability)
        if activations is None:
            return poses * kept.unsqueeze(2), None
        return poses * (kept > 0).unsqueeze(2), activations * kept

    def extra_repr(self) -> str:
        """The settings, for ``print(network)``."""
        return f"probability={self.probability}"
