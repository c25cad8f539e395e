"""Tell a loss how far the training has come."""

from __future__ import annotations

from typing import Any

from ignite.engine import Engine, Events
from torch import nn


class LossProgress:
    """Call ``set_progress(fraction)`` on a loss, and on its parts, before each iteration.

    The fraction is computed from the iteration's number, 0 at the first and below 1 at the last,
    so a resumed training goes on as if it had not stopped. For `SpreadLoss`; losses without the
    method are left alone.

    Args:
        loss: the trainer's loss function.
    """

    def __init__(self, loss: nn.Module) -> None:
        self.parts: list[Any] = [part for part in loss.modules() if hasattr(part, "set_progress")]

    def attach(self, engine: Engine) -> None:
        """Run at each ``ITERATION_STARTED`` of ``engine``."""
        if self.parts:
            engine.add_event_handler(Events.ITERATION_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Set the progress for the iteration ``engine.state.iteration``, counted from 1."""
        state = engine.state
        fraction = (state.iteration - 1) / ((state.max_epochs or 1) * (state.epoch_length or 1))
        for part in self.parts:
            part.set_progress(min(1.0, fraction))
