"""The run folder's tables as data frames: ids and labels stay text, numbers become numbers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

#: Models that stand beside the network, in this order; after them columns that are a score.
BASELINES = (
    "size_only", "clinical", "combined", "radiomics", "ordinary_head", "average_head",
    "densenet121", "resnet18",
)  # fmt: skip
SCORE = "score_"
#: By which probabilities of one case may miss a sum of one.
ROUNDING = 1e-3
#: Parts of a fold that a model may learn from.
LEARNT = ("train", "inner")
#: The evaluation, below ``evaluations/``, of the patients that ``split.held_out`` keeps.
HELD_OUT = "held_out"
_WHOLE = ("repeat", "seed", "fold", "target", "epoch", "schema_version")
_REAL = ("diameter_mm", "padded", "threshold")


def baselines_of(models: Iterable[str]) -> list[str]:
    """Those of ``models`` that are baselines, in the order of telling.

    >>> baselines_of(["capsnet", "score_reader 1", "size_only"])
    ['size_only', 'score_reader 1']
    """
    present = list(dict.fromkeys(models))
    scores = [name for name in present if name.startswith(SCORE)]
    return [name for name in BASELINES if name in present] + scores


def read_table(path: Path) -> pd.DataFrame:
    """Read predictions.csv, cohort.csv or splits.csv.

    Text is taken as written ('007' and 'NA' stay what they are). Columns named ``prob_*``,
    ``diameter_mm``, ``padded`` and ``threshold`` are floats, empty cells NaN; repeat, seed and fold
    integers.
    """
    table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    for name in table.columns:
        if name in _REAL or name.startswith("prob_"):
            table[name] = pd.to_numeric(table[name].replace("", np.nan)).astype(float)
        elif name in _WHOLE:
            table[name] = pd.to_numeric(table[name].replace("", -1)).astype(int)
    return table


def included(cohort: pd.DataFrame) -> pd.DataFrame:
    """The rows of a cohort table that take part, by its ``status`` or its ``excluded`` column."""
    if "status" in cohort:
        return cohort[cohort["status"] == "included"]
    if "excluded" in cohort:
        return cohort[cohort["excluded"] == ""]
    return cohort


def probabilities(predictions: pd.DataFrame, classes: tuple[str, ...]) -> np.ndarray:
    """The columns ``prob_<class>`` in class order; [rows, classes].

    Raises:
        ValueError: a column is missing or a probability is not finite.
    """
    names = [f"prob_{name}" for name in classes]
    missing = [name for name in names if name not in predictions]
    if missing:
        raise ValueError(
            f"predictions: expected columns {names}, got no {missing}; "
            f"columns are {list(predictions.columns)}"
        )
    values = predictions[names].to_numpy(float)
    if not np.isfinite(values).all():
        cases = predictions["case_id"][~np.isfinite(values).all(axis=1)].unique()
        raise ValueError(
            f"predictions: expected finite probabilities, got others for {len(cases)} cases, "
            f"first {cases[0]!r}; the network diverged"
        )
    return values


def no_shares(values: np.ndarray) -> np.ndarray:
    """Which rows of [rows, classes] are no shares of one: below 0, or of another sum; [rows]."""
    return (values < -ROUNDING).any(axis=1) | (np.abs(values.sum(axis=1) - 1) > ROUNDING)


def targets(predictions: pd.DataFrame, classes: tuple[str, ...]) -> np.ndarray:
    """The column ``label`` as class indices; [rows].

    Raises:
        ValueError: a label is none of the classes.
    """
    index = {str(name): i for i, name in enumerate(classes)}
    values = predictions["label"].astype(str).map(index)
    if values.isna().any():
        unknown = sorted(set(predictions["label"][values.isna()].astype(str)))
        raise ValueError(f"predictions: expected labels {list(classes)}, got {unknown}")
    return values.to_numpy(int)
