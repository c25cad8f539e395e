"""Convolution modules that compute by Fourier coefficients (`capsmed.networks.layers.spectral`)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from capsmed.networks.layers.hooks import hooked
from capsmed.networks.layers.spectral import (
    Geometry,
    SpectralConvolution,
    coefficients_of,
    convolve,
    kernel_coefficients,
    plan_of,
    split_phases,
)
from capsmed.networks.layers.votes import exporting


class _Spectral:
    """What 2D and 3D have alike; the direct convolution is the next class in line."""

    weight: Tensor
    bias: Tensor | None
    _kept: tuple[Any, Tensor] | None = None

    def keep_kernel(self, image: Tensor) -> None:
        """Transform the kernel once for inference on images of the size of ``image``.

        It is used while gradients are off and the weight is not changed in place.
        """
        geometry = geometry_of(self, image)  # type: ignore[arg-type]
        coefficients = kernel_coefficients(self.weight.detach(), geometry)
        self._kept = (self._facts(geometry), coefficients)

    def _facts(self, geometry: Geometry) -> tuple[Any, ...]:
        weight = self.weight
        version = None if weight.is_inference() else weight._version
        return geometry, version, weight.data_ptr(), weight.dtype, weight.device

    def forward(self, image: Tensor) -> Tensor:
        """``[batch, out, ...]`` of ``image [batch, in, ...]``."""
        conv: Any = self
        unusual = image.ndim != self.weight.ndim or not image.numel() or image.is_meta
        if exporting() or unusual or not geometry_of(conv, image).feasible:
            direct: Tensor = super().forward(image)  # type: ignore[misc]
            return direct
        geometry = geometry_of(conv, image)
        with torch.autocast(image.device.type, enabled=False):
            result = self._transformed(image.to(self.weight.dtype), geometry)
        if torch.is_autocast_enabled(image.device.type):
            return result.to(torch.get_autocast_dtype(image.device.type))
        return result

    def _transformed(self, image: Tensor, geometry: Geometry) -> Tensor:
        conv: Any = self
        fill = conv._reversed_padding_repeated_twice
        padded = F.pad(image, fill) if any(fill) else image  # F.pad copies in any case
        kept = None if torch.is_grad_enabled() else self._kept
        if kept is not None and kept[0] == self._facts(geometry):
            plan = plan_of(geometry, padded.dtype, padded.device)
            laid = split_phases(padded, geometry.stride, geometry.window)
            result = convolve(coefficients_of(plan.image, laid), kept[1], geometry)
        else:
            result = SpectralConvolution.apply(padded, self.weight, geometry)
        if self.bias is None:
            return result
        return result + self.bias.view(-1, *[1] * len(geometry.kernel))


class SpectralConv2d(_Spectral, nn.Conv2d):
    """`torch.nn.Conv2d` computed by Fourier coefficients; direct while being exported."""


class SpectralConv3d(_Spectral, nn.Conv3d):
    """`torch.nn.Conv3d` computed by Fourier coefficients; direct while being exported."""


def geometry_of(conv: nn.Conv2d | nn.Conv3d, image: Tensor) -> Geometry:
    """Sizes of a convolution of ``image [batch, in, ...]``."""
    fill = conv._reversed_padding_repeated_twice
    both = [low + high for low, high in zip(fill[::2], fill[1::2], strict=True)]
    padded = (n + p for n, p in zip(image.shape[2:], reversed(both), strict=True))
    return Geometry(tuple(padded), tuple(conv.kernel_size), tuple(conv.stride))


def replaceable(conv: Any) -> bool:
    """Whether it is torch's own convolution (or ours), and nothing but that.

    Subclasses compute something else, hooks and parametrisations belong to the module they are on.
    """
    if type(conv) not in (nn.Conv2d, nn.Conv3d, SpectralConv2d, SpectralConv3d):
        return False
    if hooked(conv):
        return False
    return bool(conv.groups == 1 and set(conv.dilation) == {1} and conv.padding_mode == "zeros")


def spectral(conv: nn.Conv2d | nn.Conv3d) -> SpectralConv2d | SpectralConv3d:
    """The same convolution by Fourier coefficients, with the same parameter objects.

    Raises:
        ValueError: see `replaceable`.
    """
    if not replaceable(conv):
        raise ValueError(
            "conv: expected torch's own Conv2d or Conv3d without groups, dilation, hooks and "
            f"parametrisation, padded with zeros, got {conv}"
        )
    kind = SpectralConv3d if isinstance(conv, nn.Conv3d) else SpectralConv2d
    return _as(kind, conv)


def direct(conv: nn.Conv2d | nn.Conv3d) -> nn.Conv2d | nn.Conv3d:
    """Undo `spectral`: PyTorch's own convolution with the same parameter objects."""
    return _as(nn.Conv3d if isinstance(conv, nn.Conv3d) else nn.Conv2d, conv)


def _as(kind: Any, conv: nn.Conv2d | nn.Conv3d) -> Any:
    twin = kind(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        conv.stride,
        conv.padding,
        bias=conv.bias is not None,
        device="meta",
    )
    twin.weight, twin.bias = conv.weight, conv.bias
    return twin.train(conv.training)
