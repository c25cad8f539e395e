"""Whether a layer may be computed without being called."""

from __future__ import annotations

from torch import nn
from torch.nn.modules import module as every

_EVERYWHERE = tuple(
    getattr(every, f"_global_{kind}_hooks", {})
    for kind in ("forward", "forward_pre", "backward", "backward_pre")
)


def hooked(module: nn.Module) -> bool:
    """Whether somebody waits for the module to be called, or for its gradients."""
    forward = module._forward_hooks or module._forward_pre_hooks
    return bool(forward or module._backward_hooks or module._backward_pre_hooks)


def called_by_others(module: nn.Module) -> bool:
    """`hooked`, or there are hooks on all modules, or its ``forward`` was replaced by another."""
    return hooked(module) or any(_EVERYWHERE) or "forward" in vars(module)
