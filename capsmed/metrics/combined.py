"""The clinical model and the network together: does an image add to what is known anyway?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from capsmed.metrics.calibration import LEAST
from capsmed.metrics.tabular import tabular

COMBINED = "combined"
_RUN, _FOLD = ["repeat", "seed"], ["repeat", "seed", "fold"]
_CASE = ["repeat", "fold", "case_id"]


def combined(
    network: pd.DataFrame,
    inner: pd.DataFrame,
    features: pd.DataFrame,
    cohort: pd.DataFrame,
    splits: pd.DataFrame,
    classes: tuple[str, ...],
    other: tuple[pd.DataFrame, pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """Weigh the clinical model's and the network's score by logistic regression in each fold.

    The clinical model is fitted on the fold's train part alone, so that on the inner part neither
    score has seen a case; there the weights are fitted (on the log odds of both models, L2 with
    C = 1, classes weighted equally), and the test part is predicted. This is stacking (Wolpert
    1992) with one part held out. Another cohort is predicted with weights fitted on the inner parts
    of all folds.

    Args:
        network: rows of predictions.csv of the network, for the test parts or the other cohort.
        inner: its rows for the folds' inner parts.
        features: case_id and the clinical columns as numbers.
        cohort: case_id, label, patient, and status or excluded.
        splits: repeat, fold, case_id, part.
        classes: class order.
        other: features and cohort of other cases to predict instead of the test parts.

    Returns:
        Rows of predictions.csv; empty where a fold has no inner part, or not all classes in it.
    """
    inside = splits.assign(part=splits["part"].map({"train": "train", "inner": "test"})).dropna()
    outside = splits[splits["part"] != "inner"]
    known = _beside(inner, tabular(COMBINED, features, cohort, inside, classes), _CASE, classes)
    told = tabular(COMBINED, features, cohort, outside, classes, other)
    here, on = (_FOLD, _CASE) if other is None else (_RUN, ["case_id"])
    tested = _beside(network, told, on, classes)
    fitted, tables = dict(list(known.groupby(here))), []
    for key, rows in tested.groupby(here):
        if key not in fitted or set(fitted[key]["label"].astype(str)) != set(classes):
            return network.iloc[:0]
        tables.append(_weighed(rows, fitted[key], classes))
    if not tables:
        return network.iloc[:0]
    columns = [name for name in network if name != "threshold"]
    return pd.concat(tables, ignore_index=True)[columns].assign(model=COMBINED)


def _beside(
    rows: pd.DataFrame, clinical: pd.DataFrame, on: list[str], classes: tuple[str, ...]
) -> pd.DataFrame:
    """The network's rows of cases that the clinical model has scored too, with its score."""
    columns = [f"prob_{name}" for name in classes]
    if not len(clinical):
        return rows.iloc[:0]
    return rows.merge(clinical[[*on, *columns]], on=on, suffixes=("", "_clinical"))


def _weighed(rows: pd.DataFrame, fitted: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    model = LogisticRegression(class_weight="balanced", max_iter=1000)
    model.fit(_log_odds(fitted, classes), fitted["label"].astype(str).map(list(classes).index))
    shares = model.predict_proba(_log_odds(rows, classes))
    return rows.assign(**{f"prob_{name}": shares[:, k] for k, name in enumerate(classes)})


def _log_odds(rows: pd.DataFrame, classes: tuple[str, ...]) -> np.ndarray:
    """Of both models, each class against the first; [n, 2 * (classes - 1)]."""
    found = []
    for ending in ("", "_clinical"):
        shares = rows[[f"prob_{name}{ending}" for name in classes]].to_numpy(float)
        logs = np.log(np.clip(shares, LEAST, 1))
        found.append(logs[:, 1:] - logs[:, :1])
    return np.hstack(found)
