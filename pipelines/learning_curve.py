"""Do capsules need less data? AUC over the number of training cases, beside ordinary heads.

`luna16` with 50 to 4,000 training crops, five draws of them, as many steps for all networks of one
size: `nodule_capsnet` with and without its decoder, two ordinary heads on its encoder, and a CNN
with as many parameters, whose fifth convolution stands where the primary capsules are. Predicts
the set's validation part; its test part is not read. Writes curve.csv (each size and network),
difference.csv (capsules minus the best of the others, by cases and by draws) and curve.svg; goes on
where it was stopped. Needs CAPSMED_DATA. About an hour on 2 cores.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t

from capsmed import atomic, config
from capsmed.engines.run_folder import write_table
from capsmed.engines.train import train
from capsmed.errors import DataError
from capsmed.metrics import auc, auc_difference, read_table
from capsmed.report.style import PALETTE, figure, plain, svg

SIZES = {50: 200, 100: 120, 200: 80, 400: 60, 1000: 40, 4000: 20}  # training cases: epochs
DRAWS = 5
CAPSULES, BARE, EQUAL = "capsules", "capsules, no decoder", "CNN, as many parameters"
HEADS = {"ordinary_head": "ordinary head", "average_head": "average head"}
NETWORKS = {
    CAPSULES: [
        "network={name: nodule_capsnet, decoder: dense, decoder_widths: [128, 256]}",
        "baselines.models=[ordinary_head, average_head]",
    ],
    BARE: ["network={name: nodule_capsnet, decoder: null}", "baselines.models=[]"],
    EQUAL: [
        "network={name: conv_net, channels: [16, 32, 32, 64, 48], kernel_sizes: [5, 3, 3, 3, 3], "
        "strides: [2, 1, 2, 1, 2], padding: same, norm: BATCH, hidden: [20]}",
        "loss=cross_entropy",
        "baselines.models=[]",
    ],
}
FOLDERS = {CAPSULES: "decoded", BARE: "bare", EQUAL: "equal"}
FAST = ["evaluation.bootstrap=100", "data.limit=400"]


def main(out: Path, fast: bool = False) -> Path:
    """Train all networks below ``out`` and write ``curve.csv``, ``difference.csv``, ``curve.svg``.

    Args:
        out: folder of the study.
        fast: two sizes, two draws, one epoch, to see that it runs.

    Raises:
        DataError: CAPSMED_DATA does not name the folder of the data.
    """
    if "CAPSMED_DATA" not in os.environ:
        raise DataError(
            "CAPSMED_DATA: expected the folder that holds luna16_2d, got nothing; set it"
        )
    sizes = {50: 1, 100: 1} if fast else SIZES
    rows, gaps = [], []
    for size, epochs in sizes.items():
        found: dict[str, list[pd.DataFrame]] = {}
        for draw in range(2 if fast else DRAWS):
            changes = [
                "split.tested=val", "split.inner=0", f"split.train_cases={size}",
                f"split.seed={draw}", f"seeds=[{draw}]", f"training.epochs={epochs}",
            ]  # fmt: skip
            for name, network in NETWORKS.items():
                folder = out / f"{size}-{draw}-{FOLDERS[name]}"
                table, told = _predictions(folder, [*changes, *network, *(FAST if fast else [])])
                for model, own in table.groupby("model"):
                    found.setdefault(HEADS.get(str(model), name), []).append(own)
        rows += [_row(size, name, tables, told) for name, tables in found.items()]
        gaps += [_gap(size, name, found, told) for name in (CAPSULES, BARE)]
        write_table(out / "curve.csv", pd.DataFrame(rows))
        write_table(out / "difference.csv", pd.DataFrame(gaps))
    atomic.write_text(out / "curve.svg", draw_curves(pd.DataFrame(rows)))
    print(pd.DataFrame(rows).to_string(index=False))
    print(pd.DataFrame(gaps).to_string(index=False))
    return out / "curve.csv"


Told = tuple[pd.DataFrame, tuple[str, ...], str]


def _predictions(folder: Path, overrides: list[str]) -> tuple[pd.DataFrame, Told]:
    loaded = config.load("luna16", overrides)
    experiment = loaded.experiment
    if not ((folder / "predictions.csv").exists() and config.is_of(folder, experiment)):
        resume = (folder / "config.yaml").exists()
        train(experiment, base=loaded.base, out=folder, resume=resume)
    found = read_table(folder / "predictions.csv")
    classes = tuple(c.removeprefix("prob_") for c in found if c.startswith("prob_"))
    return found, (read_table(folder / "cohort.csv"), classes, str(experiment.data.positive))


def _areas(tables: list[pd.DataFrame], told: Told) -> np.ndarray:
    positive = told[2]
    return np.array([auc(t["label"] == positive, t[f"prob_{positive}"]) for t in tables])


def _interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean over draws and its 95% interval by Student's t."""
    mean = float(values.mean())
    half = float(t.isf(0.025, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def _row(size: int, name: str, tables: list[pd.DataFrame], told: Told) -> dict[str, Any]:
    values = _areas(tables, told)
    mean, low, high = _interval(values)
    draws = " ".join(f"{v:.4f}" for v in values)
    return {"cases": size, "network": name, "auc": mean, "low": low, "high": high, "draws": draws}


def _gap(size: int, name: str, found: dict[str, list[pd.DataFrame]], told: Told) -> dict[str, Any]:
    """Capsules minus the best of the others on the mean, twice: by draws and by cases."""
    others = [*HEADS.values(), EQUAL]
    rival = max(others, key=lambda other: _areas(found[other], told).mean())
    mean, low, high = _interval(_areas(found[name], told) - _areas(found[rival], told))
    cases = auc_difference(pd.concat(found[name]), pd.concat(found[rival]), *told)
    return {
        "cases": size, "network": name, "minus": rival, "difference": mean,
        "low_by_draws": low, "high_by_draws": high,
        "low_by_cases": cases["low"], "high_by_cases": cases["high"],
    }  # fmt: skip


def draw_curves(rows: pd.DataFrame) -> str:
    """AUC over training cases, a line a network, with the band of its mean over draws."""
    with figure(6.5, 4.0) as drawn:
        axes = drawn.add_subplot()
        for colour, (name, own) in zip(PALETTE, rows.groupby("network", sort=False), strict=False):
            axes.plot(own["cases"], own["auc"], "o-", color=colour, ms=3.5, lw=1.4, label=name)
            axes.fill_between(own["cases"], own["low"], own["high"], color=colour, alpha=0.12, lw=0)
        axes.set_xscale("log")
        axes.set_xticks(sorted(set(rows["cases"])), [f"{n:,}" for n in sorted(set(rows["cases"]))])
        axes.minorticks_off()
        axes.set(xlabel="training cases", ylabel="AUC on the validation part")
        axes.legend(loc="lower right")
        plain(axes, grid="y")
        return svg(drawn, "curve")
