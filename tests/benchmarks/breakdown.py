"""Where a training step's time goes: marks at the borders of a network's parts, both ways.

Forward, a part lasts from its call to its return. Backward, it lasts from the moment when its
output's gradient is complete until the next mark: autograd runs a chain of parts in reverse.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


class Marks:
    """Moments, each with the name of what begins there."""

    def __init__(self) -> None:
        self.moments: list[tuple[str, float]] = []

    def __call__(self, name: str) -> None:
        """Say that ``name`` begins now."""
        self.moments.append((name, time.perf_counter()))

    def seconds(self) -> dict[str, float]:
        """Seconds from each mark to the next, summed by name; the last ends everything."""
        found: dict[str, float] = {}
        for (name, begun), (_, ended) in zip(self.moments, self.moments[1:], strict=False):
            found[name] = found.get(name, 0.0) + ended - begun
        return found


@contextmanager
def marked(parts: Mapping[str, nn.Module], marks: Marks) -> Iterator[None]:
    """Mark the borders of ``parts`` while this lasts."""
    handles: list[Any] = []
    for name, part in parts.items():
        handles.append(part.register_forward_pre_hook(_before(f"{name}, forward", marks)))
        handles.append(part.register_forward_hook(_after(f"{name}, backward", marks)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def shares(seconds: list[dict[str, float]]) -> dict[str, float]:
    """Median seconds of each part over several steps."""
    return {name: statistics.median(step[name] for step in seconds) for name in seconds[0]}


def _before(name: str, marks: Marks) -> Callable[..., None]:
    return lambda module, inputs: marks(name)


def _after(name: str, marks: Marks) -> Callable[..., None]:
    def note(module: nn.Module, inputs: Any, output: Tensor | tuple[Tensor, ...]) -> None:
        marks("rest")
        first = output if isinstance(output, Tensor) else output[0]
        if first.requires_grad:
            first.register_hook(lambda gradient: marks(name))

    return note
