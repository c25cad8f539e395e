"""Contestants that take turns in one process, so that a slow moment of the machine hits them all.

Each round has an order of its own: what ran before a step leaves the caches and the processor's
clock to it, and a fixed order would give each contestant the same predecessor every time.

A benchmark is a module of this folder whose docstring says what it measures and which has

    contestants(fast: bool = False) -> list[Contestant]     the first is ours; fast: tiny sizes
    measure(rounds: int, fast: bool = False) -> dict        or this, or both: where it is more
                                                            than what `standard` gives
    ROUNDS: int                                             optional: where a round is long
    lines(result: dict) -> list[str]                        optional: Markdown below the table
    bars(result: dict) -> list[Bar]                         optional: what it must show
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass

import torch

#: What is told where a measurement is; the runner shows it.
listener: ContextVar[Callable[[str], None]] = ContextVar("listener", default=lambda text: None)


@dataclass(frozen=True)
class Contestant:
    """One way to do the work.

    Attributes:
        name: its row in the table.
        build: everything that is not timed; returns the step.
        flop: nominal floating-point operations of one step, a multiply-add being two and every
            convolution counted as a direct one.
        note: what the table says of it.
    """

    name: str
    build: Callable[[], Callable[[], object]]
    flop: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class Timing:
    """Seconds of every step of a contestant after its warm-up."""

    name: str
    seconds: tuple[float, ...]

    @property
    def median_s(self) -> float:
        """The middle of its seconds."""
        return statistics.median(self.seconds)

    @property
    def minimum_s(self) -> float:
        """The least disturbed step."""
        return min(self.seconds)


@dataclass(frozen=True)
class Bar:
    """What a benchmark must show; ``most`` where less is better."""

    what: str
    reached: float
    wanted: float
    most: bool = False

    @property
    def met(self) -> bool:
        """Whether the figure is on the right side."""
        return self.reached <= self.wanted if self.most else self.reached >= self.wanted


def contest(
    contestants: Sequence[Contestant], rounds: int = 7, warmup: int = 2, before: int = 0
) -> list[Timing]:
    """Build all, then time one step of each in turn, round after round: A B C, B A C, ...

    Args:
        contestants: in the order of the rows; the orders of the rounds are the same in each run.
        rounds: timed steps of each.
        warmup: rounds before that.
        before: untimed steps of the same contestant before each timed one. Steps of milliseconds
            else measure what the contestant before has left in the caches, where a training's own
            step has come before.
    """
    steps = []
    for contestant in contestants:
        listener.get()(f"building {contestant.name}")
        steps.append(contestant.build())
    seconds: list[list[float]] = [[] for _ in steps]
    shuffled = random.Random(0)
    gc.collect()  # not between steps: with MONAI loaded it takes longer than many a step
    for number in range(warmup + rounds):
        what = f"round {number - warmup + 1} of {rounds}" if number >= warmup else "warm-up"
        for place in shuffled.sample(range(len(steps)), len(steps)):
            listener.get()(f"{what}: {contestants[place].name}")
            for _ in range(before):
                steps[place]()
            taken = timed(steps[place])
            if number >= warmup:
                seconds[place].append(taken)
    return [Timing(c.name, tuple(found)) for c, found in zip(contestants, seconds, strict=True)]


def timed(step: Callable[[], object]) -> float:
    """Seconds of one step, an accelerator's work waited for."""
    _wait()
    started = time.perf_counter()
    step()
    _wait()
    return time.perf_counter() - started


def _wait() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
