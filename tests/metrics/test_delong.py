"""Variances of AUCs: against R's pROC, against a plain loop, and by what their intervals cover."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.datasets import load_breast_cancer

from capsmed.metrics import auc, newcombe
from capsmed.metrics.delong import areas, difference_interval, logit_interval

# R 4.2.2, pROC 1.18.0, the first 80 cases of scikit-learn's breast cancer data, malignant against
# mean texture, mean smoothness, mean symmetry: roc(..., direction = "<"), var(r), cov(r1, r2),
# ci(r, method = "delong"), roc.test(r1, r2, method = "delong").
PROC_AREAS = [0.802083333333333, 0.691592261904762, 0.677083333333333]
PROC_COVARIANCE = [
    [0.00258838033731279, -0.00064299357959587, -0.00094435964850367],
    [-0.00064299357959587, 0.004535170368069, 0.00252516937481514],
    [-0.00094435964850367, 0.00252516937481514, 0.00468939407943678],
]
PROC_TESTS = {
    (0, 1): (-0.0692445494367072, 0.29022669229385, 0.228252496727329),
    (0, 2): (-0.062650494621114, 0.312650494621114, 0.191690411259906),
    (1, 2): (-0.112120910434518, 0.141138767577375, 0.822315559378482),
}


@pytest.fixture
def cancer():
    data = load_breast_cancer()
    return areas(data.target[:80] == 0, data.data[:80][:, [1, 4, 8]], np.arange(80))


def test_areas_and_covariances_are_those_of_proc(cancer):
    assert cancer.values == pytest.approx(PROC_AREAS, abs=1e-12)
    assert cancer.covariance == pytest.approx(np.array(PROC_COVARIANCE), abs=1e-12)


@pytest.mark.parametrize("pair", PROC_TESTS, ids=str)
def test_paired_differences_and_their_p_values_are_those_of_proc(cancer, pair):
    weights = np.zeros(3)
    weights[list(pair)] = 1, -1
    found = difference_interval(*cancer.contrast(weights))
    assert found == pytest.approx(PROC_TESTS[pair], abs=1e-9)


def test_one_patient_s_cases_are_summed_as_obuchowski_does():
    rng = np.random.default_rng(3)
    unit = rng.permutation(np.repeat(np.arange(11), 3))
    positive, scores = rng.random(33) < 0.4, rng.integers(0, 9, (33, 2)).astype(float)
    found = areas(positive, scores, unit)
    assert found.covariance == pytest.approx(obuchowski(positive, scores, unit), abs=1e-14)


def obuchowski(positive: np.ndarray, scores: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Obuchowski 1997, equations 4 to 7, as they are written: sums over patients."""

    def kernel(x: float, y: float) -> float:
        return float(x > y) + 0.5 * float(x == y)

    positives, negatives = np.flatnonzero(positive), np.flatnonzero(~positive)
    m, n, patients = len(positives), len(negatives), sorted(set(unit))
    with_positive, with_negative = len(set(unit[positives])), len(set(unit[negatives]))
    v10, v01 = np.zeros((2, len(unit))), np.zeros((2, len(unit)))
    for r in range(2):
        for i in positives:
            v10[r, i] = np.mean([kernel(scores[i, r], scores[j, r]) for j in negatives])
        for j in negatives:
            v01[r, j] = np.mean([kernel(scores[i, r], scores[j, r]) for i in positives])
    area = v10[:, positives].mean(1)
    result = np.zeros((2, 2))
    for r in range(2):
        for s in range(2):
            s10 = s01 = s11 = 0.0
            for patient in patients:
                own, other = (unit[g] == patient for g in (positives, negatives))
                a = [v10[k, positives][own].sum() - own.sum() * area[k] for k in (r, s)]
                b = [v01[k, negatives][other].sum() - other.sum() * area[k] for k in (r, s)]
                s10, s01 = s10 + a[0] * a[1], s01 + b[0] * b[1]
                s11 += a[0] * b[1] + b[0] * a[1]
            s10 *= with_positive / ((with_positive - 1) * m)
            s01 *= with_negative / ((with_negative - 1) * n)
            s11 *= len(patients) / (len(patients) - 1)
            result[r, s] = s10 / m + s01 / n + s11 / (m * n)
    return result


def test_copies_of_each_case_in_its_patient_add_no_certainty():
    rng = np.random.default_rng(4)
    positive, score = np.arange(40) % 3 == 0, rng.normal(size=40)
    once = areas(positive, score, np.arange(40))
    thrice = areas(np.repeat(positive, 3), np.repeat(score, 3), np.repeat(np.arange(40), 3))
    assert thrice.values == pytest.approx(once.values, abs=1e-12)
    assert thrice.covariance == pytest.approx(once.covariance, abs=1e-12)


