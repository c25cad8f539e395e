"""Modules of a network that have no part in the features taken from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

Features = Callable[..., Tensor]


def drop_unused(network: nn.Module, features: Features, image: Tensor) -> tuple[str, ...]:
    """Replace by ``nn.Identity`` the modules without part in ``features(network, image)``.

    Parameters without part are those that get no gradient. Where the network does not run without
    their modules, or gives other features, these stay; their parameters are then set to need no
    gradient, as are those in modules that have a part.

    Args:
        network: in evaluation mode; is changed.
        features: called as ``features(network, image, whole=True)``.
        image: ``[1, channels, *size]``.

    Returns:
        Names of the modules replaced, outer ones only.
    """
    unused = _without_gradient(network, features, image)
    if not unused:
        return ()
    before = features(network, image, whole=True)
    places = list(_places(network, unused))
    for parent, name, _, _ in places:
        setattr(parent, name, nn.Identity())
    if not _gives(before, network, features, image):
        for parent, name, _, module in places:
            setattr(parent, name, module)
        places = []
    for parameter in network.parameters():
        if id(parameter) in unused:
            parameter.requires_grad_(False)
    return tuple(path for _, _, path, _ in places)


def _without_gradient(network: nn.Module, features: Features, image: Tensor) -> set[int]:
    """Identities of the parameters that the features do not depend on; nothing else changes."""
    parameters = [p for p in network.parameters() if p.is_floating_point()]
    kept = [(p, p.requires_grad, p.grad) for p in parameters]
    for parameter in parameters:
        parameter.requires_grad_(True)
        parameter.grad = None
    try:
        with torch.enable_grad():
            # checkpointed layers pass a gradient on only where their input needs one
            features(network, image.clone().requires_grad_()).float().sum().backward()
        return {id(p) for p in parameters if p.grad is None}
    finally:
        for parameter, needs, gradient in kept:
            parameter.requires_grad_(needs)
            parameter.grad = gradient


def _places(
    module: nn.Module, unused: set[int], prefix: str = ""
) -> Iterator[tuple[nn.Module, str, str, nn.Module]]:
    """Parent, name, full name and module of the outermost modules all of whose parameters are."""
    for name, child in module.named_children():
        own = [id(parameter) in unused for parameter in child.parameters()]
        listed = isinstance(child, (nn.ModuleList, nn.ModuleDict))  # a loop may run over these
        if own and all(own) and not listed:
            yield module, name, f"{prefix}{name}", child
        elif any(own):
            yield from _places(child, unused, f"{prefix}{name}.")


def _gives(expected: Tensor, network: nn.Module, features: Features, image: Tensor) -> bool:
    try:
        got = features(network, image, whole=True)
    except Exception:  # a foreign network may fail in any way without one of its parts
        return False
    return got.shape == expected.shape and torch.allclose(got, expected)
