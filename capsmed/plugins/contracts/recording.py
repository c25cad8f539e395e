"""Votes that note the couplings of every pass."""

from __future__ import annotations

import torch
from torch import Tensor

from capsmed.networks.layers.votes import Votes


class RecordingVotes(Votes):
    """Other votes, whose ``passes`` lists the couplings ``[batch, out, in]`` that mix was given."""

    def __init__(self, votes: Votes) -> None:
        self._votes = votes
        self.poses, self.activations = votes.poses, votes.activations
        self.grid, self.out_capsules = votes.grid, votes.out_capsules
        self.passes: list[Tensor] = []

    def mix(self, couplings: Tensor | None) -> Tensor:
        """See `Votes.mix`."""
        batch, lower, _ = self.poses.shape
        uniform = torch.full((batch, self.out_capsules, lower), 1 / self.out_capsules)
        self.passes.append(uniform if couplings is None else couplings)
        return self._votes.mix(couplings)

    def agreement(self, poses: Tensor) -> Tensor:
        """See `Votes.agreement`."""
        return self._votes.agreement(poses)

    def share(self, logits: Tensor) -> Tensor:
        """See `Votes.share`."""
        return self._votes.share(logits)

    def dense(self) -> Tensor:
        """See `Votes.dense`."""
        return self._votes.dense()
