import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from capsmed.metrics.decisions import decisions_compared, holm, sign_flip
from capsmed.metrics.runs import Plan
from capsmed.metrics.units import units_of

PLAN = Plan.of(("benign", "malignant"), "malignant")


@pytest.mark.parametrize(("only_first", "only_second"), [(9, 1), (86, 150), (3, 3), (0, 4)])
def test_one_case_a_patient_gives_the_exact_sign_test_of_the_discordant_pairs(
    only_first, only_second
):
    surplus = np.repeat([1, -1, 0], [only_first, only_second, 20])
    expected = binomtest(only_first, only_first + only_second).pvalue
    assert sign_flip(surplus) == pytest.approx(expected)


def test_patients_with_several_cases_have_the_p_value_of_all_patterns_of_signs():
    surplus = np.array([3, -1, 2, 2, 0, -4, 1, 5])
    signs = np.array(list(itertools.product([-1, 1], repeat=len(surplus))))
    expected = np.mean(np.abs(signs @ np.abs(surplus)) >= abs(surplus.sum()))
    assert sign_flip(surplus) == pytest.approx(expected)


def test_equal_models_are_not_told_apart():
    assert sign_flip(np.zeros(5, int)) == 1


def test_of_very_many_patients_the_normal_distribution_decides_as_the_exact_test(monkeypatch):
    surplus = np.repeat([1, -1, 2], [260, 200, 5])
    exact = sign_flip(surplus)
    monkeypatch.setattr("capsmed.metrics.decisions.MOST_ADDITIONS", 10)
    assert sign_flip(surplus) == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize(
    ("given", "adjusted"),
    [
        ([0.01], [0.01]),
        ([0.01, 0.02, 0.03, 0.04], [0.04, 0.06, 0.06, 0.06]),  # R: p.adjust(p, "holm")
        ([0.04, 0.001, None, 0.9], [0.08, 0.003, None, 0.9]),
        ([0.6, 0.7], [1.0, 1.0]),
    ],
)
def test_holms_p_values_are_those_of_r(given, adjusted):
    assert holm(given) == pytest.approx(adjusted)


def test_cases_that_only_one_model_decides_rightly_are_counted_over_all_pairs_of_runs(tables):
    predictions, cohort = tables(seeds=2)
    wrong = predictions.copy()
    flipped = wrong["case_id"].isin(["c0", "c1"]) & (wrong["seed"] == 0)
    names = ["prob_benign", "prob_malignant"]
    wrong.loc[flipped, names] = wrong.loc[flipped, names[::-1]].to_numpy()
    found = decisions_compared(predictions, wrong, units_of(predictions, cohort), PLAN)
    right = (predictions["prob_malignant"] > 0.5) == (predictions["label"] == "malignant")
    share, other = (
        pd.Series(values).groupby(predictions["case_id"]).mean()
        for values in (right.astype(float), right.where(~flipped, ~right).astype(float))
    )
    assert found["first_only"] == pytest.approx((share * (1 - other)).sum())
    assert found["second_only"] == pytest.approx((other * (1 - share)).sum())
    assert found["method"] == "sign-flip test over 60 patients"


def test_one_run_each_and_one_case_a_patient_is_mcnemars_test(tables):
    first, cohort = tables(sharpness=3.0)
    second = tables(sharpness=0.1)[0]
    found = decisions_compared(first, second, units_of(first, cohort), PLAN)
    counts = [int(found[key]) for key in ("first_only", "second_only")]
    assert found["p"] == pytest.approx(binomtest(counts[0], sum(counts)).pvalue)
    assert found["method"] == "McNemar's exact test over 60 patients"


def test_runs_of_different_cases_are_not_compared(tables):
    predictions, cohort = tables()
    units = units_of(predictions, cohort)
    assert decisions_compared(predictions, predictions.iloc[1:], units, PLAN) is None
