"""Gather an evaluator's scores by case, over batches and over processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events


class PredictionCollector:
    """Keep each case's class scores, and the mean loss, of one evaluator run.

    After the run ``indices`` is sorted and without repeats (a distributed sampler repeats cases
    to make ranks equally long), ``scores`` is float32 [cases, classes] in that order, ``loss``
    the mean over cases or None. All ranks hold the same values.

    Args:
        loss_function: called as ``loss_function(prediction, label)``; None skips the loss.
    """

    def __init__(self, loss_function: Callable | None = None) -> None:
        self.loss_function = loss_function
        self.indices = torch.empty(0, dtype=torch.long)
        self.scores = torch.empty(0)
        self.loss: float | None = None
        self._parts: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._loss_sum, self._loss_cases = 0.0, 0

    def attach(self, engine: Engine) -> None:
        """Collect at each iteration of ``engine`` and gather at its end."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.COMPLETED, self._gather)

    def _start(self, engine: Engine) -> None:
        self._parts, self._loss_sum, self._loss_cases = [], 0.0, 0

    def _collect(self, engine: Engine) -> None:
        output: Any = engine.state.output
        batch: Any = engine.state.batch
        prediction = output["pred"]
        scores = prediction["scores"] if isinstance(prediction, dict) else prediction
        self._parts.append((torch.as_tensor(batch["index"]), scores.detach().float().cpu()))
        if self.loss_function is not None:
            with torch.no_grad():
                loss = self.loss_function(prediction, output["label"])
            self._loss_sum += float(loss) * len(scores)
            self._loss_cases += len(scores)

    def _gather(self, engine: Engine) -> None:
        indices = torch.cat([part[0] for part in self._parts])
        scores = torch.cat([part[1] for part in self._parts])
        loss = (self._loss_sum, self._loss_cases)
        if idist.get_world_size() > 1:
            parts: list = [None] * idist.get_world_size()
            torch.distributed.all_gather_object(parts, (indices, scores, loss))
            indices = torch.cat([part[0] for part in parts])
            scores = torch.cat([part[1] for part in parts])
            loss = (sum(part[2][0] for part in parts), sum(part[2][1] for part in parts))
        by_case = dict(zip(indices.tolist(), scores, strict=True))
        self.indices = torch.tensor(sorted(by_case), dtype=torch.long)
        self.scores = torch.stack([by_case[index] for index in sorted(by_case)])
        self.loss = loss[0] / loss[1] if loss[1] else None
