"""Stop a training at once when its loss or its weights are not finite, and name the layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from monai.engines import SupervisedTrainer
from monai.engines.utils import IterationEvents
from torch import Tensor, nn

STEPS = 100  # between looks where each one costs: on a GPU, and over several processes


class FiniteCheck:
    """Look at each step's loss and at each epoch's weights.

    On one CPU process every step is looked at before its gradient is taken. Elsewhere losses stay
    on the device (no step waits for the host) and are looked at together, by all processes alike,
    each `STEPS` steps and at the epoch's end, before anything of the epoch is kept.

    Args:
        found: called with the engine and the number of the first step of its epoch (from 1) whose
            loss is not finite, or 0 where it was the weights; it raises.
        every: steps between looks; None: as above.
    """

    def __init__(self, found: Callable[[Engine, int], None], every: int | None = None) -> None:
        self.found = found
        self.every = every
        self._losses: list[Tensor] = []
        self._looked = 0

    def attach(self, engine: Engine) -> None:
        """Run within the steps of a MONAI trainer and, before other handlers, after its epochs."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(IterationEvents.LOSS_COMPLETED, self._step)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._end)

    def _start(self, engine: Engine) -> None:
        self._losses, self._looked = [], 0

    def _step(self, engine: SupervisedTrainer) -> None:
        output: Any = engine.state.output
        self._losses.append(output["loss"].detach())
        if len(self._losses) >= (self.every or _interval(output["loss"])):
            self._look(engine)

    def _look(self, engine: Engine) -> None:
        bad = ~torch.stack(self._losses).isfinite()
        first = int(bad.int().argmax()) + 1 if bool(bad.any()) else len(bad) + 1
        first = int(idist.all_reduce(first, "MIN"))
        if first <= len(bad):
            self.found(engine, self._looked + first)
        self._looked += len(bad)
        self._losses = []

    def _end(self, engine: SupervisedTrainer) -> None:
        if self._losses:
            self._look(engine)
        wrong = first_bad_weight(engine.network) is not None
        if idist.all_reduce(int(wrong), "MAX"):
            self.found(engine, 0)


def first_bad_weight(network: nn.Module) -> str | None:
    """Dotted name of the first weight or running mean that is not finite, or None."""
    state = {
        name: value for name, value in network.state_dict().items() if value.is_floating_point()
    }
    if not state:
        return None
    finite = torch.stack([value.isfinite().all() for value in state.values()]).tolist()
    return next((name for name, fine in zip(state, finite, strict=True) if not fine), None)


def first_bad_output(network: nn.Module, call: Callable[[], Any]) -> str | None:
    """Dotted name of the module that first gives something not finite while ``call`` runs.

    Modules are taken in the order in which they finish, so that it is a layer and not the block
    around it. None: all outputs of all modules are finite.
    """
    names: list[str] = []

    def watch(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def look(module: nn.Module, inputs: Any, output: Any) -> None:
            if not names and not all(value.isfinite().all() for value in _tensors(output)):
                names.append(name)

        return look

    hooks = [
        module.register_forward_hook(watch(name))
        for name, module in network.named_modules()
        if name
    ]
    try:
        with torch.no_grad():
            call()
    finally:
        for hook in hooks:
            hook.remove()
    return names[0] if names else None


def _interval(loss: Tensor) -> int:
    return 1 if loss.device.type == "cpu" and idist.get_world_size() == 1 else STEPS


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        if output.is_floating_point():
            yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from _tensors(value)
    elif isinstance(output, list | tuple):
        for value in output:
            yield from _tensors(value)
