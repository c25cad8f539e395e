"""Votes that note the couplings of every pass."""

import torch

from capsmed.networks import LinearVotes


class RecordingVotes(LinearVotes):
    """`LinearVotes` whose ``passes`` lists the couplings [batch, out, in] that mix was given."""

    def __init__(self, poses: torch.Tensor, weight: torch.Tensor, activations=None) -> None:
        super().__init__(poses, weight, activations)
        self.passes: list[torch.Tensor] = []

    def mix(self, couplings: torch.Tensor | None) -> torch.Tensor:
        batch, lower, _ = self.poses.shape
        uniform = torch.full((batch, self.out_capsules, lower), 1 / self.out_capsules)
        self.passes.append(uniform if couplings is None else couplings)
        return super().mix(couplings)
