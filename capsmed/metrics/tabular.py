"""Models of a few numbers a case, in the network's own folds: what it must be better than."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from capsmed.metrics.tables import LEARNT, included

#: Strengths 1/C of the penalty to choose from inside the training part.
PENALTIES = (0.1, 1.0, 10.0, 100.0)
_INNER = 5  # folds to choose in


def tabular(
    name: str,
    features: pd.DataFrame,
    cohort: pd.DataFrame,
    splits: pd.DataFrame,
    classes: tuple[str, ...],
    other: tuple[pd.DataFrame, pd.DataFrame] | None = None,
    seed: int = 0,
    penalties: Sequence[float] = PENALTIES,
) -> pd.DataFrame:
    """Predict the class by logistic regression on ``features`` in the network's own folds.

    Fitted on the train and inner parts, classes weighted equally (as balanced sampling does for
    the network, so that 0.5 is a fair threshold); features are standardised and missing ones take
    the training part's median. Where several penalties (L2) are given, the one with the least log
    loss in an inner cross-validation by patient, in the training part alone, is taken.

    Args:
        name: of the model, in the column ``model``.
        features: case_id and numbers; a case without any is neither fitted nor predicted.
        cohort: case_id, label, patient, and status or excluded; labels are class names.
        splits: repeat, fold, case_id, part.
        classes: class order.
        other: features and cohort of other cases to predict, with one model fitted on every case
            that a fold trained on, instead of the test parts.
        seed: what the column ``seed`` says; the fit itself has no randomness.
        penalties: 1/C to choose from.

    Returns:
        Rows of predictions.csv. Empty where no case to predict has features or a training part
        with features lacks one of the classes.
    """
    known = _joined(features, cohort)
    if other is not None:
        trained = splits["case_id"][splits["part"].isin(LEARNT)]
        parts = [(0, 0, known[known["case_id"].isin(trained)], _joined(*other))]
    else:
        parts = [
            (int(repeat), int(fold), *_parts(known, rows))
            for (repeat, fold), rows in splits.groupby(["repeat", "fold"])
        ]
    columns = ["model", "repeat", "seed", "fold", "case_id", "label"]
    columns += [f"prob_{each}" for each in classes]
    nothing = pd.DataFrame(columns=columns)
    if any(set(train["label"]) != set(classes) for _, _, train, _ in parts):
        return nothing
    names = [column for column in features if column != "case_id"]
    tables = []
    for repeat, fold, train, test in parts:
        if not len(test):
            continue
        model = _fitted(train, names, classes, penalties)
        shares = model.predict_proba(test[names].to_numpy(float))
        table = test[["case_id", "label"]].assign(model=name, repeat=repeat, seed=seed, fold=fold)
        table[columns[6:]] = shares
        tables.append(table[columns])
    return pd.concat(tables, ignore_index=True) if tables else nothing


def _joined(features: pd.DataFrame, cohort: pd.DataFrame) -> pd.DataFrame:
    """Cases that take part and have at least one feature, with label, patient and features."""
    rows = included(cohort)
    patient = rows["patient"] if "patient" in rows else pd.Series("", index=rows.index)
    told = rows[["case_id"]].assign(label=rows["label"].astype(str), patient=patient)
    numbers = features.replace([np.inf, -np.inf], np.nan)
    numbers = numbers[numbers.drop(columns="case_id").notna().any(axis=1)]
    return told.merge(numbers, on="case_id")


def _parts(known: pd.DataFrame, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    tested = rows["case_id"][rows["part"] == "test"]
    trained = rows["case_id"][rows["part"].isin(LEARNT)]
    return known[known["case_id"].isin(trained)], known[known["case_id"].isin(tested)]


def _fitted(
    train: pd.DataFrame, names: list[str], classes: tuple[str, ...], penalties: Sequence[float]
) -> Pipeline | GridSearchCV:
    numbers = train[names].to_numpy(float)
    target = train["label"].map(list(classes).index).to_numpy()
    # a feature that no training case has is of no use to any
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    regression = LogisticRegression(C=1 / penalties[0], class_weight="balanced", max_iter=1000)
    model = Pipeline([("fill", imputer), ("scale", StandardScaler()), ("fit", regression)])
    folds = _inner_folds(train, target) if len(penalties) > 1 else []
    if not folds:
        return model.fit(numbers, target)
    strengths = {"fit__C": [1 / penalty for penalty in penalties]}
    return GridSearchCV(model, strengths, cv=folds, scoring="neg_log_loss").fit(numbers, target)


def _inner_folds(train: pd.DataFrame, target: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Folds by patient in which every training part has all classes; empty where there are none."""
    known = bool((train["patient"] != "").all())
    # numbered as they come: pseudonyms differ from run to run, and must not move the folds
    groups = pd.factorize(train["patient"])[0] if known else np.arange(len(train))
    count = min(_INNER, np.bincount(target).min(), len(np.unique(groups)))
    if count < 2:
        return []
    drawn = StratifiedGroupKFold(int(count), shuffle=True, random_state=0)
    folds = list(drawn.split(target, target, groups))
    whole = set(target)
    complete = all(set(target[a]) == whole == set(target[b]) for a, b in folds)
    return folds if complete else []
