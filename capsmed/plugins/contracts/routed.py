"""The capsule layers that routings are checked in."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from capsmed.networks.layers import CapsuleConv, CapsuleLinear, LinearVotes
from capsmed.networks.layers.votes import Votes

TYPES, HIGHER, IN_DIM, OUT_DIM = 2, 3, 5, 7


class Layer(NamedTuple):
    """A kind of capsule layer.

    Attributes:
        grid: spatial shape of the lower capsules' locations.
        kernel: of a convolution over it; None where the layer is none.
        competition: see `CapsuleConv`.
    """

    grid: tuple[int, ...] = ()
    kernel: tuple[int, ...] | None = None
    competition: Literal["location", "map"] = "location"


#: Layers by name in which the votes of one row of the batch are all there is to a routing.
LAYERS = {
    "linear": Layer(),
    "2D grid": Layer((2, 3)),
    "3D grid": Layer((2, 1, 3)),
    "2D convolution": Layer((3, 2), (2, 2)),
    "3D convolution": Layer((2, 1, 3), (2, 1, 2)),
}
#: These, and one whose windows compete for lower capsules.
KINDS = LAYERS | {"2D map": Layer((3, 2), (2, 2), "map")}


class Routed(nn.Module):
    """A capsule layer with one routing, on lower capsules of a fixed grid."""

    def __init__(self, kind: str, name: str, in_dim: int, out_dim: int, **options: Any) -> None:
        super().__init__()
        self.grid, kernel, competition = KINDS[kind]
        self.lower = TYPES * torch.Size(self.grid).numel() if self.grid else 11
        spec = (name, options)
        self.layer: CapsuleConv | CapsuleLinear
        if kernel is None:
            sizes = (self.lower, HIGHER, in_dim, out_dim)
            self.layer = CapsuleLinear(*sizes, routing=spec, init_scale=0.3)
        else:
            types = (len(kernel), TYPES, HIGHER, in_dim, out_dim)
            self.layer = CapsuleConv(
                *types, kernel, routing=spec, init_scale=0.3, competition=competition
            )

    @property
    def routing(self) -> Any:
        """The routing itself."""
        return self.layer.routing

    @property
    def weight(self) -> Tensor:
        """The transforms."""
        return self.layer.weight

    def votes(self, poses: Tensor, activations: Tensor | None = None) -> Votes:
        """The votes of these lower capsules."""
        if isinstance(self.layer, CapsuleConv):
            return self.layer.votes(poses, activations, grid=self.grid)
        return LinearVotes(poses, self.weight, activations, self.grid)

    def forward(self, poses: Tensor, activations: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Poses and activations of the higher capsules."""
        return self.layer(poses, activations, grid=self.grid)
