"""Random changes of training patches, each from (seed key, epoch, case) and nothing else."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from capsmed import config
from capsmed.transforms.affine import affine, margin, rotations
from capsmed.transforms.shift import crop


@dataclass(frozen=True)
class Draws:
    """One epoch's random numbers for every case; all are drawn, whether used or not.

    Attributes:
        shift: voxels, int [N, axes].
        flip: bool [N, axes].
        angle: radians [N, 1] in 2D, [N, 3] in 3D.
        zoom: factor on the sampled extent [N].
        gain: factor on the grey values [N].
        offset: added to the grey values [N].
        noise_sd: [N].
        noise_seed: [N] uint64.
    """

    shift: np.ndarray
    flip: np.ndarray
    angle: np.ndarray
    zoom: np.ndarray
    gain: np.ndarray
    offset: np.ndarray
    noise_sd: np.ndarray
    noise_seed: np.ndarray


def draw(
    options: config.Augmentation, cases: int, axes: int, seed_key: tuple[int, ...], epoch: int
) -> Draws:
    """Draw an epoch's numbers for all cases; the same arguments give the same numbers."""
    rng = np.random.default_rng([*seed_key, epoch, 1])
    most = int(options.shift)
    turn = np.deg2rad(options.rotate)
    return Draws(
        shift=rng.integers(-most, most, size=(cases, axes), endpoint=True),
        flip=rng.random((cases, axes)) < 0.5,
        angle=rng.uniform(-turn, turn, size=(cases, 1 if axes == 2 else 3)),
        zoom=1 + rng.uniform(-options.scale, options.scale, size=cases),
        gain=1 + rng.uniform(-options.intensity, options.intensity, size=cases),
        offset=rng.uniform(-options.intensity, options.intensity, size=cases),
        noise_sd=rng.uniform(0, options.noise, size=cases),
        noise_seed=rng.integers(0, 2**63, size=cases),
    )


def margins(
    options: config.Augmentation, size: Sequence[int], spacing: Sequence[float]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Voxels on each side: in all, and those of them that rotation and zoom need."""
    turned = (0,) * len(size)
    if options.rotate or options.scale:
        turned = _turned(tuple(size), tuple(spacing), options.rotate, options.scale)
    return tuple(int(options.shift) + n for n in turned), turned


_turned = functools.cache(margin)  # asked for each batch


def augment(
    images: torch.Tensor,
    draws: Draws,
    cases: np.ndarray,
    options: config.Augmentation,
    size: Sequence[int],
    spacing: Sequence[float],
) -> torch.Tensor:
    """A changed batch: shift, then rotation, zoom and mirroring, then grey values, then noise.

    An image's result does not depend on the others of its batch.

    Args:
        images: of all cases, [N, C, *size + 2 * margin], 0 to 1; they stay as they are.
        draws: the epoch's numbers.
        cases: int [B], the batch's places in ``images`` and ``draws``.
        options: the config's section.
        size: voxels of the result.
        spacing: mm along each axis; any equal numbers without.

    Returns:
        [B, C, *size], 0 to 1.
    """
    total, turned = margins(options, size, spacing)
    outer = tuple(n + 2 * m for n, m in zip(size, turned, strict=True))
    starts = torch.from_numpy(int(options.shift) + draws.shift[cases])
    images = crop(images, starts, outer, torch.from_numpy(cases))
    if options.rotate or options.scale:
        matrices = rotations(draws.angle[cases], len(size)) * draws.zoom[cases, None, None]
        if options.flip:
            matrices = matrices * np.where(draws.flip[cases], -1.0, 1.0)[:, None, :]
        images = affine(images, matrices, size, spacing)
    elif options.flip:
        images = _flipped(images, draws.flip[cases])
    if options.intensity or options.noise:
        images = _grey(images, draws, cases, options)
    return images


def _flipped(images: torch.Tensor, flips: np.ndarray) -> torch.Tensor:
    for axis in range(flips.shape[1]):
        chosen = torch.from_numpy(np.flatnonzero(flips[:, axis]))
        images[chosen] = images[chosen].flip(axis + 2)
    return images


def _grey(
    images: torch.Tensor, draws: Draws, cases: np.ndarray, options: config.Augmentation
) -> torch.Tensor:
    """Change the batch in place."""
    column = (-1,) + (1,) * (images.ndim - 1)
    if options.intensity:
        gain = torch.from_numpy(draws.gain[cases].astype(np.float32)).view(column)
        offset = torch.from_numpy(draws.offset[cases].astype(np.float32)).view(column)
        images.mul_(gain).add_(offset)
    if options.noise:
        noise = np.empty(images.shape, dtype=np.float32)
        for row, case in enumerate(cases):
            rng = np.random.default_rng(draws.noise_seed[case])
            rng.standard_normal(out=noise[row], dtype=np.float32)
            noise[row] *= np.float32(draws.noise_sd[case])
        images.add_(torch.from_numpy(noise))
    return images.clamp_(0, 1)
