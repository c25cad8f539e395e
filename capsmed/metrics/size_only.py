"""The model every nodule study must beat: malignancy from the diameter alone."""

from __future__ import annotations

import numpy as np
import pandas as pd

from capsmed.metrics.tables import included
from capsmed.metrics.tabular import tabular


def size_only(
    cohort: pd.DataFrame,
    splits: pd.DataFrame,
    classes: tuple[str, ...],
    other: pd.DataFrame | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Predict the class from log(diameter) by logistic regression in the network's own folds.

    Fitted on the train and inner parts, classes weighted equally (as balanced sampling does for
    the network, so that 0.5 is a fair threshold), standardised, L2 with C = 1. Cases without a
    diameter are neither fitted nor predicted; the baseline's ``n_cases`` shows how many are left.

    Args:
        cohort: case_id, label, diameter_mm, and status or excluded; labels are class names.
        splits: repeat, fold, case_id, part.
        classes: class order.
        other: another cohort to predict, with one model fitted on every case that a fold trained
            on, instead of the test parts.
        seed: what the column ``seed`` says; the fit itself has no randomness.

    Returns:
        Rows of predictions.csv (model 'size_only'). Empty where no test case has a diameter or
        a training part with diameters lacks one of the classes.
    """
    told = None if other is None else (_log_diameter(other), other)
    features = _log_diameter(cohort)
    return tabular("size_only", features, cohort, splits, classes, told, seed, penalties=(1.0,))


def _log_diameter(cohort: pd.DataFrame) -> pd.DataFrame:
    rows = included(cohort)
    if "diameter_mm" not in rows:
        return rows[["case_id"]].assign(log_diameter=np.nan)
    diameter = pd.to_numeric(rows["diameter_mm"], errors="coerce")
    usable = diameter.where(np.isfinite(diameter) & (diameter > 0))
    return rows[["case_id"]].assign(log_diameter=np.log(usable))
