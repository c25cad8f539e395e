"""Floating-point operations of a training step: nominal ones, and those by Fourier coefficients.

A multiply-add counts as two. Nominal are those that the layers need: a convolution is a direct one,
a capsule layer is its votes, once each way; norms, activations and routing are not counted.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from capsmed.networks import TrainingWrapper
from capsmed.networks.layers import CapsuleLinear
from capsmed.networks.layers.fourier import real_fourier
from capsmed.networks.layers.spectral import Geometry
from capsmed.networks.layers.spectral_conv import SpectralConv2d, SpectralConv3d, geometry_of
from capsmed.networks.tuning import candidates

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_KNOWN = (*_CONVOLUTIONS, nn.Linear, CapsuleLinear)


def training_flop(wrapper: TrainingWrapper, image: Tensor, target: Tensor) -> float:
    """Nominal operations of forward and backward.

    Each layer counts its products forward and twice backward, for the gradients of its weight and
    of its input; a layer on the image itself needs the first only.

    Args:
        wrapper: stays as it is; a copy runs in evaluation mode.
        image: ``[batch, channels, ...]``.
        target: class indices ``[batch]``, for the decoder.

    Raises:
        ValueError: the network has weights of a kind that is not known here.
    """
    wrapper = copy.deepcopy(wrapper).eval()
    counted: list[float] = []
    for name, module in wrapper.named_modules():
        if isinstance(module, _KNOWN):
            module.register_forward_hook(_counter(counted))
        elif any(p.ndim > 1 for p in module.parameters(recurse=False)):
            raise ValueError(f"{name}: expected convolutions, linear layers and capsules only")
    wrapper(image, target)
    return sum(counted)


def _counter(counted: list[float]) -> Callable[..., None]:
    def count(layer: Any, inputs: tuple[Tensor, ...], output: Any) -> None:
        if isinstance(layer, _CONVOLUTIONS):
            places = len(output) * math.prod(output.shape[2:])
        elif isinstance(layer, nn.Linear):
            places = output.numel() // layer.out_features
        else:
            places = len(inputs[0])
        ways = 3 if inputs[0].requires_grad else 2
        counted.append(2.0 * ways * places * layer.weight.numel())

    return count


def fourier_flop(geometry: Geometry, batch: int, inner: int, outer: int, *, to_image: bool) -> int:
    """Operations of a convolution and its gradients by Fourier coefficients: of all its products.

    Args:
        geometry: its sizes.
        batch: number of images.
        inner: channels of the image.
        outer: channels of the result.
        to_image: whether the image's gradient is computed.
    """
    inner *= math.prod(geometry.stride)
    window, taps = math.prod(geometry.window), math.prod(geometry.taps)
    output = math.prod(geometry.output)
    fourier = real_fourier(geometry.window)
    # Gauss: three products for a pair of conjugate frequencies
    mixed = (fourier.singles + 3 * fourier.pairs) * batch * inner * outer
    image = window * window * batch * inner
    kernel = window * taps * outer * inner
    result = window * output * batch * outer
    forward = image + kernel + mixed + result
    backward = result + mixed + kernel + (mixed + image if to_image else 0)
    return 2 * (forward + backward)


def done_flop(network: nn.Module, image: Tensor, nominal: float) -> float:
    """Operations of a step whose convolutions are computed as they are in ``network``.

    Args:
        network: direct convolutions, and those by Fourier coefficients.
        image: ``[batch, channels, ...]``.
        nominal: operations where all are direct.
    """
    for name, met in candidates(network, image).items():
        conv: Any = network.get_submodule(name)
        if isinstance(conv, SpectralConv2d | SpectralConv3d):
            geometry, to_image = geometry_of(conv, met), met.data_ptr() != image.data_ptr()
            places = len(met) * math.prod(geometry.output)
            nominal -= 2.0 * (3 if to_image else 2) * places * conv.weight.numel()
            nominal += fourier_flop(
                geometry, len(met), conv.in_channels, conv.out_channels, to_image=to_image
            )
    return nominal
