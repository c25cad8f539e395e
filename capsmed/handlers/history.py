"""The training curve of one fold as a CSV file that an interrupted run can go on with."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from torch import Tensor

from capsmed import atomic

COLUMNS = (
    "epoch", "lr", "train_loss", "inner_loss", "inner_auc", "inner_accuracy", "seconds",
    "schema_version",
)  # fmt: skip


class History:
    """Record each epoch's losses and scores and rewrite ``path`` as a whole.

    Args:
        path: the CSV file; read when it exists, cut to ``epoch`` rows.
        epoch: the last finished epoch to keep; rows behind it belong to an epoch that is repeated.
    """

    def __init__(self, path: Path, epoch: int = 0) -> None:
        self.path = path
        self.rows = self._read(path, epoch)
        self._started = 0.0
        self._losses: list[Tensor] = []

    def attach(self, engine: Engine) -> None:
        """Time the epoch and sum its loss; call :meth:`record` when it has been evaluated."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._add)

    def record(self, engine: Engine, lr: float, inner: dict[str, float]) -> dict[str, Any]:
        """Append the finished epoch's row, write the file on rank 0, return the row."""
        # Read once an epoch: on a GPU, reading a loss makes the host wait for its step.
        losses = torch.stack(self._losses).tolist() if self._losses else []
        loss, steps = idist.all_reduce(sum(losses)), idist.all_reduce(len(losses))
        row = {
            "epoch": engine.state.epoch,
            "lr": lr,
            "train_loss": loss / max(steps, 1),
            "inner_loss": inner.get("loss", ""),
            "inner_auc": inner.get("auc", ""),
            "inner_accuracy": inner.get("accuracy", ""),
            "seconds": round(time.perf_counter() - self._started, 3),
            "schema_version": 1,
        }
        self.rows.append(row)
        if idist.get_rank() == 0:
            atomic.write(self.path, self._dump)
        return row

    def _start(self, engine: Engine) -> None:
        self._started, self._losses = time.perf_counter(), []

    def _add(self, engine: Engine) -> None:
        output: Any = engine.state.output
        self._losses.append(output["loss"].detach())

    def _dump(self, path: Path) -> None:
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self.rows)

    @staticmethod
    def _read(path: Path, epoch: int) -> list[dict[str, Any]]:
        if not path.exists():
            return []
        with open(path, encoding="utf-8", newline="") as file:
            return [row for row in csv.DictReader(file) if int(row["epoch"]) <= epoch]
