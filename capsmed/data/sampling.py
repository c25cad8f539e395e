"""The order of an epoch, from nothing but the seed and the epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from torch.utils.data import Sampler


class EpochSampler(Sampler):
    """Yields keys ``(epoch, index)``, so that a dataset can derive each item's randomness.

    'natural' gives every case once. 'balanced' gives every class equally often, as many keys as
    there are cases (rounded up to whole rounds of the classes): cases of a small class come
    again, each as often as the others of its class to within one; those of a large class take
    turns from epoch to epoch.

    Under several processes all draw the same permutation and rank r takes every world-th key from
    r on; the permutation is continued from its start so that all ranks get equally many.

    Args:
        targets: class index of each case.
        seed_key: integers that name the run, such as (seed, repeat, fold).
        sampling: 'balanced' or 'natural'.
        rank: number of this process.
        world: number of processes.
        batch_size: cases of a step, where no step may be of one case alone, from which a batch norm
            of a single location learns nothing: the first case then comes again; None: any step.
    """

    def __init__(
        self,
        targets: Sequence[int],
        seed_key: tuple[int, ...],
        sampling: Literal["balanced", "natural"] = "natural",
        rank: int = 0,
        world: int = 1,
        batch_size: int | None = None,
    ) -> None:
        self.targets = np.asarray(targets, dtype=int)
        if self.targets.ndim != 1 or len(self.targets) == 0:
            raise ValueError(f"targets: expected [n], got shape {self.targets.shape}")
        if not 0 <= rank < world:
            raise ValueError(f"rank: expected 0 to {world - 1}, got {rank}")
        self.seed_key = tuple(int(part) for part in seed_key)
        self.sampling = sampling
        self.rank, self.world = rank, world
        self.batch_size = batch_size
        self.epoch = 0

    def __len__(self) -> int:
        own = -(-self._total() // self.world)
        lonely = self.batch_size is not None and own % self.batch_size == 1
        return own + 1 if lonely else own

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = self.permutation(self.epoch)
        order = np.resize(order, len(self) * self.world)[self.rank :: self.world]
        return iter([(self.epoch, int(index)) for index in order])

    def permutation(self, epoch: int) -> np.ndarray:
        """The order of all processes' cases in ``epoch``."""
        rng = np.random.default_rng([*self.seed_key, epoch, 0])
        if self.sampling == "natural":
            return rng.permutation(len(self.targets))
        classes = np.unique(self.targets)
        share = self._total() // len(classes)
        drawn = [self._draw(np.flatnonzero(self.targets == c), share, rng) for c in classes]
        return rng.permutation(np.concatenate(drawn))

    def _total(self) -> int:
        if self.sampling == "natural":
            return len(self.targets)
        classes = len(np.unique(self.targets))
        return -(-len(self.targets) // classes) * classes

    @staticmethod
    def _draw(cases: np.ndarray, share: int, rng: np.random.Generator) -> np.ndarray:
        rounds = [rng.permutation(cases) for _ in range(-(-share // len(cases)))]
        return np.concatenate(rounds)[:share]
