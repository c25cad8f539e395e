"""The cases to draw: which ones, and every array that their pictures need."""

from __future__ import annotations

import math
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from capsmed.engines.inside.perturb import DELTAS, perturbed, reconstruct
from capsmed.engines.inside.placement import place
from capsmed.engines.inside.probe import Call, shared_over, watched

#: Cases whose capsule is moved: a panel each.
MOST_PERTURBED = 4

#: Images whose gradients find the receptive fields.
PROBED = 4

#: Pixels along a side of their pictures; 176 of them a case would fill the disk at full size.
LARGEST = 64


def choose_shown(target: np.ndarray, chance: np.ndarray, count: int) -> list[int]:
    """Places of the cases to draw: right ones, then wrong ones, at most half of them wrong.

    In each group the classes take turns, each with the case that the network is surest of.

    Args:
        target: class indices ``[n]``.
        chance: class probabilities ``[n, classes]``.
        count: how many, at most.

    >>> choose_shown(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]), 2)
    [0, 1]
    """
    right = chance.argmax(1) == target
    surest = np.argsort(-chance.max(1), kind="stable")
    groups = []
    for wanted in (True, False):
        mine = [case for case in surest.tolist() if right[case] == wanted]
        by_class = [[c for c in mine if target[c] == k] for k in range(chance.shape[1])]
        groups.append([c for turn in zip_longest(*by_class) for c in turn if c is not None])
    wrong = groups[1][: max(count // 2, count - len(groups[0]))]
    return groups[0][: count - len(wrong)] + wrong


def choose_moved(
    target: np.ndarray, predicted: np.ndarray, most: int = MOST_PERTURBED
) -> list[int]:
    """Places of the drawn cases whose capsule is moved: a case of each class, then right ones.

    A class's first right case, or its first wrong one where it has no right one; classes with a
    right case come first.

    >>> choose_moved(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]), 3)
    [0, 3, 1]
    """
    right = np.flatnonzero(predicted == target).tolist()
    wrong = np.flatnonzero(predicted != target).tolist()
    first = {int(target[case]): case for case in reversed([*right, *wrong])}
    each = sorted(first.values(), key=[*right, *wrong].index)
    return [*each, *(case for case in right if case not in each)][:most]


@torch.no_grad()
def draw_cases(network: Any, images: Tensor, target: Tensor) -> dict[str, np.ndarray]:
    """Coupling maps and reconstructions of some cases.

    Args:
        network: in evaluation mode.
        images: ``[n, channels, ...]``.
        target: class indices ``[n]``.

    Returns:
        ``image`` as given, ``target``, ``predicted`` and ``activations`` of the class capsules.
        With several locations ``couplings [n, classes, *grid]``, ``equal_share`` (what a routing
        that couples all alike would give) and ``first``, ``step``: see `Placement`. With a decoder
        ``from_true`` and ``from_predicted``, shaped as ``image``.
    """
    with watched(network) as calls:
        poses, scores = network.capsules(images)
    call, predicted = calls[-1], scores.argmax(1)
    arrays = {
        "image": images,
        "target": target,
        "predicted": predicted,
        "activations": call.activations,
        **_maps(network, images, call),
    }
    if getattr(network, "decoder", None) is not None:
        arrays["from_true"] = reconstruct(network, poses, target)
        arrays["from_predicted"] = reconstruct(network, poses, predicted)
    return {name: _numpy(array) for name, array in arrays.items()}


def _maps(network: Any, images: Tensor, call: Call) -> dict[str, Tensor]:
    placement = place(network, images[:PROBED])
    if placement is None or math.prod(call.votes.grid) == 1:
        return {}
    couplings, _ = call.settled()
    classes, lower = couplings.shape[1:]
    equal = {"out": 1 / classes, "in": 1 / lower, None: torch.nan}[shared_over(couplings)]
    maps = coupling_maps(couplings, call.lower())
    return {
        "couplings": maps.unflatten(2, call.votes.grid),
        "equal_share": torch.tensor(equal),
        "first": torch.tensor(placement.first),
        "step": torch.tensor(placement.step),
    }


def coupling_maps(couplings: Tensor, lower: Tensor) -> Tensor:
    """``m(j, x) = sum over types t of a(t, x) c(j, t, x) / sum over t of a(t, x)``.

    Args:
        couplings: c ``[batch, out, types x locations]``.
        lower: a, activations or lengths of the lower capsules ``[batch, types, locations]``.

    Returns:
        ``[batch, out, locations]``; the plain mean where all types are silent.
    """
    shares = couplings.unflatten(2, lower.shape[1:])
    weights = lower.unsqueeze(1) + torch.finfo(lower.dtype).eps
    return (shares * weights).sum(2) / weights.sum(2)


@torch.no_grad()
def draw_perturbed(network: Any, images: Tensor, target: Tensor) -> dict[str, np.ndarray]:
    """Reconstructions with each component of the true class's capsule moved; 3D: middle cuts.

    Pictures of more than `LARGEST` pixels a side are made smaller.

    Args:
        network: with a ``decoder``, in evaluation mode.
        images: ``[n, channels, ...]``.
        target: class indices ``[n]``.

    Returns:
        ``perturbed [n, dim, 11, channels, x, y]``, ``pose [n, dim]``, ``target``, ``deltas [11]``.
    """
    poses, _ = network.capsules(images)
    moved = [perturbed(network, own, int(k)) for own, k in zip(poses, target, strict=True)]
    cuts = torch.stack([_smaller(middle_cut(one, images.ndim - 2)) for one in moved])
    arrays = {
        "perturbed": cuts,
        "pose": poses[torch.arange(len(poses)), target],
        "target": target,
        "deltas": torch.tensor(DELTAS),
    }
    return {name: _numpy(array) for name, array in arrays.items()}


def middle_cut(images: Tensor, spatial_dims: int) -> Tensor:
    """The middle axial cut of volumes ``[..., x, y, z]``; pictures as they are."""
    return images[..., images.shape[-1] // 2] if spatial_dims == 3 else images


def _smaller(cuts: Tensor) -> Tensor:
    """``[dim, 11, channels, x, y]`` by means of pixels, where a side has more than `LARGEST`."""
    sides = cuts.shape[-2:]
    if max(sides) <= LARGEST:
        return cuts
    x, y = (max(1, side * LARGEST // max(sides)) for side in sides)
    return F.adaptive_avg_pool2d(cuts.flatten(0, 1), (x, y)).unflatten(0, cuts.shape[:2])


def _numpy(array: Tensor) -> np.ndarray:
    return (array.float() if array.is_floating_point() else array).cpu().numpy()
