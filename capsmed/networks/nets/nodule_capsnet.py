"""A capsule network for nodules that is small by design, in 2D and 3D."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from capsmed.networks.blocks.options import PerAxis, check_image_options
from capsmed.networks.nets.capsnet import CapsNet
from capsmed.networks.registry import RoutingSpec

#: What the network is without options, by its number of axes; kernel: of the first stage.
GEOMETRIES: dict[int, dict[str, Any]] = {
    2: {"channels": (16, 32, 32, 64), "kernel": 5, "primary_capsules": 6},
    3: {"channels": (8, 16, 32), "kernel": 3, "primary_capsules": 4},
}
#: Most locations of capsules along an axis.
LOCATIONS = {2: 5, 3: 4}


class NoduleCapsNet(CapsNet):
    """`CapsNet` whose cost does not grow with the patch: at most 100,000 parameters, 10 M products.

    Without decoder, for two classes, measured: 84,200 parameters and 3.9 M multiply-adds in 3D
    at 16x16x16 as at 32x32x32; 85,216 and 5.3 M in 2D at 40x40. Published 3D capsule networks for
    nodules have 9x9x9 kernels and 256 channels, 52 M parameters and 27 G multiply-adds.

    Strides follow from the image: each axis is halved until 4 locations are left (2D: 5), by the
    last stages first, so that a small patch keeps its detail and a large one is not computed at its
    full size. The capsules are then as many for any image. In 2D the primary capsules take one of
    the halvings and a 3x3 kernel; in 3D their kernel is 1x1x1. Votes are not formed, see
    `LinearVotes`. Batch norm follows every convolution of the encoder.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        num_classes: number of class capsules.
        input_size: spatial size of the image.
        channels: output channels of each stage; None for 8, 16, 32 (2D: 16, 32, 32, 64).
        kernel_sizes: kernel of each stage; None for 3 (2D: 5 in the first).
        norm: MONAI ``Norm`` name, or None.
        act: MONAI ``Act`` name.
        dropout: probability of dropping a channel after each stage.
        primary_capsules: types of primary capsules at each location; None for 4 (2D: 6).
        primary_dim: components of a primary capsule.
        class_dim: components of a class capsule.
        routing: a name in ``Routing``, or a pair of name and options.
        decoder: ``"dense"``, ``"conv"``, a pair of name and options, or None. At 16x16x16 a dense
            one costs little; at 32x32x32 it takes longer than the network itself.
        decoder_widths: the decoder's hidden widths; None for its own default.
        init_scale: standard deviation of the capsules' weights at the start.
        multilabel: an image may show several classes; scores are then read as they are.

    Raises:
        ValueError: the image is too small for the kernels, with the sizes; or an option is wrong.

    >>> network = NoduleCapsNet(3, 1, 2, (32, 32, 32), decoder=None)
    >>> network.grid, sum(p.numel() for p in network.parameters())
    ((4, 4, 4), 84200)
    """

    reference = "Sabour, Frosst & Hinton 2017, arXiv 1710.09829, small kernels"

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        num_classes: int,
        input_size: Sequence[int],
        channels: Sequence[int] | None = None,
        kernel_sizes: PerAxis | Sequence[PerAxis] | None = None,
        norm: str | Sequence[Any] | None = "batch",
        act: str | Sequence[Any] = "RELU",
        dropout: float = 0.0,
        primary_capsules: int | None = None,
        primary_dim: int = 8,
        class_dim: int = 16,
        routing: RoutingSpec = "dynamic",
        decoder: str | Sequence[Any] | None = None,
        decoder_widths: Sequence[int] | None = (64, 128),
        init_scale: float = 0.02,
        multilabel: bool = False,
    ) -> None:
        check_image_options(spatial_dims, in_channels, num_classes, input_size)
        encoder = self.encoder_options(
            spatial_dims, input_size, channels, kernel_sizes, norm, act, dropout
        )
        flat = spatial_dims == 2
        types = GEOMETRIES[spatial_dims]["primary_capsules"]
        super().__init__(
            spatial_dims,
            in_channels,
            num_classes,
            input_size,
            **encoder,
            primary_capsules=types if primary_capsules is None else primary_capsules,
            primary_dim=primary_dim,
            primary_kernel=3 if flat else 1,
            primary_stride=strides(input_size, len(encoder["channels"]))[-1] if flat else 1,
            class_dim=class_dim,
            routing=routing,
            decoder=decoder,
            decoder_widths=decoder_widths,
            init_scale=init_scale,
            multilabel=multilabel,
        )

    @staticmethod
    def encoder_options(
        spatial_dims: int,
        input_size: Sequence[int],
        channels: Sequence[int] | None = None,
        kernel_sizes: PerAxis | Sequence[PerAxis] | None = None,
        norm: str | Sequence[Any] | None = "batch",
        act: str | Sequence[Any] = "RELU",
        dropout: float = 0.0,
    ) -> dict[str, Any]:
        """Options of the `ConvEncoder` that this network has for an image of ``input_size``.

        An ordinary head on the same features is built with them. Arguments as for the network.
        """
        own = GEOMETRIES[spatial_dims]
        widths = own["channels"] if channels is None else channels
        if not isinstance(widths, Sequence) or not widths:
            raise ValueError(f"channels: expected one number a stage, got {widths!r}")
        steps = strides(input_size, len(widths))[: len(widths)]
        first = tuple(max(own["kernel"], step + 1) for step in steps[0])  # sees every voxel
        return {
            "channels": widths,
            "kernel_sizes": [first, *[3] * (len(widths) - 1)]
            if kernel_sizes is None
            else kernel_sizes,
            "strides": steps,
            "padding": "same",
            "norm": norm,
            "act": act,
            "dropout": dropout,
        }


def strides(input_size: Sequence[int], stages: int) -> list[tuple[int, ...]]:
    """Strides of the stages of an image's encoder, one number an axis, and in 2D of the capsules.

    The last stages halve first, in 2D every second one, the capsules being the very last. What
    they cannot take falls to the first stage.

    >>> strides((16, 32, 64), stages=3)
    [(1, 2, 4), (2, 2, 2), (2, 2, 2)]
    >>> strides((40, 40), stages=4)
    [(2, 2), (1, 1), (2, 2), (1, 1), (2, 2)]
    """
    backwards = range(stages - 1, -1, -1)
    order = [*backwards]
    if len(input_size) == 2:
        order = [stages, *backwards[1::2], *backwards[::2]]
    most = LOCATIONS[len(input_size)]
    axes = [_strides_of_axis(-(-size // most), order) for size in input_size]
    return [tuple(axis[stage] for axis in axes) for stage in range(len(order))]


def _strides_of_axis(factor: int, order: Sequence[int]) -> list[int]:
    steps = [1] * len(order)
    for number in range((factor - 1).bit_length()):  # halvings that divide by factor or more
        steps[order[number] if number < len(order) else 0] *= 2
    return steps
