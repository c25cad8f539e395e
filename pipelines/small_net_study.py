"""Whether the small nodule network loses anything against larger ones, and what its time buys.

Not inferior: `nodule_capsnet` beside the network that was there before it or a wider one, with at
least four times as many parameters, on the folds of configs/lung.yaml (twelve seeds each: of 240
patients three leave the difference uncertain by 0.015) and on the validation part of
configs/luna16.yaml (three seeds), whose test part is not read. Then on configs/lung.yaml, one
seed: a CNN with as many parameters and MONAI's ResNet-18, at as many epochs and in as much time of
training steps, which are timed in turn. Writes difference.csv and contest.csv; a study that was
stopped goes on where it was. About an hour and a half on 2 cores.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from capsmed import config
from capsmed.config import Experiment
from capsmed.data import demo
from capsmed.engines import build
from capsmed.engines.run_folder import write_table
from capsmed.engines.train import train
from capsmed.metrics import auc_difference, read_table, summarise
from capsmed.networks import TrainingWrapper
from capsmed.networks.cost import multiply_adds, parameters

SMALL_2D = "network={name: nodule_capsnet, decoder: dense, decoder_widths: [128, 256]}"
SMALL_3D = "network={name: nodule_capsnet, decoder: dense}"
WIDE = (
    "network={name: capsnet, channels: [16, 32, 64], kernel_sizes: 3, strides: [1, 2, 2], "
    "padding: same, norm: BATCH, primary_capsules: 16, primary_kernel: 1, primary_stride: 1, "
    "init_scale: 0.02, decoder_widths: [64, 128]}"
)
FORMER_LUNA16 = (
    "network={name: capsnet, channels: [32, 64, 64, 128], kernel_sizes: [5, 3, 3, 3], "
    "strides: [2, 1, 2, 1], padding: same, norm: BATCH, primary_capsules: 16, primary_kernel: 3, "
    "primary_stride: 2, init_scale: 0.02, decoder_widths: [128, 256]}"
)
CNN = (
    "network={name: conv_net, channels: [8, 16, 32], kernel_sizes: 3, strides: [1, 2, 2], "
    "padding: same, norm: BATCH, hidden: [32]}"
)
RESNET = "network={name: backbone_classifier, backbone: resnet18}"
PAIRS = {"lung": (SMALL_3D, WIDE), "luna16": (SMALL_2D, FORMER_LUNA16)}
CONTEST = {"nodule_capsnet": SMALL_3D, "cnn": CNN, "resnet18": RESNET}
EQUAL_EPOCHS, ROUNDS = 20, 15
SEEDS = {"lung": f"seeds={list(range(12))}", "luna16": "seeds=[0, 1, 2]"}
FAST = ["seeds=[0]", "training.epochs=1", "evaluation.bootstrap=100"]


def main(out: Path, fast: bool = False) -> Path:
    """Train all networks below ``out`` and write ``difference.csv`` and ``contest.csv``.

    Args:
        out: folder of the study.
        fast: few cases, one epoch, one seed, no ResNet-18: to see that it runs.
    """
    lung = [*FAST, "split.folds=2", f"data.cohort={_few(out)}", "data.frame=RAS"] if fast else []
    sets = {"lung": ["baselines.models=[]", SEEDS["lung"], *lung]}
    if "CAPSMED_DATA" in os.environ:
        limit = [*FAST, "data.limit=40"] if fast else []
        sets["luna16"] = [
            "split.tested=val",
            "split.inner=0",
            "baselines.models=[]",
            SEEDS["luna16"],
            *limit,
        ]
    else:
        print("luna16 is left out: CAPSMED_DATA does not name the folder of its data")
    rows = [row for name, changes in sets.items() for row in _pair(out, name, changes)]
    _write(out / "difference.csv", rows)
    _write(out / "contest.csv", _contest(out, [*sets["lung"], "seeds=[0]"], fast))
    return out / "difference.csv"


def _pair(out: Path, name: str, changes: list[str]) -> list[dict[str, Any]]:
    """Rows of the small and of the larger network; the first with its difference."""
    networks = dict(zip(("small", "larger"), PAIRS[name], strict=True))
    runs = {k: Run(out / name / k, name, [*changes, network]) for k, network in networks.items()}
    rows = [{"set": name, "network": k, **run.facts()} for k, run in runs.items()]
    small, larger = runs.values()
    found = auc_difference(small.predictions, larger.predictions, *small.told)
    rows[0] |= {f"difference{end}": found[key] for end, key in ENDS.items()}
    return rows


ENDS = {"": "value", "_low": "low", "_high": "high"}


def _contest(out: Path, changes: list[str], fast: bool) -> list[dict[str, Any]]:
    """AUC of three networks at equal epochs, and in the time that lung.yaml's epochs take ours."""
    whole = config.load("lung", changes).experiment.training.epochs
    equal = 1 if fast else EQUAL_EPOCHS
    seconds = _step_seconds(changes, 2 if fast else ROUNDS)
    rows = []
    for name, network in list(CONTEST.items())[: 2 if fast else 3]:
        in_time = max(1, round(whole * seconds["nodule_capsnet"] / seconds[name]))
        for kind, epochs in (("equal epochs", equal), ("equal time", in_time)):
            overrides = [*changes, network, *_loss(name), f"training.epochs={epochs}"]
            run = Run(out / "contest" / f"{name}-{epochs}", "lung", overrides)
            cost = {"epochs": epochs, "step_ms": 1e3 * seconds[name]}
            rows.append({"compared": kind, "network": name, **cost, **run.facts()})
    return rows


