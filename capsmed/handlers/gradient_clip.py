"""Clip the gradient's norm between backward and step."""

from __future__ import annotations

import torch
from ignite.engine import Engine
from monai.engines import SupervisedTrainer
from monai.engines.utils import IterationEvents


class GradientClip:
    """Scale all gradients so that their joint Euclidean norm is at most ``max_norm``."""

    def __init__(self, max_norm: float) -> None:
        self.max_norm = max_norm

    def attach(self, engine: Engine) -> None:
        """Run after each backward pass of a MONAI trainer."""
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: SupervisedTrainer) -> None:
        """Clip the gradients of ``engine.network``."""
        torch.nn.utils.clip_grad_norm_(engine.network.parameters(), self.max_norm)
