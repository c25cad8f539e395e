"""What one image costs a network: multiply-adds, counted as it runs."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from capsmed.networks.layers.spectral_conv import SpectralConv2d, SpectralConv3d
from capsmed.networks.tuning import use_convolutions


def multiply_adds(network: nn.Module, image: Tensor) -> int:
    """Multiply-adds of a forward pass: those of convolutions and matrix products, exactly.

    A convolution counts as a direct one, however it is computed, at every place where it gives a
    value, padding included. Routing counts with all of its passes. Norms, activations, squashing
    and softmax are elementwise and are not counted, as is usual.

    Args:
        network: stays as it is; a copy runs in evaluation mode.
        image: ``[batch, channels, ...]``.

    >>> multiply_adds(nn.Linear(3, 5), torch.zeros(2, 3))
    30
    """
    network = copy.deepcopy(network).eval()
    spectral = (SpectralConv2d, SpectralConv3d)
    names = [name for name, module in network.named_modules() if isinstance(module, spectral)]
    use_convolutions(network, dict.fromkeys(names, "direct"))
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=_IN_PLACE) as counter:
        network(image)
    return int(counter.get_total_flops()) // 2


def parameters(network: nn.Module) -> int:
    """Parameters of a network without those of its decoder, which only training needs."""
    decoder = getattr(network, "decoder", None)
    total = sum(parameter.numel() for parameter in network.parameters())
    return total - (0 if decoder is None else sum(p.numel() for p in decoder.parameters()))


def _added_product(into: Any, left: torch.Size, right: torch.Size, **options: Any) -> int:
    """Floating-point operations of ``into += left right``, of matrices or batches of them."""
    return 2 * math.prod(left) * right[-1]


#: Products that are added in place, which torch's counter leaves out.
_IN_PLACE = {
    torch.ops.aten.addmm_: _added_product,
    torch.ops.aten.baddbmm_: _added_product,
}
