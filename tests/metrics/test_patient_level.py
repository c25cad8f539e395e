import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from capsmed.metrics import summarise
from capsmed.metrics.patient_level import of_patients

CLASSES = ("benign", "malignant")


def test_a_patient_has_the_highest_score_and_is_positive_where_a_case_is():
    cases = pd.DataFrame(
        {
            "repeat": 0, "seed": 0, "fold": [0, 0, 1], "case_id": ["a", "b", "c"],
            "label": ["malignant", "benign", "benign"], "prob_malignant": [0.3, 0.8, 0.4],
            "threshold": [0.5, 0.5, 0.6],
        }
    )  # fmt: skip
    cohort = pd.DataFrame({"case_id": ["a", "b", "c"], "patient": ["p", "p", "q"]})
    found, people = of_patients(cases, cohort, CLASSES, "malignant")
    assert found["case_id"].tolist() == ["p", "q"] == people["case_id"].tolist()
    assert found["label"].tolist() == ["malignant", "benign"]
    assert found["prob_malignant"].tolist() == [0.8, 0.4]
    assert found["threshold"].tolist() == [0.5, 0.6]


@pytest.mark.parametrize("patients", [None, 0])
def test_there_is_none_where_it_would_say_nothing_new(tables, patients):
    assert of_patients(*tables(patients=patients), CLASSES, "malignant") is None


def test_the_summary_has_it_beside_the_cases(tables):
    predictions, cohort = tables(cases=120, patients=60, seeds=2)
    found = summarise(predictions, cohort, CLASSES, "malignant", bootstrap=100)["patient_level"]
    owner = predictions["case_id"].map(cohort.set_index("case_id")["patient"])
    rows = predictions.assign(owner=owner, truth=predictions["label"] == "malignant")
    grouped = rows.groupby(["seed", "owner"])[["truth", "prob_malignant"]].max()
    areas = [roc_auc_score(g["truth"], g["prob_malignant"]) for _, g in grouped.groupby("seed")]
    assert found["auc"]["value"] == pytest.approx(np.mean(areas))
    assert found["auc"]["method"] == "BCa bootstrap over 60 patients, 100 resamples"
    assert found["auc_delong"]["method"] == "DeLong over 60 patients on the logit scale"
    assert "highest" in found["rule"]
