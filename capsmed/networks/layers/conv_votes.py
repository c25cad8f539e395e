"""Votes of convolutional capsules: shared transforms in each receptive field."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from capsmed.networks.layers.fields import Fields
from capsmed.networks.layers.votes import LinearVotes


class ConvVotes(LinearVotes):
    """Votes in all receptive fields at once: the windows are folded into the batch.

    Its batch is ``batch x windows`` (windows fastest), its lower capsules are types x window
    locations, its grid is the kernel's shape. The transforms are those of `LinearVotes`, shared by
    all windows, so any routing works and no vote is formed.

    Args:
        poses: ``[batch, types x locations, in_dim]``, type first.
        weight: ``[out, out_dim, in_dim, types x window locations]``.
        activations: ``[batch, types x locations]`` or None.
        fields: the receptive fields.
        shared_out: a lower capsule is shared out among the higher capsules of all windows that it
            lies in, instead of those of each window by itself.
    """

    def __init__(
        self,
        poses: Tensor,
        weight: Tensor,
        activations: Tensor | None,
        fields: Fields,
        shared_out: bool,
    ) -> None:
        self.fields = fields
        self.types = weight.shape[3] // math.prod(fields.kernel)
        self._shared_out = shared_out
        if shared_out:
            self._index = fields.index(poses.device).flatten()
        folded = None if activations is None else self._windows(activations.unsqueeze(2))[:, 0]
        columns = self._windows(poses)
        super().__init__(columns.transpose(1, 2), weight, folded, fields.kernel)

    def mix(self, couplings: Tensor | None) -> Tensor:
        """See `Votes.mix`."""
        if couplings is None and self._shared_out:
            batch, lower, _ = self.poses.shape
            couplings = self.share(self.poses.new_zeros(batch, self.out_capsules, lower))
        return super().mix(couplings)

    def share(self, logits: Tensor) -> Tensor:
        """See `Votes.share`."""
        if not self._shared_out:
            return super().share(logits)
        count, locations, index = self.fields.count, math.prod(self.fields.grid), self._index
        rows = logits.unflatten(0, (-1, count)).unflatten(3, (self.types, -1))
        rows = rows.permute(0, 2, 3, 1, 4)  # batch, out, types, windows, window locations
        best = rows.detach().amax(1).flatten(2)
        highest = best.new_full((*best.shape[:2], locations + 1), -torch.inf)
        highest = highest.scatter_reduce(2, index.expand_as(best), best, "amax")
        powers = (rows.flatten(3) - highest[:, None, :, index]).exp()
        total = torch.zeros_like(highest).index_add(2, index, powers.sum(1))
        shares = (powers / total[:, None, :, index]).unflatten(3, (count, -1))
        return shares.permute(0, 3, 1, 2, 4).flatten(3).flatten(0, 1)

    def _windows(self, rows: Tensor) -> Tensor:
        """``[batch, types x locations, dim]`` as ``[batch x windows, dim, types x window]``."""
        maps = rows.transpose(1, 2).unflatten(2, (self.types, -1))
        windows = self.fields.gather(maps)
        return windows.permute(0, 3, 1, 2, 4).flatten(3).flatten(0, 1)
