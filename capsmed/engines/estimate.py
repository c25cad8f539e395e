"""How long a run will take and how much memory it needs, before it starts."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass

import torch

from capsmed.engines.fit import FoldTrainer

ADAM_COPIES = 4  # weights, gradients and two moments


@dataclass(frozen=True)
class Estimate:
    """Seconds of one epoch of one fold, and bytes of the largest training step."""

    seconds_per_epoch: float
    step_bytes: int
    parameters: int


def measure(trainer: FoldTrainer) -> Estimate:
    """Time training steps on a copy of the network and count what autograd keeps for them.

    Nothing of ``trainer`` changes: the copy is thrown away, and every epoch seeds itself. The
    estimate is the network's share; reading and augmenting is in it, the inner evaluation is not.
    """
    wrapper = copy.deepcopy(trainer.wrapper).train()
    started = time.perf_counter()
    batch = next(iter(trainer.loader))
    loading = time.perf_counter() - started
    if trainer.loader.num_workers:
        loading = 0.0  # spawned workers load while the network computes
    image, label = batch["image"].to(trainer.device), batch["label"].to(trainer.device)
    kept = 0

    def count(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.numel() * tensor.element_size()
        return tensor

    seconds = []
    for _ in range(3):
        started, kept = time.perf_counter(), 0
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            loss = trainer.loss(wrapper(image, label), label)
        loss.backward()
        seconds.append(time.perf_counter() - started)
    parameters = sum(p.numel() for p in wrapper.parameters())
    steps = len(trainer.loader)
    return Estimate(
        steps * (min(seconds) + loading), kept + ADAM_COPIES * 4 * parameters, parameters
    )
