"""Randomness of an epoch from its number, never from what ran before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from torch.utils.data import DataLoader

from capsmed import seeds


class EpochSeed:
    """Seed torch, the sampler and the loader at each epoch's start from (key, epoch, rank).

    An interrupted training can therefore repeat its last epoch bit for bit: nothing but weights,
    optimiser and epoch number has to be restored. MONAI's ``CheckpointLoader`` restores no
    random state, and saving every state is fragile (NumPy's is refused by weights-only loading).

    Args:
        key: what tells this training from others: (seed, repeat, fold).
        loader: a loader whose sampler has a settable ``epoch``; it is started anew each epoch.
    """

    def __init__(self, key: Sequence[int], loader: DataLoader) -> None:
        self.key = tuple(key)
        self.sampler: Any = loader.sampler
        self.loader = loader

    def attach(self, engine: Engine) -> None:
        """Run at each ``EPOCH_STARTED`` of ``engine``."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Seed and restart the loader for the epoch ``engine.state.epoch``."""
        epoch = engine.state.epoch
        torch.manual_seed(seeds.derive(*self.key, epoch, idist.get_rank()))
        self.sampler.epoch = epoch
        engine.set_data(self.loader)