def _loss(network: str) -> list[str]:
    return [] if network == "nodule_capsnet" else ["loss=cross_entropy"]


class Run:
    """A finished run folder: trained on first use, gone on with where it was stopped.

    A folder of another configuration, such as that of a fast study, is refused by `train`.

    Args:
        folder: of the run.
        name: of the shipped configuration.
        overrides: what is changed in it.
    """

    def __init__(self, folder: Path, name: str, overrides: list[str]) -> None:
        loaded = config.load(name, overrides)
        self.experiment = loaded.experiment
        if not ((folder / "predictions.csv").exists() and config.is_of(folder, self.experiment)):
            resume = (folder / "config.yaml").exists()
            train(self.experiment, base=loaded.base, out=folder, resume=resume)
        found = read_table(folder / "predictions.csv")
        self.predictions = found[found["model"] == self.experiment.network.name]
        classes = tuple(c.removeprefix("prob_") for c in found if c.startswith("prob_"))
        self.told = (read_table(folder / "cohort.csv"), classes, self.experiment.data.positive)

    def facts(self) -> dict[str, Any]:
        """Its cost without decoder, and its AUC, the mean over its seeds."""
        patch, network = self.experiment.patch, _network(self.experiment)
        entry = summarise(self.predictions, *self.told)
        seeds = [f"{each['auc']['value']:.4f}" for each in entry["per_seed"]]
        return {
            "parameters": parameters(network),
            "multiply_adds": multiply_adds(network, torch.zeros(1, 1, *patch.size)),
            **{f"auc{end}": entry["auc"][key] for end, key in ENDS.items()},
            "seeds": " ".join(seeds),
        }


def _network(experiment: Experiment) -> torch.nn.Module:
    return build.build_network(experiment.network, experiment, 2)


def _step_seconds(changes: list[str], rounds: int) -> dict[str, float]:
    """Median seconds of a training step of each network, timed in turn."""
    steps = {}
    for name, network in CONTEST.items():
        steps[name] = _step(config.load("lung", [*changes, network, *_loss(name)]).experiment)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 2):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            if number >= 2:
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}


def _step(experiment: Experiment) -> Callable[[], None]:
    wrapper = TrainingWrapper(_network(experiment)).train()
    loss, images = build.build_loss(experiment.loss), torch.rand(16, 1, *experiment.patch.size)
    optimizer = build.build_optimizer(experiment.optimizer, wrapper.network)
    labels = torch.arange(len(images)) % 2

    def step() -> None:
        optimizer.zero_grad()
        loss(wrapper(images, labels), labels).backward()
        optimizer.step()

    return step


def _few(out: Path) -> Path:
    table = out / "cohort" / "cohort.csv"
    return (table if table.exists() else demo.write(out / "cohort", cases=24)).resolve()


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    write_table(path, pd.DataFrame(rows))
    print(pd.DataFrame(rows).to_string(index=False))
