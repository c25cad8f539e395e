"""Fast CapsNet for volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from capsmed.networks.blocks.options import remedy
from capsmed.networks.nets.capsnet import CapsNet
from capsmed.networks.registry import RoutingSpec

#: Options of `CapsNet`, by the name of the geometry.
GEOMETRIES: dict[str, dict[str, Any]] = {
    "paper": {"channels": (256,), "kernel_sizes": 9},
    "small": {
        "channels": (16, 32),
        "kernel_sizes": 3,
        "strides": 2,
        "padding": "same",
        "norm": "batch",
        "primary_capsules": 8,
        "primary_kernel": 3,
        "primary_padding": "same",
    },
}


class FastCapsNet3d(CapsNet):
    """`CapsNet` with routing that is consistent over a location, and a convolutional decoder.

    Mobiny & Van Nguyen 2018 (arXiv 1806.07416), for nodules of 32x32x32 voxels and two classes:
    convolution of 256 channels, 9x9x9; primary capsules of 256 channels, 9x9x9, stride 2, on a grid
    of 8x8x8; two 16-D class capsules. These are 52,157,184 parameters, and 52,233,873 with this
    decoder: the paper's 52.2 M. The paper's decoder would add 19,473: it is given the votes at all
    grid locations, which our decoders are not; they see class capsules, so that these can be moved
    and looked at. A volume takes 27 G multiplications: for CPUs there is ``geometry="small"``.

    The authors' released code makes the 256 channels of a location one capsule. Here they are 32
    8-D ones, as in `CapsNet`, each squashed; votes, couplings and the number of parameters are the
    same, see `ConsistentRouting`. Options other than these are `CapsNet`'s, which is the same
    network with ``routing="consistent"``.

    Args:
        spatial_dims: 3, or 2 for slices.
        in_channels: channels of the image.
        num_classes: number of class capsules.
        input_size: spatial size of the image.
        geometry: ``"paper"``, or ``"small"``: two 3x3x3 convolutions of 16 and 32 channels and 8
            8-D primary capsule types, each with stride 2 and batch norm after the convolutions.
        class_dim: components of a class capsule.
        routing: a name in ``Routing``, or a pair of name and options.
        decoder: ``"conv"``, ``"dense"``, a pair of name and options, or None.
        decoder_widths: the decoder's hidden widths; None for its own default.
        init_scale: standard deviation of the capsules' weights at the start.
        multilabel: an image may show several classes; scores are then read as they are.

    Raises:
        ValueError: the image is too small for the kernels, with the sizes; or an option is wrong.
    """

    reference = "Mobiny & Van Nguyen 2018, Fast CapsNet, arXiv 1806.07416"
    example = {"geometry": "small"}

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        num_classes: int,
        input_size: Sequence[int],
        geometry: Literal["paper", "small"] = "paper",
        class_dim: int = 16,
        routing: RoutingSpec = "consistent",
        decoder: str | Sequence[Any] | None = "conv",
        decoder_widths: Sequence[int] | None = (4, 16, 16),
        init_scale: float = 0.05,
        multilabel: bool = False,
    ) -> None:
        if geometry not in GEOMETRIES:
            raise ValueError(f"geometry: expected 'paper' or 'small', got {geometry!r}")
        with remedy("use a larger input, or geometry: small"):
            super().__init__(
                spatial_dims,
                in_channels,
                num_classes,
                input_size,
                **GEOMETRIES[geometry],
                class_dim=class_dim,
                routing=routing,
                decoder=decoder,
                decoder_widths=decoder_widths,
                init_scale=init_scale,
                multilabel=multilabel,
            )
