"""Convolutions with kernels of one voxel as matrix products."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from capsmed.networks.layers.hooks import called_by_others
from capsmed.networks.layers.votes import exporting

#: Features of at most this many numbers, and as many for a copy of the weight each sample, as its
#: gradient needs; beyond, oneDNN's convolutions are often the faster ones.
MOST = 2**17
_KINDS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def convolve(conv: nn.Module, features: Tensor) -> Tensor:
    """What ``conv(features)`` gives, sooner where its kernel is one voxel and the features are few.

    A small convolution spends most of its time on setting up and on copies into oneDNN's layouts,
    three times in a training step. A batch of matrix products reads features and weights as they
    lie in memory; forward and backward of 16 maps of 32x4x4x4 then take 0.6 of the time on two
    cores. Many channels at few locations take far longer so, and are convolved. Results differ by
    rounding.

    Args:
        conv: a convolution; one with hooks, of another class or another kernel is simply called.
        features: ``[batch, in_channels, ...]``.
    """
    if not (_single(conv) and _few(features, conv)):
        maps: Tensor = conv(features)
        return maps
    layer: Any = conv
    weight = layer.weight.flatten(1).expand(len(features), -1, -1)
    columns = features.flatten(2)
    if layer.bias is None:
        product = torch.bmm(weight, columns)
    else:
        product = torch.baddbmm(layer.bias.unsqueeze(1), weight, columns)
    return product.unflatten(2, features.shape[2:])


def _single(conv: nn.Module) -> bool:
    if type(conv) not in _KINDS or called_by_others(conv):
        return False
    layer: Any = conv
    padded = not isinstance(layer.padding, str) and any(layer.padding)
    return {*layer.kernel_size, *layer.stride, layer.groups} == {1} and not padded


def _few(features: Tensor, conv: Any) -> bool:
    """Whether products pay; not of what only stands for a tensor, as while a graph is read."""
    if type(features) is not Tensor or exporting() or features.device.type != "cpu":
        return False
    fits = features.ndim == conv.weight.ndim and features.shape[1] == conv.in_channels
    largest = max(features.numel(), len(features) * conv.weight.numel())
    return fits and features.is_contiguous() and features.numel() > 0 and largest <= MOST
