"""Reconstructions: of chosen classes, and with one component of a capsule moved."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

#: Sabour et al. 2017, figure 4: each dimension moved in steps of 0.05 over -0.25..0.25.
DELTAS = tuple(round(-0.25 + 0.05 * step, 2) for step in range(11))


@torch.no_grad()
def reconstruct(network: Any, poses: Tensor, chosen: Tensor) -> Tensor:
    """What the decoder makes of the capsule of the class ``chosen``.

    Args:
        network: has a ``decoder``.
        poses: class capsules ``[batch, classes, dim]``.
        chosen: class indices ``[batch]``.

    Returns:
        Images ``[batch, channels, ...]``.
    """
    mask = F.one_hot(chosen, poses.shape[1]).to(poses.dtype)
    return network.decoder(poses, mask)


@torch.no_grad()
def perturbed(network: Any, poses: Tensor, chosen: int) -> Tensor:
    """Reconstructions with each component of one capsule moved by each of `DELTAS`.

    Args:
        network: has a ``decoder``.
        poses: class capsules ``[classes, dim]`` of one case.
        chosen: the class whose capsule is moved and shown.

    Returns:
        ``[dim, 11, channels, ...]``.
    """
    dim = poses.shape[1]
    moved = poses.repeat(dim, len(DELTAS), 1, 1)
    deltas = torch.tensor(DELTAS, dtype=poses.dtype, device=poses.device)
    moved[:, :, chosen] += torch.eye(dim, device=poses.device)[:, None] * deltas[:, None]
    flat = moved.flatten(0, 1)
    classes = torch.full((len(flat),), chosen, device=poses.device)
    return reconstruct(network, flat, classes).unflatten(0, (dim, len(DELTAS)))
