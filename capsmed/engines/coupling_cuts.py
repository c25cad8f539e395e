"""How much each place of a case goes to the class capsules, cut as its pictures are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from capsmed.engines.inside.pictures import PROBED, coupling_maps
from capsmed.engines.inside.placement import Placement, place
from capsmed.engines.inside.probe import Call, shared_over, uniform

#: The spread of couplings, as a share of the largest, below which they are all alike.
ALIKE = 1e-6


def scheme(network: Any, images: Tensor, calls: Sequence[Call]) -> dict[str, np.ndarray] | None:
    """What the maps of all cases of a network have in common.

    Args:
        network: in evaluation mode.
        images: some images ``[n, channels, ...]`` on the network's device.
        calls: of its routings on them.

    Returns:
        None where the class capsules are not made by a routing from lower capsules with several
        locations. ``coupling_uniform``: whether the routing shares alike by its design, as with one
        pass; where it does not, also ``coupling_equal``, the coupling of all alike (NaN where
        couplings are no shares of one), and ``coupling_at_x``, ``_y`` (and ``_z``): of each voxel
        along an axis the number of the location whose middle is nearest, or -1 beyond them.
    """
    if not calls or not hasattr(network, "capsules") or math.prod(calls[-1].votes.grid) == 1:
        return None
    call = calls[-1]
    placement = place(network, images[:PROBED])
    if placement is None:
        return None
    if _alike_by_design(call):
        return {"coupling_uniform": np.array(True)}
    found = _couplings(call)
    classes, lower = found.shape[1:]
    equal = {"out": 1 / classes, "in": 1 / lower, None: math.nan}[shared_over(found)]
    grid = call.votes.grid
    at = locations(placement, grid, tuple(images.shape[2:]))
    return {
        "coupling_uniform": np.array(False),
        "coupling_equal": np.array(equal),
        **{f"coupling_at_{axis}": along for axis, along in zip("xyz", at, strict=False)},
    }


def locations(
    placement: Placement, grid: tuple[int, ...], size: tuple[int, ...]
) -> list[np.ndarray]:
    """For each axis the nearest location of each voxel, -1 half a step beyond the outermost.

    >>> locations(Placement((1.0,), (2.0,)), (2,), (6,))[0].tolist()
    [0, 0, 1, 1, 1, -1]
    """
    found = []
    for first, step, count, voxels in zip(placement.first, placement.step, grid, size, strict=True):
        number = (np.arange(voxels) - first) / step
        nearest = np.floor(number + 0.5).astype(np.int16)
        inside = (number >= -0.5) & (number <= count - 0.5)
        found.append(np.where(inside, nearest.clip(0, count - 1), -1).astype(np.int16))
    return found


@torch.no_grad()
def case_maps(call: Call, target: Tensor, common: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The maps of the predicted and of the true class of some cases; 3D: cuts through the middle.

    A map is the couplings' mean over the types of lower capsules, weighted by their activations
    (`capsmed.engines.inside.pictures.coupling_maps`).

    Args:
        call: of the routing that makes the class capsules, on these cases.
        target: class indices ``[n]``.
        common: of `scheme`, not uniform.

    Returns:
        ``coupling_class [n, 2]``, predicted and true, and their maps: ``coupling_image [n, 2, x,
        y]``, or ``coupling_xy``, ``coupling_xz`` and ``coupling_yz``.
    """
    chosen = torch.stack([call.activations.argmax(1), target.to(call.activations.device)], dim=1)
    maps = coupling_maps(_couplings(call), call.lower()).unflatten(2, call.votes.grid)
    rows = torch.arange(len(chosen), device=chosen.device).unsqueeze(1)
    values = maps[rows, chosen].float().cpu().numpy()
    return {"coupling_class": chosen.cpu().numpy().astype(np.int16)} | _cut(values, common)


def _cut(values: np.ndarray, common: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    if values.ndim == 4:
        return {"coupling_image": values}
    x, y, z = (_middle(common[f"coupling_at_{axis}"]) for axis in "xyz")
    return {
        "coupling_xy": values[..., z],
        "coupling_xz": values[..., y, :],
        "coupling_yz": values[..., x, :, :],
    }


def _middle(along: np.ndarray) -> int:
    """The location of the middle voxel, through which the pictures are cut."""
    return max(0, int(along[len(along) // 2]))


def _couplings(call: Call) -> Tensor:
    found = call.routing.couplings(call.votes)
    return uniform(call.votes) if found is None else found


@torch.no_grad()
def _alike_by_design(call: Call) -> bool:
    found = call.routing.couplings(call.votes)
    if found is None:
        return True
    spread = float(found.max() - found.min())
    return call.routing.passes == 1 and spread <= ALIKE * float(found.abs().max())
