"""Learning-rate schedules, stepped after each optimiser step."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR


def constant(optimizer: Optimizer, total_steps: int) -> LRScheduler:
    """Keep the optimiser's learning rate."""
    return LambdaLR(optimizer, lambda step: 1.0)


def one_cycle(
    optimizer: Optimizer,
    total_steps: int,
    warmup: float = 0.3,
    start_factor: float = 25.0,
    end_factor: float = 1e4,
) -> LRScheduler:
    """Rise to the optimiser's learning rate, then fall by a cosine (Smith and Topin 2018).

    Args:
        optimizer: its learning rate is the peak.
        total_steps: optimiser steps of the whole training.
        warmup: share of the steps spent rising.
        start_factor: peak divided by the first learning rate.
        end_factor: first divided by the last learning rate.
    """
    steps = max(total_steps + 1, 3)
    return OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=steps,
        pct_start=_off_the_ends(warmup, steps),
        div_factor=start_factor,
        final_div_factor=end_factor,
        cycle_momentum=False,
    )


def _off_the_ends(warmup: float, steps: int) -> float:
    """Move the peak off step 0 and off the last step, where torch divides by zero."""
    peak = min(max(warmup * steps, 1.5), steps - 1)
    return peak / steps


def cosine(optimizer: Optimizer, total_steps: int, end: float = 0.0) -> LRScheduler:
    """Fall by half a cosine to the learning rate ``end``; scaled parts to as many times that."""
    group = optimizer.param_groups[0]
    last = end * group.get("lr_scale", 1.0) / (group["lr"] or 1.0)

    def factor(step: int) -> float:
        return last + (1 - last) * (1 + math.cos(math.pi * step / total_steps)) / 2

    return LambdaLR(optimizer, factor)


def exponential(
    optimizer: Optimizer, total_steps: int, gamma: float = 0.96, steps: int = 2000
) -> LRScheduler:
    """Multiply by ``gamma`` each ``steps`` steps, continuously (the CapsNet paper's decay)."""
    return LambdaLR(optimizer, lambda step: gamma ** (step / steps))


SCHEDULES: dict[str, Callable[..., LRScheduler]] = {
    "constant": constant,
    "cosine": cosine,
    "exponential": exponential,
    "one_cycle": one_cycle,
}
