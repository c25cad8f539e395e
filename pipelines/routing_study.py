"""Every routing on one small network: error and AUC, time and memory of a training step.

`configs/routing_digits.yaml` and `configs/routing_luna16.yaml` with each registered routing, three
seeds; a study that was stopped goes on where it was. Steps are timed in turn (A B C A B C ...), so
that a busy machine slows all alike. Writes study.csv and study.md. About 45 minutes on 2 cores.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from capsmed import atomic, config
from capsmed.config import Experiment
from capsmed.engines import build
from capsmed.engines.memory import peak_bytes
from capsmed.engines.run_folder import write_table
from capsmed.engines.train import train
from capsmed.networks import Routing, TrainingWrapper
from capsmed.report import write_report

SETS = {"routing_digits": "error", "routing_luna16": "auc"}
CLASSES = {"routing_digits": 10, "routing_luna16": 2}
FAST = ["data.limit=40", "seeds=[0]", "training.epochs=1", "evaluation.bootstrap=100"]
ROUNDS = 30


def main(out: Path, fast: bool = False) -> Path:
    """Train every routing on every set below ``out`` and write ``study.csv`` and ``study.md``.

    Args:
        out: folder of the study.
        fast: a few digits, one epoch, one seed: to see that it runs.
    """
    names = sorted(name.lower() for name in Routing.names)
    sets = [name for name in SETS if not fast or name == "routing_digits"]
    if "CAPSMED_DATA" not in os.environ and "routing_luna16" in sets:
        print("routing_luna16 is left out: CAPSMED_DATA does not name the folder of its data")
        sets.remove("routing_luna16")
    rows = []
    for name in sets:
        changes = FAST if fast else []
        scores = {routing: _run(name, out, routing, changes) for routing in names}
        costs = _costs(config.load(name, changes).experiment, name, names, 2 if fast else ROUNDS)
        rows += [{"set": name, "routing": r, **scores[r], **costs[r]} for r in names]
    table = pd.DataFrame(rows)
    write_table(out / "study.csv", table)
    atomic.write_text(out / "study.md", _markdown(table))
    print((out / "study.md").read_text(encoding="utf-8"))
    return out / "study.csv"


def _run(name: str, out: Path, routing: str, changes: list[str]) -> dict[str, Any]:
    folder = out / name / routing
    loaded = config.load(name, [*changes, f"network.routing={routing}"])
    if not ((folder / "report.html").exists() and config.is_of(folder, loaded.experiment)):
        resume = (folder / "config.yaml").exists()
        train(loaded.experiment, base=loaded.base, out=folder, resume=resume)
        write_report(folder)
    found = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["model"]
    metric = SETS[name]
    seeds = [entry[metric]["value"] for entry in found["per_seed"]]
    return {
        "metric": metric,
        **{key: found[metric][key] for key in ("value", "low", "high")},
        "seeds": " ".join(f"{value:.4f}" for value in seeds),
    }


def _costs(
    experiment: Experiment, name: str, routings: list[str], rounds: int
) -> dict[str, dict[str, Any]]:
    """Parameters, and time and memory of a training step as multiples of dynamic routing's."""
    networks = {routing: _network(experiment, name, routing) for routing in routings}
    steps = {routing: _step(experiment, network) for routing, network in networks.items()}
    times: dict[str, list[float]] = {routing: [] for routing in routings}
    for _ in range(rounds):
        for routing, step in steps.items():
            started = time.perf_counter()
            step()
            times[routing].append(time.perf_counter() - started)
    middle = {routing: statistics.median(values) for routing, values in times.items()}
    memory = {routing: peak_bytes(step) for routing, step in steps.items()}
    return {
        routing: {
            "parameters": sum(p.numel() for p in networks[routing].parameters()),
            "step_ms": 1e3 * middle[routing],
            "time": middle[routing] / middle["dynamic"],
            "memory_mb": memory[routing] / 1e6,
            "memory": memory[routing] / memory["dynamic"],
        }
        for routing in routings
    }


def _network(experiment: Experiment, name: str, routing: str) -> TrainingWrapper:
    changed = {**experiment.network.model_dump(), "routing": routing}
    component = type(experiment.network)(**changed)
    return TrainingWrapper(build.build_network(component, experiment, CLASSES[name])).train()


def _step(experiment: Experiment, network: TrainingWrapper) -> Callable[[], None]:
    patch = experiment.patch
    images = torch.rand(experiment.training.batch_size, patch.channels, *patch.size)
    labels = torch.arange(len(images)) % 2
    loss = build.build_loss(experiment.loss)

    def step() -> None:
        network.zero_grad()
        loss(network(images, labels), labels).backward()

    return step


def _markdown(table: pd.DataFrame) -> str:
    lines = []
    for name, rows in table.groupby("set", sort=False):
        percent = rows["metric"].iloc[0] == "error"
        lines += [
            f"{name}: {'error %' if percent else 'AUC'}\n",
            "| routing | mean (95% interval) | seeds | parameters | step time | peak memory |",
            "|---|---|---|---|---|---|",
            *(_line(row, 100 if percent else 1, 2 if percent else 3) for row in _records(rows)),
            "",
        ]
    return "\n".join(lines)


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [dict(row) for row in rows.to_dict("records")]


def _line(row: dict[str, Any], scale: float, digits: int) -> str:
    value, low, high = (f"{scale * row[key]:.{digits}f}" for key in ("value", "low", "high"))
    seeds = ", ".join(f"{scale * float(seed):.{digits}f}" for seed in row["seeds"].split())
    return (
        f"| `{row['routing']}` | {value} ({low} to {high}) | {seeds} | {row['parameters']:,} | "
        f"{row['time']:.2f} | {row['memory']:.2f} |"
    )
