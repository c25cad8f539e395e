"""Do capsules need less data? AUC over the number of training cases, beside ordinary heads.

`luna16` with 50 to 4,000 training crops, five draws of them, as many steps for all networks of one
size: `nodule_capsnet` with and without its decoder, two ordinary heads on its encoder, and a CNN
with as many parameters, whose fifth convolution stands where the primary capsules are; and the
best of a search (`capsmed tune`) for capsules and for the CNN. All predict the set's validation
part; the two that were searched for predict its test part, too. Writes curve.csv (each size and
network), difference.csv (capsules minus the best of the others, by cases and by draws), both again
as test_*.csv, and curve.svg; goes on where it was stopped. Needs CAPSMED_DATA. About an hour on 2
cores.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t

from capsmed import atomic, config
from capsmed.data.cohort import Cohort
from capsmed.data.patches import PatchSet
from capsmed.engines.evaluate import find_fits
from capsmed.engines.evaluation import predict_by_folds
from capsmed.engines.finish import Labels
from capsmed.engines.precision import choose_device
from capsmed.engines.run_data import Cases
from capsmed.engines.run_folder import RunFolder, write_table
from capsmed.engines.train import train
from capsmed.errors import DataError
from capsmed.metrics import auc, auc_difference, read_table
from capsmed.report.style import PALETTE, figure, plain, svg

SIZES = {50: 200, 100: 120, 200: 80, 400: 60, 1000: 40, 4000: 20}  # training cases: epochs
DRAWS = 5
CAPSULES, BARE, EQUAL = "capsules", "capsules, no decoder", "CNN, as many parameters"
FOUND, EQUAL_FOUND = "capsules, searched", "CNN, searched"
TESTED = (FOUND, EQUAL_FOUND)  # these also predict the test part
TABLES = ("curve", "difference", "test_curve", "test_difference")
HEADS = {"ordinary_head": "ordinary head", "average_head": "average head"}
_CNN = (
    "name: conv_net, channels: [16, 32, 32, 64, 48], kernel_sizes: [5, 3, 3, 3, 3], "
    "strides: [2, 1, 2, 1, 2], padding: same, norm: BATCH, hidden: [20]"
)
NETWORKS = {
    CAPSULES: [
        "network={name: nodule_capsnet, decoder: dense, decoder_widths: [128, 256]}",
        "baselines.models=[ordinary_head, average_head]",
    ],
    BARE: ["network={name: nodule_capsnet, decoder: null}", "baselines.models=[]"],
    EQUAL: [f"network={{{_CNN}}}", "loss=cross_entropy", "baselines.models=[]"],
    # 30 trials each on three inner folds of the first draw of 400 crops: routing, capsules, their
    # sizes, dropout, learning rate, decay; of the CNN its head. The search is in the docs' page.
    FOUND: [
        "network={name: nodule_capsnet, decoder: null, routing: self_attention, class_dim: 32}",
        "optimizer.lr=3.07e-3",
        "optimizer.weight_decay=0.0989",
        "baselines.models=[]",
    ],
    EQUAL_FOUND: [
        f"network={{{_CNN}}}",
        "loss=cross_entropy",
        "optimizer.lr=1.23e-3",
        "optimizer.weight_decay=0.00624",
        "baselines.models=[]",
    ],
}
FOLDERS = {
    CAPSULES: "decoded",
    BARE: "bare",
    EQUAL: "equal",
    FOUND: "found",
    EQUAL_FOUND: "equal_found",
}
PAIRS = {  # what capsules are set beside: the best of these on the mean
    CAPSULES: (*HEADS.values(), EQUAL),
    BARE: (*HEADS.values(), EQUAL),
    FOUND: (EQUAL_FOUND,),
}
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
    rows, gaps, tested, tested_gaps = [], [], [], []
    for size, epochs in ({50: 1, 100: 1} if fast else SIZES).items():
        found: dict[str, list[pd.DataFrame]] = {}
        there: dict[str, list[pd.DataFrame]] = {}
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
                if name in TESTED:
                    there.setdefault(name, []).append(_on_test_part(folder))
        rows += [_row(size, name, tables, told) for name, tables in found.items()]
        gaps += [_gap(size, name, found, told) for name in PAIRS]
        tested += [_row(size, name, tables, told) for name, tables in there.items()]
        tested_gaps.append(_gap(size, FOUND, there, told))
        for name, made in zip(TABLES, (rows, gaps, tested, tested_gaps), strict=True):
            write_table(out / f"{name}.csv", pd.DataFrame(made))
    atomic.write_text(out / "curve.svg", draw_curves(pd.DataFrame(rows)))
    for made in (rows, gaps, tested, tested_gaps):
        print(pd.DataFrame(made).to_string(index=False))
    return out / "curve.csv"


def _on_test_part(folder: Path) -> pd.DataFrame:
    """What the network trained in ``folder`` predicts for the set's test part, kept beside it."""
    path = folder.with_name(f"{folder.name}-test.csv")
    if not path.exists():
        loaded, run = config.load_run(folder), RunFolder(folder)
        experiment, device = loaded.experiment, choose_device(loaded.experiment.device)
        cases = _test_part(experiment.data, experiment.patch, loaded.base)
        fits, labels = find_fits(run, experiment), Labels.read(run)
        write_table(path, predict_by_folds(experiment, labels, fits, cases, device, "float32"))
    return read_table(path)


@functools.cache
def _test_part(data: config.Data, patch: config.Patch, base: Path) -> Cases:
    """The set's test part, opened once: it is the same for all networks."""
    cohort = Cohort.read(data, base)
    rows = cohort.included
    tested = cohort.keep(set(rows["case_id"][rows["split"] == "test"]))
    return Cases(tested, PatchSet.load(tested, tested.included, patch, config.Augmentation()))


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
    rival = max(PAIRS[name], key=lambda other: _areas(found[other], told).mean())
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
