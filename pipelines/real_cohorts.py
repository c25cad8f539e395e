"""CapsNet against what a user would take instead, on three real sets, whatever comes out.

`lidc_3d` (54 patients, 5 folds 5 times), `lidc_solid_2d` (557 nodules, 5 folds twice) and
`luna16_2d` (its given split; each look at its test part belongs into docs/test-log.csv): the small
capsule network, two ordinary heads on the same encoder, size alone where there are diameters, and
radiomics, compared in pairs with their p values adjusted within a set. Writes cohorts.csv and a
comparison page a set; needs CAPSMED_DATA; goes on where it was stopped.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd

from capsmed import config
from capsmed.engines.run_folder import write_table
from capsmed.engines.train import train
from capsmed.errors import DataError
from capsmed.report import write_comparison, write_report

ALL = "baselines.models=[size_only, radiomics, ordinary_head, average_head]"
SMALL = "network={name: nodule_capsnet, decoder: dense}"
#: Shipped configuration of each set, and what is changed in it.
SETS = {
    "lidc_3d": ("lung_lidc", [SMALL, "split.repeats=5", ALL]),
    "lidc_solid_2d": ("lidc_solid_2d", ["split.repeats=2"]),
    "luna16_2d": (
        "luna16",
        [SMALL, "baselines.models=[radiomics, ordinary_head, average_head]"],
    ),
}
FAST = [
    "training.epochs=1",
    "evaluation.bootstrap=100",
    "data.limit=60",
    "split.repeats=1",
    "split.folds=2",
]


def main(out: Path, fast: bool = False) -> Path:
    """Train what is not there yet and write ``cohorts.csv``.

    Args:
        out: folder of the study.
        fast: few cases, one epoch: to see that it runs.

    Raises:
        DataError: CAPSMED_DATA does not name the folder of the real data.
    """
    if "CAPSMED_DATA" not in os.environ:
        raise DataError(
            "CAPSMED_DATA: expected the folder that holds lidc_3d, lidc_solid_2d and luna16_2d, "
            "got nothing; set it"
        )
    rows: list[dict[str, Any]] = []
    for name, (shipped, changes) in SETS.items():
        run = _trained(out / name, shipped, [*changes, *(FAST if fast else [])])
        page = write_comparison([run], out / f"{name}_compared", bootstrap=100 if fast else 2000)
        rows += _rows(name, json.loads((page / "comparison.json").read_text(encoding="utf-8")))
        write_table(out / "cohorts.csv", pd.DataFrame(rows))  # what is done is kept
    print(pd.DataFrame(rows).to_string(index=False))
    return out / "cohorts.csv"


def _trained(folder: Path, shipped: str, changes: list[str]) -> Path:
    loaded = config.load(shipped, changes)
    if not ((folder / "metrics.json").exists() and config.is_of(folder, loaded.experiment)):
        resume = (folder / "config.yaml").exists()
        train(loaded.experiment, base=loaded.base, out=folder, resume=resume)
    write_report(folder)
    return folder


def _rows(name: str, found: dict[str, Any]) -> list[dict[str, Any]]:
    pairs = {pair["second"]: pair for pair in found["pairs"]}
    rows = []
    for model, entry in found["models"].items():
        row = {"set": name, "model": model, "cases": entry["n_cases"], **_ends("auc", entry["auc"])}
        if model in pairs:
            pair = pairs[model]
            row |= _ends("network_minus", pair["auc"]) | {"p": pair["p_adjusted"]["auc"]}
        rows.append(row)
    return rows


def _ends(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    return {name: entry["value"], f"{name}_low": entry["low"], f"{name}_high": entry["high"]}
