"""Loaders whose order and augmentation depend on (seed, repeat, fold, epoch, case) alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.utils.data import DataLoader, Dataset, Sampler


def build_loader(
    dataset: Dataset,
    sampler: Sampler | Sequence[int],
    batch_size: int,
    workers: int = 0,
    pinned: bool = False,
) -> DataLoader:
    """Build a loader of dictionaries; workers are spawned, so it runs alike on every system.

    Its own generator keeps it from drawing on torch's global state, which dropout uses: a loader
    with workers draws more often than one without. ``pinned`` batches are copied to a GPU while it
    computes.
    """
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
        persistent_workers=workers > 0,
        generator=torch.Generator(),
        pin_memory=pinned,
    )
