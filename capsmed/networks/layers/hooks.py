"""Whether a layer may be computed without being called."""

from __future__ import annotations

from torch import nn


def hooked(module: nn.Module) -> bool:
    """Whether somebody waits for the module to be called, or for its gradients."""
    forward = module._forward_hooks or module._forward_pre_hooks
    return bool(forward or module._backward_hooks or module._backward_pre_hooks)