def test_a_mean_of_runs_is_as_certain_as_one_of_equal_runs():
    rng = np.random.default_rng(5)
    positive, score = np.arange(30) % 2 == 0, rng.normal(size=30)
    found = areas(positive, np.stack([score, score, score], 1), np.arange(30))
    single = found.contrast([1, 0, 0])
    assert found.contrast([1 / 3, 1 / 3, 1 / 3]) == pytest.approx(single, abs=1e-12)
    assert single[0] == pytest.approx(auc(positive, score), abs=1e-12)


def test_a_limit_of_the_log_odds_by_hand():
    low, high = logit_interval(0.8, 0.05)
    odds = np.log(0.8 / 0.2) + np.array([-1, 1]) * norm.isf(0.025) * 0.05 / 0.16
    assert (low, high) == pytest.approx(tuple(1 / (1 + np.exp(-odds))), abs=1e-12)


@pytest.mark.parametrize(("value", "error"), [(1.0, 0.0), (0.0, 0.0), (0.7, 0.0), (0.7, np.nan)])
def test_there_is_no_interval_without_an_error_or_at_the_ends(value, error):
    assert logit_interval(value, error) is None


def test_eleven_patients_say_next_to_nothing_as_the_page_on_holding_out_has_it():
    positive = np.array([0, 0, 0, 1, 0, 0, 1, 0, 1, 1, 1], bool)
    found = areas(positive, np.arange(11.0), np.arange(11))
    value, error = found.contrast(np.ones(1))
    low, high = logit_interval(value, error, 0.95, found.degrees)
    page = Path(__file__).parents[2] / "docs" / "explanation" / "honest_evaluation.md"
    text = " ".join(page.read_text(encoding="utf-8").split())
    assert f"AUC is {value:.3f} and DeLong's 95% interval on the logit scale {low:.3f} to" in text
    assert f"{low:.3f} to {high:.3f}: it holds chance" in text


def test_scores_in_the_same_order_do_not_differ():
    positive, score = np.arange(20) % 2 == 0, np.arange(20.0) ** 2
    found = areas(positive, np.stack([score, np.exp(score / 100)], 1), np.arange(20))
    assert difference_interval(*found.contrast([1, -1])) is None


def test_one_patient_with_positives_leaves_the_variance_unknown():
    found = areas(np.arange(9) < 2, np.arange(9.0), np.maximum(np.arange(9), 1))
    assert np.isnan(found.covariance).all() and found.degrees == 7


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="expected cases of both classes"):
        areas(np.ones(3, bool), np.arange(3.0), np.arange(3))


def covered(cases: int, area: float, lesions: int, draws: int = 2000) -> tuple[float, float]:
    """Share of draws whose logit and plain interval hold the true area of normal scores.

    Several lesions of a patient share half of their variance and are of both classes. An area of 1,
    without an error, has Newcombe's interval, as everywhere in capsmed.
    """
    rng = np.random.default_rng([cases, int(100 * area), lesions])
    positive, unit = np.arange(cases) % 2 == 0, np.arange(cases) // lesions
    noise = rng.normal(size=(cases, draws))
    if lesions > 1:
        noise = np.sqrt(0.5) * (noise + rng.normal(size=(unit[-1] + 1, draws))[unit])
    shift = norm.ppf(area) * np.sqrt(2)
    found = areas(positive, noise + shift * positive[:, None], unit)
    errors = np.sqrt(np.diag(found.covariance))
    owners = [len(np.unique(unit[chosen])) for chosen in (positive, ~positive)]
    limits = [
        logit_interval(value, error, degrees=found.degrees) or newcombe(value, *owners)
        for value, error in zip(found.values, errors, strict=True)
    ]
    low, high = np.array(limits).T
    plain = np.abs(found.values - area) <= norm.isf(0.025) * errors
    return float(np.mean((low <= area) & (area <= high))), float(plain.mean())


@pytest.mark.parametrize("lesions", [1, 3])
@pytest.mark.parametrize("area", [0.7, 0.86, 0.95])
@pytest.mark.parametrize("cases", [50, 100, 400])
def test_the_logit_interval_covers_what_it_says(cases, area, lesions):
    assert 0.93 <= covered(cases, area, lesions)[0] <= 0.975


def test_the_plain_interval_covers_less_at_50_cases_and_95_percent():
    assert covered(50, 0.95, 1)[1] < 0.88
