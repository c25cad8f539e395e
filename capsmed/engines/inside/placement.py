"""Where in the image the locations of the lower capsules lie, found by asking the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from capsmed.engines.inside.probe import watched


@dataclass(frozen=True)
class Placement:
    """Centres of the locations along each axis of the image, in voxels: first + number * step."""

    first: tuple[float, ...]
    step: tuple[float, ...]


def place(network: Any, images: Tensor) -> Placement | None:
    """Find the centre of what each location of the class layer's lower capsules sees.

    The field of a location is where the gradient of its capsules by the image is not zero. The
    outer edge of a corner's field may be cut by the border, the inner edge is not: the inner edges
    of the first two locations and of the last give distance and middle of the centres. Where
    fields are wider than the image (deep or attention backbones), the locations are spread
    evenly over it.

    Args:
        network: in evaluation mode.
        images: some images ``[n, channels, ...]``; several, as a silent unit has no gradient.

    Returns:
        None where the lower capsules have no locations.
    """
    with torch.enable_grad(), watched(network) as calls:
        images = images.detach().clone().requires_grad_()
        network.capsules(images)
        call = calls[-1]
        grid = call.votes.grid
        if not grid or len(grid) != images.ndim - 2:
            return None
        maps = call.votes.poses.unflatten(1, (call.types, *grid))
        places = [[min(1, n - 1) for n in grid], [0] * len(grid), [n - 1 for n in grid]]
        second, first, last = (_field(images, maps, place) for place in places)
    axes = zip(images.shape[2:], grid, first, second, last, strict=True)
    found = [_along(*axis) for axis in axes]
    return Placement(tuple(start for start, _ in found), tuple(step for _, step in found))


def _field(images: Tensor, maps: Tensor, place: list[int]) -> list[tuple[int, int]]:
    """First and last voxel along each axis that the capsules at ``place`` depend on."""
    here = maps.flatten(2, -2)[:, :, int(np.ravel_multi_index(place, maps.shape[2:-1]))]
    signs = torch.linspace(-1.1, 1.3, here[0].numel(), device=here.device).view(here.shape[1:])
    (gradient,) = torch.autograd.grad((here * signs).sum(), images, retain_graph=True)
    strength = gradient.abs().amax((0, 1))
    spans = []
    for axis in range(strength.ndim):
        others = [other for other in range(strength.ndim) if other != axis]
        line = strength.amax(others) if others else strength
        seen = torch.nonzero(line > 0).flatten().tolist() or [0, len(line) - 1]
        spans.append((seen[0], seen[-1]))
    return spans


def _along(
    size: int,
    locations: int,
    first: tuple[int, int],
    second: tuple[int, int],
    last: tuple[int, int],
) -> tuple[float, float]:
    """Centre of the first location and distance of centres, along one axis of ``size`` voxels."""
    middle, step = (size - 1) / 2, size / locations
    if first[1] < size - 1 and last[0] > 0:
        middle = (first[1] + last[0]) / 2
    if first[1] < second[1] < size - 1:
        step = float(second[1] - first[1])
    return middle - step * (locations - 1) / 2, step
