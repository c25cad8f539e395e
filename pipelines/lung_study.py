"""What routing and reconstruction add: ablations of configs/lung.yaml on the embedded cohort.

Each variant is trained and reported in a folder of its own, on the same folds; a study that was
stopped goes on where it was. The ordinary head on the same encoder and the size-only model stand
beside them. About as long as four times `make lung`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from capsmed import config
from capsmed.data import demo
from capsmed.engines.run_folder import write_table
from capsmed.engines.train import train
from capsmed.report import write_report

VARIANTS: dict[str, list[str]] = {
    "routing_3": [],  # lung.yaml itself, with its baselines
    "routing_1": ["network.routing=[dynamic, {iterations: 1}]", "baselines.models=[]"],
    "no_reconstruction": ["network.decoder=null", "baselines.models=[]"],
}
FAST = ["split.folds=2", "training.epochs=1", "evaluation.bootstrap=100"]


def main(out: Path, fast: bool = False) -> Path:
    """Train every variant below ``out`` and write their AUCs to ``study.csv``.

    Args:
        out: folder of the study.
        fast: 24 cases, two folds, one epoch: to see that it runs.
    """
    overrides = [*FAST, f"data.cohort={_few_cases(out)}", "data.frame=RAS"] if fast else []
    rows: list[dict[str, Any]] = []
    compared: dict[str, dict[str, float]] = {}
    for variant, changes in VARIANTS.items():
        metrics = _run(out / variant, [*changes, *overrides])
        rows.append({"model": variant, **_auc(metrics["model"])})
        compared |= {name: _auc(entry) for name, entry in metrics["baselines"].items()}
    rows += [{"model": name, **found} for name, found in compared.items()]
    write_table(out / "study.csv", pd.DataFrame(rows))
    print(pd.DataFrame(rows).to_string(index=False))
    return out / "study.csv"


def _run(folder: Path, overrides: list[str]) -> dict[str, Any]:
    loaded = config.load("lung", overrides)
    resume = (folder / "config.yaml").exists()
    train(loaded.experiment, base=loaded.base, out=folder, resume=resume)
    write_report(folder)
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def _auc(entry: dict[str, Any]) -> dict[str, float]:
    return {f"auc_{key}": entry["auc"][key] for key in ("value", "low", "high")}


def _few_cases(out: Path) -> Path:
    table = out / "cohort" / "cohort.csv"
    return (table if table.exists() else demo.write(out / "cohort", cases=24)).resolve()
