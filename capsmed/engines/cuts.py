"""Small pictures of a fold's test cases, for the report's table of cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from capsmed import atomic
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
    order, or ``image`` [cases, channels, x, y]; and the same with ``_decoded`` where the network
    has a decoder.

    Args:
        folder: of the fold.
        case_ids: [cases] in the order of ``view``.
        view: the test part.
        shares: [cases] probability of each case's true class.
        wrapper: the chosen network.
        device: where to compute.
    """
    chosen = np.sort(np.argsort(shares, kind="stable")[:MOST_CASES])
    parts: list[dict[str, np.ndarray]] = []
    for places in np.array_split(chosen, -(-len(chosen) // _BATCH)):
        images = torch.stack([view[int(place)]["image"] for place in places])
        decoded = reconstruct(wrapper, images, device)
        part = planes(images.numpy())
        if decoded is not None:
            part |= {f"{name}_decoded": cut for name, cut in planes(decoded).items()}
        parts.append(part)
    arrays: dict[str, Any] = {n: np.concatenate([p[n] for p in parts]) for n in parts[0]}
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
    steps = [-(-n // MOST_PIXELS) for n in pixels.shape[-2:]]
    thinned = pixels[..., :: steps[0], :: steps[1]]
    return np.round(np.clip(thinned, 0, 1) * 255).astype(np.uint8)
