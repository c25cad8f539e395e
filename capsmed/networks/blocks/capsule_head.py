"""A classifier's last part made of capsules, for the features of any backbone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from monai.networks.layers.factories import Pool
from torch import Tensor, nn

from capsmed.networks.blocks.options import PerAxis, at_least_one, per_axis, resolve_padding
from capsmed.networks.layers.capsules import CapsuleLinear, PrimaryCapsules
from capsmed.networks.layers.votes import exporting
from capsmed.networks.registry import RoutingSpec

#: Class activations below this are logits on a straight line instead of on the logarithm.
LEAST_ACTIVATION = 1e-6


class CapsuleHead(nn.Module):
    r"""Primary capsules from a feature map or tokens, routed to one capsule a class.

    With ``output="logits"`` the scores are the logarithms of the class activations, so

    .. math:: \mathrm{softmax}_k \log a_k = a_k / \textstyle\sum_l a_l,

    which is what ``probabilities(activations, "lengths")`` gives: cross-entropy, softmax and
    metrics of an ordinary classifier then work unchanged. See `log_activations`.

    The defaults suit small cohorts: 1x1 kernels, so that any map does, and at most 16 locations of
    8 types. Larger maps are averaged first: 16x16x16 to 2x2x2, and two classes then take 16,384
    vote weights. The number matters for more than size: the more lower capsules add up, the sooner
    all class capsules grow to length one together, where the gradient of their shares fades and
    cross-entropy stalls at ``log(num_classes)``. A smaller learning rate, a larger ``init_scale``,
    ``primary_norm="batch"`` or the margin loss on lengths help there.

    Args:
        spatial_dims: of the feature map, 2 or 3; 1 for tokens ``[batch, tokens, channels]``.
        in_channels: channels of the features.
        num_classes: number of class capsules.
        input_size: spatial size of the feature map, or the number of tokens in a list of one.
        primary_capsules: types of primary capsules at each location.
        primary_dim: components of a primary capsule.
        primary_kernel: kernel of the primary capsules.
        primary_stride: stride of the primary capsules.
        primary_padding: voxels of zero padding there, or ``"same"``.
        primary_norm: MONAI ``Norm`` name before their squash, or None. Wanted by features of large
            scale, such as those of residual encoders without a last norm.
        class_dim: components of a class capsule.
        routing: a name in ``Routing``, or a pair of name and options.
        bias: ask the routing for a bias on each class capsule.
        init_scale: standard deviation of the class capsules' weights at the start.
        max_locations: the map is averaged until each axis has at most its ``spatial_dims``-th root
            of capsule locations: 16 are 4x4, or 2x2x2; 64 are 8x8, or 4x4x4. None: as many as come.
        token_grid: how the tokens lie in the image, row by row, such as ``[7, 7]``: they become a
            map, and a class token in front of it is left out. None: tokens are locations in a row,
            a class token one of them.
        output: ``"logits"`` or ``"lengths"``.

    Raises:
        ValueError: the features are too small for the kernel, or an option is wrong.

    >>> import torch
    >>> head = CapsuleHead(3, in_channels=512, num_classes=2, input_size=(8, 8, 8))
    >>> head.grid, head(torch.rand(5, 512, 8, 8, 8)).shape, head.score_kind
    ((2, 2, 2), torch.Size([5, 2]), 'logits')
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        num_classes: int,
        input_size: Sequence[int],
        primary_capsules: int = 8,
        primary_dim: int = 8,
        primary_kernel: PerAxis = 1,
        primary_stride: PerAxis = 1,
        primary_padding: PerAxis | str = 0,
        primary_norm: str | Sequence[Any] | None = None,
        class_dim: int = 16,
        routing: RoutingSpec = "dynamic",
        bias: bool = False,
        init_scale: float = 0.15,
        max_locations: int | None = 16,
        token_grid: Sequence[int] | None = None,
        output: Literal["logits", "lengths"] = "logits",
    ) -> None:
        super().__init__()
        if output not in ("logits", "lengths"):
            raise ValueError(f"output: expected 'logits' or 'lengths', got {output!r}")
        at_least_one(
            in_channels=in_channels,
            num_classes=num_classes,
            primary_capsules=primary_capsules,
            primary_dim=primary_dim,
            class_dim=class_dim,
        )
        self.score_kind = output
        self.num_classes = num_classes
        self.class_dim = class_dim
        self.token_grid = None if token_grid is None else tuple(token_grid)
        self.input_shape = _input_shape(spatial_dims, in_channels, input_size, self.token_grid)
        size = self.token_grid or tuple(input_size)
        dims = len(size)
        padding = resolve_padding(primary_padding, primary_kernel)
        convolution = (primary_kernel, primary_stride, padding)
        factors = _pool_factors(size, *convolution, max_locations)
        self.pool = _average_pool(factors)
        self.primary = PrimaryCapsules(
            dims, in_channels, primary_capsules, primary_dim, *convolution, primary_norm
        )
        pooled = tuple(math.ceil(n / factor) for n, factor in zip(size, factors, strict=True))
        self.grid = self.primary.output_size(pooled)
        self.classes = CapsuleLinear(
            primary_capsules * math.prod(self.grid),
            num_classes,
            primary_dim,
            class_dim,
            routing,
            bias,
            init_scale,
        )

    def capsules(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Class capsules of a feature map ``[batch, channels, *size]``, or of tokens.

        Returns:
            Poses ``[batch, num_classes, class_dim]`` and scores ``[batch, num_classes]``.

        Raises:
            ValueError: the features have another shape than the head was built for.
        """
        if not exporting() and tuple(features.shape[1:]) != self.input_shape:
            expected = ", ".join(map(str, self.input_shape))
            raise ValueError(
                f"CapsuleHead: expected features [batch, {expected}], got {list(features.shape)}"
            )
        poses, activations = self.classes(
            self.primary(self.pool(self._as_map(features))), grid=self.grid
        )
        logits = self.score_kind == "logits"
        return poses, log_activations(activations) if logits else activations

    def forward(self, features: Tensor) -> Tensor:
        """Class scores ``[batch, num_classes]``; see `capsules`."""
        return self.capsules(features)[1]

    def _as_map(self, features: Tensor) -> Tensor:
        if features.ndim != 3:
            return features
        channels_first = features.transpose(1, 2)
        if self.token_grid is None:
            return channels_first
        in_front = features.shape[1] - math.prod(self.token_grid)
        return channels_first[:, :, in_front:].unflatten(2, self.token_grid)


def log_activations(activations: Tensor, least: float = LEAST_ACTIVATION) -> Tensor:
    """Logarithm of class activations, finite in value and gradient at zero.

    Below ``least`` it goes on as the tangent, ``log(least) + (a - least) / least``: a class that
    has died out gets a gradient of ``1 / least`` there, neither none nor an infinite one.

    Args:
        activations: ``[batch, classes]``, none negative.
        least: where the tangent begins.

    Returns:
        ``[batch, classes]``; its softmax is the activations divided by their sum wherever all of
        them are at least ``least``, and equal shares where all are zero.

    >>> import torch
    >>> log_activations(torch.tensor([0.6, 0.2])).softmax(0)
    tensor([0.7500, 0.2500])
    """
    floored = activations.clamp_min(least)
    return floored.log() + (activations - floored) / least


def least_size(
    spatial_dims: int, primary_kernel: PerAxis = 1, primary_padding: PerAxis | str = 0, **_: Any
) -> tuple[int, ...]:
    """The smallest feature map that a `CapsuleHead` of these options takes.

    >>> least_size(3, primary_kernel=[3, 3, 1], routing="dynamic")
    (3, 3, 1)
    """
    padding = resolve_padding(primary_padding, primary_kernel)
    kernels = per_axis(primary_kernel, spatial_dims)
    paddings = per_axis(padding, spatial_dims)
    return tuple(max(1, k - 2 * p) for k, p in zip(kernels, paddings, strict=True))


def _input_shape(
    spatial_dims: int, channels: int, size: Sequence[int], token_grid: tuple[int, ...] | None
) -> tuple[int, ...]:
    if len(size) != spatial_dims:
        raise ValueError(f"input_size: expected {spatial_dims} numbers, got {list(size)}")
    if spatial_dims > 1:
        if token_grid is not None:
            raise ValueError(f"token_grid: expected None for a feature map, got {list(token_grid)}")
        return (channels, *size)
    if token_grid is not None:
        _check_token_grid(token_grid, size[0])
    return (size[0], channels)


def _check_token_grid(grid: tuple[int, ...], tokens: int) -> None:
    for number in grid:
        at_least_one(token_grid=number)
    if math.prod(grid) in (tokens, tokens - 1):
        return
    sides = {many: round(many ** (1 / len(grid))) for many in (tokens, tokens - 1) if grid}
    even = [str([side] * len(grid)) for many, side in sides.items() if side ** len(grid) == many]
    such = f", such as {even[0]}" if even else ""
    raise ValueError(
        f"token_grid: expected a grid of {tokens} locations for {tokens} tokens, or of "
        f"{tokens - 1} and a class token{such}, got {list(grid)}, which is {math.prod(grid)}"
    )


def _pool_factors(
    size: Sequence[int],
    kernel: PerAxis,
    stride: PerAxis,
    padding: PerAxis,
    max_locations: int | None,
) -> tuple[int, ...]:
    """How much to average each axis by, so that few enough capsule locations come out."""
    if max_locations is None:
        return (1,) * len(size)
    if max_locations < 1:
        raise ValueError(f"max_locations: expected 1 or more, or None, got {max_locations}")
    limit = int(max_locations ** (1 / len(size)) + 1e-9)
    axes = (per_axis(option, len(size)) for option in (kernel, stride, padding))

    def factor(n: int, k: int, s: int, p: int) -> int:
        least = max(k - 2 * p, 1)
        most = max(limit * s + k - 2 * p - 1, 1)  # the longest axis that gives `limit` locations
        return max(1, min(math.ceil(n / most), n // least))

    return tuple(factor(*values) for values in zip(size, *axes, strict=True))


def _average_pool(factors: tuple[int, ...]) -> nn.Module:
    if max(factors) == 1:
        return nn.Identity()
    pool: nn.Module = Pool["avg", len(factors)](factors, factors, ceil_mode=True)
    return pool
