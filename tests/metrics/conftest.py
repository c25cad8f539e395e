"""Small tables of predictions with known answers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

Tables = tuple[pd.DataFrame, pd.DataFrame]


@pytest.fixture
def tables() -> Callable[..., Tables]:
    """A builder of (predictions, cohort) with random scores."""
    return make_tables


def make_tables(
    cases: int = 60,
    classes: tuple[str, ...] = ("benign", "malignant"),
    seeds: int = 1,
    folds: int = 5,
    patients: int | None = None,
    sharpness: float = 1.0,
    model: str = "capsnet",
) -> Tables:
    """``patients`` None: one a case; 0: unknown."""
    rng = np.random.default_rng(3)
    target = np.arange(cases) % 7 % len(classes)
    count = cases if patients is None else patients
    cohort = pd.DataFrame(
        {
            "case_id": [f"c{i}" for i in range(cases)],
            "patient": [f"p{i % count}" if count else "" for i in range(cases)],
            "label": [classes[k] for k in target],
            "status": "included",
        }
    )
    parts = []
    for seed in range(seeds):
        logits = rng.normal(size=(cases, len(classes)))
        logits[np.arange(cases), target] += sharpness
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        part = cohort[["case_id", "label"]].assign(
            model=model, repeat=0, seed=seed, fold=np.arange(cases) % folds
        )
        parts.append(part.assign(**{f"prob_{c}": shares[:, k] for k, c in enumerate(classes)}))
    return pd.concat(parts, ignore_index=True), cohort
