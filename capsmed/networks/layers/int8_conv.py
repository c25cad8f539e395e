"""Convolution in 8-bit integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from capsmed.networks.layers.inference_conv import InferenceConv
from capsmed.networks.layers.votes import exporting

_CONVOLVE: dict[int, Callable[..., Tensor]] = {2: F.conv2d, 3: F.conv3d}


class Int8Conv(nn.Module):
    r"""An `InferenceConv` whose products are of 8-bit integers: dynamic quantisation.

    .. math::
        y = s_w s_x \, (w_q * x_q) + b, \quad
        w_q = \mathrm{round}(w / s_w), \quad x_q = \mathrm{round}(x / s_x)

    with one :math:`s_w` an output channel, and one :math:`s_x` an image of the batch, found anew in
    every call from its largest value. An image without negative values takes all 256 levels, any
    other 255 around zero; a batch that has both is computed in two parts. So an image's result does
    not depend on the rest of its batch. Sums are exact; the result is float32.

    It computes with oneDNN's operators. While exporting, and of an empty batch, it computes the
    same numbers by an ordinary convolution of rounded features, in float32.

    Args:
        layer: the convolution in float32, of one group.

    Raises:
        ValueError: the convolution is grouped or 1D, or torch has no such operators here.
    """

    weight: Tensor
    scale: Tensor

    def __init__(self, layer: InferenceConv) -> None:
        super().__init__()
        if layer.groups != 1 or layer.weight.ndim < 4:
            raise ValueError(
                f"int8: expected a 2D or 3D convolution of one group, got {layer.weight.ndim - 2}D "
                f"of {layer.groups}; keep it in float32"
            )
        check_platform(layer.weight.device)
        self.in_channels, self.out_channels = layer.in_channels, layer.out_channels
        self.kernel_size, self.stride = layer.kernel_size, layer.stride
        self.padding, self.dilation, self.groups = layer.padding, layer.dilation, layer.groups
        self.relu = layer.relu
        self.form = "int8"
        weight = layer.weight.detach().float()
        largest = weight.flatten(1).abs().amax(1)
        scale = largest.clamp_min(torch.finfo(torch.float32).tiny) / weight_levels()
        axes = (-1, *[1] * (weight.ndim - 1))
        self.register_buffer("weight", (weight / scale.view(axes)).round().to(torch.int8))
        self.register_buffer("scale", scale)
        self.bias = layer.bias
        self._packed: dict[int, Tensor] = {}

    def forward(self, features: Tensor) -> Tensor:
        """Feature maps ``[batch, out_channels, ...]`` of ``features [batch, in_channels, ...]``.

        Raises:
            ValueError: the layer or the features are on another device than the CPU, or the layer
                was converted to another precision.
        """
        if self.scale.dtype != torch.float32:
            raise ValueError(
                f"int8: expected the other numbers in float32, got {self.scale.dtype}; leave out "
                "the conversion, such as .half(), and quantise the network as trained"
            )
        if features.ndim == self.weight.ndim - 1:
            alone: Tensor = self(features.unsqueeze(0))
            return alone.squeeze(0)
        features = features.float()
        if not exporting() and not self._takes(features):
            nothing = features.new_zeros(())
            return self._in_floats(features, nothing, nothing)
        axes = tuple(range(1, features.ndim))
        low, high = features.amin(axes, keepdim=True), features.amax(axes, keepdim=True)
        if exporting():
            return self._in_floats(features, low, high)
        check_platform(features.device)
        signed = low.flatten() < 0
        count = int(signed.sum())
        if count in (0, len(features)):
            return self._in_integers(features, low, high, 128 if count else 0)
        maps = torch.cat([self(features[signed]), self(features[~signed])])
        order = torch.cat([signed.nonzero(), (~signed).nonzero()]).flatten()
        return maps[order.argsort()]

    def _takes(self, features: Tensor) -> bool:
        """Whether oneDNN can; what is empty or does not fit is PyTorch's to compute or refuse."""
        if features.ndim != self.weight.ndim or not features.numel():
            return False
        geometry: Any = (self.padding, self.dilation, self.kernel_size)
        axes = zip(features.shape[2:], *geometry, strict=True)
        fits = all(n + 2 * p > d * (k - 1) for n, p, d, k in axes)
        return fits and features.shape[1] == self.in_channels

    def _in_integers(self, features: Tensor, low: Tensor, high: Tensor, zero: int) -> Tensor:
        """Of images that are alike in having negative values (``zero`` is 128) or none (0)."""
        step = _step(low, high, 127 if zero else 255)
        rounded = (features / step).round_()
        whole = (rounded.add_(zero) if zero else rounded).to(torch.uint8)
        maps = self._convolve(whole, zero).mul_(step)
        if self.bias is not None:
            maps.add_(self._along_channels(self.bias, maps))
        return maps.relu_() if self.relu else maps

    def _in_floats(self, features: Tensor, low: Tensor, high: Tensor) -> Tensor:
        levels = torch.where(low < 0, 127.0, 255.0)
        step = _step(low, high, levels)
        convolve = _CONVOLVE[self.weight.ndim - 2]
        weight = self.weight.float()
        maps = convolve(
            (features / step).round(), weight, None, self.stride, self.padding, self.dilation
        )
        maps = maps * self._along_channels(self.scale, maps) * step
        maps = maps if self.bias is None else maps + self._along_channels(self.bias, maps)
        return maps.relu() if self.relu else maps

    def _convolve(self, whole: Tensor, zero: int) -> Tensor:
        """Of integers, in units of a step; weights are in their own units."""
        geometry = (list(self.stride), list(self.padding), list(self.dilation), 1)
        if zero not in self._packed:
            self._packed[zero] = torch.ops.onednn.qconv_prepack(
                self.weight, self.scale, 1.0, zero, *geometry, whole.shape
            )
        zeros = torch.zeros(len(self.scale), dtype=torch.int32)
        weights = (self._packed[zero], self.scale, zeros, None)
        after: Any = (1.0, 0, torch.float32, "none", [], "")  # a ReLU is refused in 3D
        maps: Tensor = torch.ops.onednn.qconv_pointwise(
            whole, 1.0, zero, *weights, *geometry, *after
        )
        return maps

    def _along_channels(self, values: Tensor, maps: Tensor) -> Tensor:
        return values.view(1, -1, *[1] * (maps.ndim - 2))

    def _load_from_state_dict(self, *arguments: Any) -> None:
        self._packed = {}
        super()._load_from_state_dict(*arguments)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_packed": {}}

    def extra_repr(self) -> str:
        """The settings, for ``print(network)``."""
        size = f"{self.in_channels}, {self.out_channels}, kernel_size={tuple(self.kernel_size)}"
        return f"{size}, stride={tuple(self.stride)}, relu={self.relu}, int8"


def _step(low: Tensor, high: Tensor, levels: Any) -> Tensor:
    largest = torch.maximum(high, -low)
    return largest.clamp_min(torch.finfo(torch.float32).tiny * 1e6) / levels


def weight_levels() -> int:
    """Largest integer of a weight: 127, or 63 where sums of two products could overflow.

    Processors without VNNI instructions add up pairs of products in 16 bits.
    """
    supported = getattr(torch.cpu, "_is_vnni_supported", lambda: False)
    return 127 if supported() else 63


def check_platform(device: torch.device) -> None:
    """Check that 8-bit convolutions can be computed on ``device``.

    Raises:
        ValueError: it is no CPU, or torch has no oneDNN operators for its processor.
    """
    if device.type != "cpu":
        raise ValueError(
            f"int8: expected a network and images on the CPU, got {device.type}; "
            "move them with .to('cpu'), or stay with float32"
        )
    if "onednn" not in torch.backends.quantized.supported_engines:
        engines = ", ".join(torch.backends.quantized.supported_engines)
        raise ValueError(
            f"int8: expected oneDNN's operators, which torch has on x86 processors, got {engines}; "
            "stay with float32"
        )
