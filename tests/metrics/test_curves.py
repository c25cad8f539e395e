import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix, roc_curve

from capsmed.metrics.curves import GRID, confusion, roc

CLASSES = ("benign", "malignant")


def test_the_curve_is_scikit_learns(tables):
    predictions, cohort = tables()
    found = roc(predictions, cohort, CLASSES, "malignant", bootstrap=50).sensitivity
    false, true, _ = roc_curve(predictions["label"] == "malignant", predictions["prob_malignant"])
    assert found == pytest.approx(np.interp(GRID, false, true), abs=1e-9)


def test_the_band_holds_the_curve_and_narrows_with_cases(tables):
    widths = []
    for cases in (50, 800):
        found = roc(*tables(cases), CLASSES, "malignant", bootstrap=200)
        assert (found.low <= found.sensitivity + 1e-9).mean() > 0.95
        assert (found.high >= found.sensitivity - 1e-9).mean() > 0.95
        widths.append(np.mean(found.high - found.low))
    assert widths[1] < widths[0] / 2.5


def test_one_class_alone_has_no_curve(tables):
    predictions, cohort = tables()
    only = predictions[predictions["label"] == "benign"]
    assert np.isnan(roc(only, cohort, CLASSES, "malignant", bootstrap=50).sensitivity).all()


def test_the_confusion_matrix_is_scikit_learns_mean_over_runs(tables):
    predictions, cohort = tables(seeds=2)
    guess = np.where(predictions["prob_malignant"] >= 0.5, "malignant", "benign")
    expected = confusion_matrix(predictions["label"], guess, labels=list(CLASSES)) / 2
    counts, runs = confusion(predictions, cohort, CLASSES, "malignant")
    assert (counts == expected).all() and runs == 2


def test_true_classes_are_rows(tables):
    predictions, cohort = tables()
    always = predictions.assign(prob_benign=0.0, prob_malignant=1.0)
    counts, _ = confusion(always, cohort, CLASSES, "malignant")
    assert counts[:, 0].tolist() == [0, 0] and counts.sum() == len(pd.unique(always["case_id"]))
