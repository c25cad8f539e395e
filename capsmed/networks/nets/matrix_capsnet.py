"""The matrix capsule network of Hinton, Sabour & Frosst, in 2D and 3D, for any image size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor, nn

from capsmed.networks.blocks.conv_stack import ConvStack
from capsmed.networks.blocks.options import PerAxis, at_least_one, per_stage, remedy
from capsmed.networks.layers.capsule_conv import CapsuleConv
from capsmed.networks.layers.dropout import CapsuleDropout
from capsmed.networks.layers.matrix_classes import MatrixCapsuleClasses
from capsmed.networks.layers.matrix_primary import MatrixPrimaryCapsules
from capsmed.networks.nets.capsule_network import CapsuleNetwork
from capsmed.networks.registry import RoutingSpec

REMEDY = "use a larger input, or a smaller kernel_size, stride, kernel_sizes or strides"


class MatrixCapsNet(CapsuleNetwork):
    """A convolution, primary matrix capsules, two layers of convolutional ones, class capsules.

    Hinton, Sabour & Frosst 2018 (ICLR), section 4 and figure 1, in its smaller geometry of section
    5, A=64, B=8, C=D=16, with EM routing everywhere. For the stereo pairs of smallNORB, 32x32x2 and
    5 classes, these are 68,754 parameters; the paper says 68 K. The larger one, A=B=C=D=32
    (``channels=32, types=(32, 32, 32)``), has 317,194 where the paper says 310 K; its transforms
    alone are 297,472, so what the paper counts besides stays open. The authors released no code.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        num_classes: number of class capsules.
        input_size: spatial size of the image.
        channels: A, of the first convolution.
        kernel_size: of the first convolution.
        stride: of the first convolution.
        norm: MONAI ``Norm`` name after the first convolution's ReLU, or None, as in the paper.
        types: B, C, ...: capsules at each location of the primary layer and of each
            convolutional one.
        pose_dim: components of every capsule, a square number.
        kernel_sizes: of the convolutional capsules; one for all, or one each.
        strides: of the convolutional capsules; one for all, or one each.
        routing: a name in ``Routing``, or a pair of name and options.
        competition: ``"map"`` or ``"location"``, see `CapsuleConv`.
        coordinate_addition: add the places of the lower capsules to the votes for the classes.
        capsule_dropout: probability of dropping a capsule before the classes, while training.
        decoder: ``"dense"``, ``"conv"``, a pair of name and options, or None, as in the paper.
        decoder_widths: the decoder's hidden widths; None for its own default.
        init_scale: standard deviation at the start of what is added to the identity transform.

    Raises:
        ValueError: the image is too small for the kernels, with the sizes; ``pose_dim`` is no
            square; or another option is wrong.
    """

    reference = "Hinton, Sabour & Frosst 2018, Matrix capsules with EM routing (ICLR)"
    example = {
        "channels": 5,
        "types": (3, 4),
        "pose_dim": 9,
        "strides": 2,
        "routing": ["em", {"iterations": 2}],
    }

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        num_classes: int,
        input_size: Sequence[int],
        channels: int = 64,
        kernel_size: PerAxis = 5,
        stride: PerAxis = 2,
        norm: str | Sequence[Any] | None = None,
        types: Sequence[int] = (8, 16, 16),
        pose_dim: int = 16,
        kernel_sizes: PerAxis | Sequence[PerAxis] = 3,
        strides: PerAxis | Sequence[PerAxis] = (2, 1),
        routing: RoutingSpec = "em",
        competition: Literal["location", "map"] = "map",
        coordinate_addition: bool = True,
        capsule_dropout: float = 0.0,
        decoder: str | Sequence[Any] | None = None,
        decoder_widths: Sequence[int] | None = None,
        init_scale: float = 0.1,
    ) -> None:
        at_least_one(channels=channels, pose_dim=pose_dim)
        super().__init__(in_channels, num_classes, input_size, pose_dim, decoder, decoder_widths)
        if not types:
            raise ValueError("types: expected those of the primary capsules at least, got none")
        self.encoder = ConvStack(
            spatial_dims, in_channels, (channels,), kernel_size, stride, 0, norm
        )
        self.primary = MatrixPrimaryCapsules(spatial_dims, channels, types[0], pose_dim)
        with remedy(REMEDY):
            self.grids = [self.primary.output_size(self.encoder.output_size(input_size))]
        self.layers = nn.ModuleList()
        options = {"kernel_sizes": kernel_sizes, "strides": strides}
        many = len(types) - 1
        spread = [
            per_stage(name, value, many, "each capsule layer") for name, value in options.items()
        ]
        for lower, higher, kernel, step in zip(types, types[1:], *spread, strict=False):
            layer = CapsuleConv(
                spatial_dims,
                lower,
                higher,
                pose_dim,
                pose_dim,
                kernel,
                step,
                routing=routing,
                init_scale=init_scale,
                competition=competition,
                transform="matrix",
            )
            self.layers.append(layer)
            with remedy(REMEDY):
                self.grids.append(layer.output_size(self.grids[-1]))
        self.grid = self.grids[-1]
        self.dropout = CapsuleDropout(capsule_dropout)
        self.classes = MatrixCapsuleClasses(
            types[-1],
            num_classes,
            pose_dim,
            self.grid,
            routing,
            coordinate_addition,
            init_scale=init_scale,
        )

    def capsules(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """See `CapsuleNetwork.capsules`."""
        poses, activations = self.primary(self.encoder(image))
        for layer, grid in zip(self.layers, self.grids, strict=False):
            poses, activations = layer(poses, activations, grid=grid)
        routed: tuple[Tensor, Tensor] = self.classes(*self.dropout(poses, activations))
        return routed
