"""DeepCaps: a deep capsule network of residual cells, in 2D and 3D, for any image size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from capsmed.networks.blocks.conv_stack import ConvStack
from capsmed.networks.blocks.options import at_least_one
from capsmed.networks.layers.capsules import CapsuleLinear
from capsmed.networks.layers.dropout import CapsuleDropout
from capsmed.networks.layers.plain_conv import PlainCapsuleConv
from capsmed.networks.layers.residual import CapsuleResidual
from capsmed.networks.layers.shared_conv import SharedCapsuleConv
from capsmed.networks.nets.capsule_network import CapsuleNetwork
from capsmed.networks.registry import RoutingSpec


class DeepCaps(CapsuleNetwork):
    """Residual cells of capsule layers; the capsules of the last two go to the classes.

    Rajasegaran et al. 2019 (arXiv 1904.09546), section 3.3, after the authors' released code. A
    cell halves the grid with one `PlainCapsuleConv`, and adds what two more give to what a layer
    beside them gives: another `PlainCapsuleConv`, in the last cell a `SharedCapsuleConv`, which
    routes. Where the last two cells' capsules differ in dimension, only those of the last one go
    to the classes. The decoder does not see the class.

    For 28x28x1, 10 classes and no decoder these are 8,441,344 parameters. The released code has
    576 more, the biases of its routed layers: ``bias=True``. What differs from it: each capsule is
    squashed, not a type's whole map as one vector; the decoder is one of ours; images keep their
    size (it enlarges 32x32 to 64x64); and the unrouted layers' weights start three times as large,
    without which squashed capsules die out from cell to cell, see `PlainCapsuleConv`. For images
    below 16 voxels an axis ``dims=(4, 8), types=8, channels=32`` do: four cells leave 8x8 one
    location.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        num_classes: number of class capsules.
        input_size: spatial size of the image.
        channels: of the convolution before the cells; each is a type of 1-D capsule there.
        types: capsules at each location of a cell.
        dims: components of the capsules of each cell.
        class_dim: components of a class capsule.
        routing: to the classes: a name in ``Routing``, or a pair of name and options.
        cell_routing: of the last cell, likewise.
        bias: ask both routings for a bias on each higher capsule.
        squash_sums: squash what the two ways through a cell add up to; the released code does not.
            Each squash shrinks short poses: three cells then stayed at chance on 8x8 digits.
        capsule_dropout: probability of dropping a capsule before the classes, while training.
        decoder: ``"dense"``, ``"conv"``, a pair of name and options, or None.
        decoder_widths: the decoder's hidden widths; None for its own default.
        init_scale: standard deviation of the vote weights at the start.

    Raises:
        ValueError: there are no cells, or an option is wrong.
    """

    reference = "Rajasegaran et al. 2019, DeepCaps, arXiv 1904.09546"
    example = {"channels": 8, "types": 3, "dims": (4, 5), "class_dim": 6}

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        num_classes: int,
        input_size: Sequence[int],
        channels: int = 128,
        types: int = 32,
        dims: Sequence[int] = (4, 8, 8, 8),
        class_dim: int = 32,
        routing: RoutingSpec = "dynamic",
        cell_routing: RoutingSpec = "dynamic",
        bias: bool = False,
        squash_sums: bool = False,
        capsule_dropout: float = 0.0,
        decoder: str | Sequence[Any] | None = "conv",
        decoder_widths: Sequence[int] | None = None,
        init_scale: float = 0.05,
    ) -> None:
        super().__init__(
            in_channels, num_classes, input_size, class_dim, decoder, decoder_widths, True
        )
        if not dims:
            raise ValueError("dims: expected at least one cell, got none")
        at_least_one(channels=channels, types=types, dims=min(dims))
        self.encoder = ConvStack(spatial_dims, in_channels, (channels,), 3, padding="same")
        self.cells = nn.ModuleList()
        self.grids = [self.encoder.output_size(input_size)]
        shapes = [(channels, 1), *((types, dim) for dim in dims)]
        for number, (lower, higher) in enumerate(pairwise(shapes), 1):
            side = (cell_routing, bias) if number == len(dims) else None
            cell = _Cell(spatial_dims, lower, higher, side, squash_sums)
            self.grids.append(cell.output_size(self.grids[-1]))
            self.cells.append(cell)
        self.joined = 2 if len(dims) > 1 and dims[-2] == dims[-1] else 1
        locations = sum(math.prod(grid) for grid in self.grids[-self.joined :])
        self.grid = self.grids[-1] if self.joined == 1 else ()
        self.dropout = CapsuleDropout(capsule_dropout)
        self.classes = CapsuleLinear(
            types * locations, num_classes, dims[-1], class_dim, routing, bias, init_scale
        )

    def capsules(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """See `CapsuleNetwork.capsules`."""
        poses = self.encoder(image).flatten(1).unsqueeze(2)
        outputs = []
        for cell, grid in zip(self.cells, self.grids, strict=False):
            poses = cell(poses, grid)
            outputs.append(poses)
        lower, _ = self.dropout(torch.cat(outputs[-self.joined :], 1))
        routed: tuple[Tensor, Tensor] = self.classes(lower, grid=self.grid)
        return routed


class _Cell(nn.Module):
    """A capsule layer of stride 2, then two with a third beside them.

    Args:
        spatial_dims: 2 or 3.
        lower: types and components of the lower capsules.
        higher: types and components of the higher capsules.
        side: routing and bias of the layer beside the two; None where it does not route.
        squash: squash the sum.
    """

    def __init__(
        self,
        spatial_dims: int,
        lower: tuple[int, int],
        higher: tuple[int, int],
        side: tuple[Any, bool] | None,
        squash: bool,
    ) -> None:
        super().__init__()
        (in_types, in_dim), (types, dim) = lower, higher
        self.down = PlainCapsuleConv(spatial_dims, in_types, types, in_dim, dim, 3, 2, "same")
        same = (spatial_dims, types, types, dim, dim, 3, 1, "same")
        skip = PlainCapsuleConv(*same) if side is None else SharedCapsuleConv(*same, *side)
        layers = [PlainCapsuleConv(*same), PlainCapsuleConv(*same)]
        self.residual = CapsuleResidual(layers, skip, squash)

    def output_size(self, grid: Sequence[int]) -> tuple[int, ...]:
        return self.residual.output_size(self.down.output_size(grid))

    def forward(self, poses: Tensor, grid: Sequence[int]) -> Tensor:
        lower, activations = self.down(poses, grid=grid)
        poses, _ = self.residual(lower, activations, grid=self.down.output_size(grid))
        return poses
