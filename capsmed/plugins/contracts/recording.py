"""Other votes: noting the couplings of every pass, or formed."""

from __future__ import annotations

from torch import Tensor

from capsmed.networks.layers.votes import DenseVotes, Votes


class RecordingVotes(Votes):
    """Other votes, whose ``passes`` lists the couplings ``[batch, out, in]`` that mix was given."""

    def __init__(self, votes: Votes) -> None:
        self._votes = votes
        self.poses, self.activations = votes.poses, votes.activations
        self.grid, self.out_capsules = votes.grid, votes.out_capsules
        self.passes: list[Tensor] = []

    def mix(self, couplings: Tensor | None) -> Tensor:
        """See `Votes.mix`."""
        if couplings is None:
            batch, lower, _ = self.poses.shape
            self.passes.append(self.share(self.poses.new_zeros(batch, self.out_capsules, lower)))
        else:
            self.passes.append(couplings)
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


class FormedVotes(DenseVotes):
    """Other votes, formed; they are shared out as those are."""

    def __init__(self, votes: Votes) -> None:
        super().__init__(votes.dense(), votes.poses, votes.activations, votes.grid)
        self.share = votes.share  # type: ignore[method-assign]

    def mix(self, couplings: Tensor | None) -> Tensor:
        """See `Votes.mix`."""
        if couplings is None:
            batch, lower, _ = self.poses.shape
            couplings = self.share(self.poses.new_zeros(batch, self.out_capsules, lower))
        return super().mix(couplings)
