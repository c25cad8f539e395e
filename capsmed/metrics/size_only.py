"""The model every nodule study must beat: malignancy from the diameter alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from capsmed.metrics.tables import included


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
    known = _with_diameter(cohort)
    columns = ["model", "repeat", "seed", "fold", "case_id", "label"]
    columns += [f"prob_{name}" for name in classes]
    if other is not None:
        train = splits["case_id"][splits["part"] != "test"]
        parts = [(0, 0, known[known["case_id"].isin(train)], _with_diameter(other))]
    else:
        parts = [
            (repeat, fold, *_parts(known, rows))
            for (repeat, fold), rows in splits.groupby(["repeat", "fold"])
        ]
    if any(set(train["label"]) != set(classes) for _, _, train, _ in parts):
        return pd.DataFrame(columns=columns)
    rows = [_predicted(*part, classes=classes, seed=seed) for part in parts if len(part[-1])]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=columns)


def _with_diameter(cohort: pd.DataFrame) -> pd.DataFrame:
    rows = included(cohort)
    if "diameter_mm" not in rows:
        return rows.iloc[:0].assign(diameter_mm=0.0)
    diameter = pd.to_numeric(rows["diameter_mm"], errors="coerce")
    usable = np.isfinite(diameter) & (diameter > 0)
    return rows.assign(diameter_mm=diameter, label=rows["label"].astype(str))[usable]


def _parts(known: pd.DataFrame, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    tested = rows["case_id"][rows["part"] == "test"]
    trained = rows["case_id"][rows["part"] != "test"]
    return known[known["case_id"].isin(trained)], known[known["case_id"].isin(tested)]


def _predicted(
    repeat: int,
    fold: int,
    train: pd.DataFrame,
    test: pd.DataFrame,
    *,
    classes: tuple[str, ...],
    seed: int,
) -> pd.DataFrame:
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    model.fit(_feature(train), train["label"].map(list(classes).index))
    scores = model.predict_proba(_feature(test))
    rows = pd.DataFrame(
        {
            "model": "size_only",
            "repeat": int(repeat),
            "seed": int(seed),
            "fold": int(fold),
            "case_id": test["case_id"].to_numpy(),
            "label": test["label"].to_numpy(),
        }
    )
    return rows.assign(**{f"prob_{name}": scores[:, k] for k, name in enumerate(classes)})


def _feature(rows: pd.DataFrame) -> np.ndarray:
    return np.log(rows["diameter_mm"].to_numpy(float))[:, None]
