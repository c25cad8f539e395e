"""Small pictures of a fold's test cases, for the report's table of cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from capsmed import atomic
from capsmed.engines.coupling_cuts import case_maps, scheme
from capsmed.engines.inside.probe import watched
from capsmed.engines.predict import reconstruct
from capsmed.networks import TrainingWrapper

#: Cases of a fold that are kept at most, those predicted worst first, and pixels along a side.
MOST_CASES, MOST_PIXELS = 500, 96
_BATCH = 64


def keep_cuts(
    folder: Path,
    case_ids: np.ndarray,
    view: Dataset[dict[str, torch.Tensor]],
    shares: np.ndarray,
    wrapper: TrainingWrapper,
    device: torch.device,
) -> None:
    """Write ``cuts.npz``: of a volume its three middle planes, of an image itself, in 8 bits.

    Arrays: ``case_id`` [cases]; ``xy``, ``xz``, ``yz`` [cases, a, b] of the first channel in index
    order, or ``image`` [cases, channels, x, y]; the same with ``_decoded`` where the network
    has a decoder; and where its class capsules are made by a routing from a grid of capsules what
    `scheme` and `case_maps` give.

    Args:
        folder: of the fold.
        case_ids: [cases] in the order of ``view``.
        view: the test part; items with ``image`` and ``label``.
        shares: [cases] probability of each case's true class.
        wrapper: the chosen network.
        device: where to compute.
    """
    chosen = np.sort(np.argsort(shares, kind="stable")[:MOST_CASES])
    parts: list[dict[str, np.ndarray]] = []
    common: dict[str, np.ndarray] | None = None
    for places in np.array_split(chosen, -(-len(chosen) // _BATCH)):
        items = [view[int(place)] for place in places]
        images = torch.stack([item["image"] for item in items]).to(device)
        with watched(wrapper.network) as calls:
            decoded = reconstruct(wrapper, images, device)
        part = planes(images.cpu().numpy())
        if decoded is not None:
            part |= {f"{name}_decoded": cut for name, cut in planes(decoded).items()}
        if not parts:
            common = scheme(wrapper.network, images, calls)
        if common is not None and not common["coupling_uniform"]:
            target = torch.tensor([int(item["label"]) for item in items])
            part |= case_maps(calls[-1], target, common)
        parts.append(part)
    arrays: dict[str, Any] = {n: np.concatenate([p[n] for p in parts]) for n in parts[0]}
    arrays |= {name: _thinned(array) for name, array in (common or {}).items()}
    arrays["case_id"] = case_ids[chosen].astype(str)

    def save(path: Path) -> None:
        with open(path, "wb") as file:
            np.savez_compressed(file, **arrays)

    atomic.write(folder / "cuts.npz", save)


def planes(images: np.ndarray) -> dict[str, np.ndarray]:
    """Middle planes of volumes ``[cases, channels, x, y, z]``, or images as they are, in 8 bits.

    >>> {name: cut.shape for name, cut in planes(np.zeros((5, 1, 2, 3, 4))).items()}
    {'xy': (5, 2, 3), 'xz': (5, 2, 4), 'yz': (5, 3, 4)}
    """
    if images.ndim == 4:
        return {"image": _bytes(images)}
    grey = images[:, 0]
    x, y, z = (n // 2 for n in grey.shape[1:])
    found = {"xy": grey[:, :, :, z], "xz": grey[:, :, y], "yz": grey[:, x]}
    return {name: _bytes(cut) for name, cut in found.items()}


def _bytes(pixels: np.ndarray) -> np.ndarray:
    """Intensities 0 to 1 as 0 to 255; large planes by every second, third ... pixel."""
    first, second = (_step(n) for n in pixels.shape[-2:])
    thinned = pixels[..., ::first, ::second]
    return np.round(np.clip(thinned, 0, 1) * 255).astype(np.uint8)


def _thinned(array: np.ndarray) -> np.ndarray:
    """What is said of each voxel along an axis, for those that are kept; numbers as they are."""
    return array[:: _step(len(array))] if array.ndim else array


def _step(voxels: int) -> int:
    return -(-voxels // MOST_PIXELS)
