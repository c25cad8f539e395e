"""How long a run will take and how much memory it needs, before it starts."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader

from capsmed.engines.fit import FoldTrainer
from capsmed.networks.cost import multiply_adds
from capsmed.networks.layers.plain import plain

ADAM_COPIES = 4  # weights, gradients and two moments


@dataclass(frozen=True)
class Estimate:
    """What a network costs.

    Attributes:
        seconds_per_epoch: of one epoch of one fold.
        step_bytes: of the largest training step.
        parameters: those of the decoder too.
        multiply_adds: of the forward pass of one patch, without the decoder.
    """

    seconds_per_epoch: float
    step_bytes: int
    parameters: int
    multiply_adds: int


def measure(trainer: FoldTrainer) -> Estimate:
    """Time training steps on a copy of the network and count what autograd keeps for them.

    Nothing of ``trainer`` changes: the copy is thrown away, and every epoch seeds itself. The
    estimate is the network's share; reading and augmenting is in it, the inner evaluation is not.
    """
    wrapper = copy.deepcopy(trainer.wrapper).train()
    batch, loading = _load(trainer.loader)
    image, label = batch["image"].to(trainer.device), batch["label"].to(trainer.device)
    infer = trainer.inferer()
    kept = 0

    def count(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.numel() * tensor.element_size()
        return tensor

    seconds = []
    for _ in range(3):
        started, kept = time.perf_counter(), 0
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            loss = trainer.loss(infer(image, wrapper, label), label)
        loss.backward()
        seconds.append(time.perf_counter() - started)
    parameters = sum(p.numel() for p in wrapper.parameters())
    steps = len(trainer.loader)
    return Estimate(
        steps * (min(seconds) + loading),
        kept + ADAM_COPIES * 4 * parameters,
        parameters,
        multiply_adds(wrapper.network, plain(image[:1])),
    )


def _load(loader: DataLoader) -> tuple[dict[str, torch.Tensor], float]:
    """Return a batch and the seconds that one takes once an epoch's order has been drawn."""
    batches = iter(loader)
    batch = next(batches)
    if loader.num_workers or len(loader) == 1:
        return batch, 0.0  # workers load while the network computes
    started = time.perf_counter()
    batch = next(batches)
    return batch, time.perf_counter() - started
