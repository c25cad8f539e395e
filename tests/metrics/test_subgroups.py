import numpy as np
import pandas as pd
import pytest

from capsmed.metrics import metrics_json, summarise
from capsmed.metrics.runs import Plan
from capsmed.metrics.subgroups import grouped, subgroups

CLASSES = ("benign", "malignant")
PLAN = Plan.of(CLASSES, "malignant", bootstrap=100)


def cells(cohort, values):
    return pd.Series(np.resize(values, len(cohort)), index=cohort["case_id"])


def test_each_group_has_the_metrics_of_its_own_cases(tables):
    predictions, cohort = tables(cases=120)
    scanner = cells(cohort, ["GE", "Siemens", "GE"])
    found = subgroups(predictions, cohort, {"scanner": scanner}, PLAN)["scanner"]
    assert [(e["group"], e["n_cases"]) for e in found] == [("GE", 80), ("Siemens", 40)]
    own = predictions[predictions["case_id"].map(scanner) == "Siemens"]
    alone = summarise(own, cohort, CLASSES, "malignant", bootstrap=100)
    assert found[1]["auc"] == alone["auc"] and found[1]["sensitivity"] == alone["sensitivity"]


def test_a_group_of_too_few_cases_has_no_numbers(tables):
    predictions, cohort = tables(cases=60)
    rare = cells(cohort, ["common"])
    rare.iloc[:6] = "rare"
    found = subgroups(predictions, cohort, {"kind": rare}, PLAN)["kind"]
    assert found[1] == {
        "group": "rare",
        "n_cases": 6,
        "n_patients": 6,
        "too_few": "3 benign, 3 malignant",
    }
    assert "auc" in found[0]


def test_many_numbers_are_cut_into_thirds_and_unknown_ones_set_apart():
    values = pd.Series([*(f"{n / 2}" for n in range(40)), ""])
    groups = grouped(values)
    assert groups.cat.categories.tolist() == ["up to 6.5", "6.5 to 13", "above 13", "unknown"]
    assert groups.value_counts().sort_index().tolist() == [14, 13, 13, 1]


def test_large_numbers_that_lie_close_stay_apart():
    groups = grouped(pd.Series([str(20200101 + n) for n in range(30)]))
    assert groups.value_counts().tolist() == [10, 10, 10]


def test_few_numbers_are_words_in_the_order_of_their_size():
    groups = grouped(pd.Series(["10", "2", "2", "", "1.25"]))
    assert groups.cat.categories.tolist() == ["1.25", "2", "10", "unknown"]


def test_beyond_ten_words_the_rare_ones_are_others():
    groups = grouped(pd.Series([f"w{n:02}" for n in range(12)] + [f"w{n:02}" for n in range(10)]))
    assert groups.cat.categories.tolist() == [*(f"w{n:02}" for n in range(10)), "others"]


def test_metrics_json_has_them_for_the_network(tables):
    predictions, cohort = tables(cases=120)
    columns = {"scanner": cells(cohort, ["GE", "Siemens"])}
    found = metrics_json(predictions, cohort, CLASSES, "malignant", bootstrap=100, columns=columns)
    assert list(found["model"]["subgroups"]) == ["scanner"]


@pytest.mark.parametrize("seeds", [1, 2])
def test_several_runs_are_averaged(tables, seeds):
    predictions, cohort = tables(cases=120, seeds=seeds)
    found = subgroups(predictions, cohort, {"all": cells(cohort, ["x"])}, PLAN)["all"][0]
    whole = summarise(predictions, cohort, CLASSES, "malignant", bootstrap=100)
    assert found["auc"] == whole["auc"]
