"""Scores beside AUC and accuracy: against scikit-learn, resample by resample."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    f1_score,
    log_loss,
    matthews_corrcoef,
    precision_score,
)

from capsmed.metrics.calibration import calibration_error
from capsmed.metrics.estimate import resample
from capsmed.metrics.measures import all_estimates
from capsmed.metrics.sample import Sample
from capsmed.metrics.scores import decide


def make_sample(classes=2, cases=90, units=60, sharpness=1.0, seed=0):
    rng = np.random.default_rng(seed)
    target = rng.integers(0, classes, cases)
    logits = rng.normal(size=(cases, classes)).round(1)  # rounded: some scores are equal
    logits[np.arange(cases), target] += sharpness
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return Sample(np.arange(cases) % units, target, shares, decide(shares, 1))


def slope_of(truth, share, weight):
    x = np.log(share / (1 - share))[:, None]
    return LogisticRegression(C=1e9, tol=1e-10).fit(x, truth, weight).coef_[0, 0]


TWO = {
    "average_precision": lambda s, w: average_precision_score(
        s.target, s.probabilities[:, 1], sample_weight=w
    ),
    "ppv": lambda s, w: precision_score(s.target, s.predicted, sample_weight=w),
    "npv": lambda s, w: precision_score(s.target, s.predicted, pos_label=0, sample_weight=w),
    "f1": lambda s, w: f1_score(s.target, s.predicted, sample_weight=w),
    "mcc": lambda s, w: matthews_corrcoef(s.target, s.predicted, sample_weight=w),
    "brier": lambda s, w: brier_score_loss(s.target, s.probabilities[:, 1], sample_weight=w),
    "log_loss": lambda s, w: log_loss(s.target, s.probabilities, sample_weight=w),
    "calibration_slope": lambda s, w: slope_of(s.target, s.probabilities[:, 1], w),
}
MORE = {
    "average_precision": lambda s, w: average_precision_score(
        np.eye(4)[s.target], s.probabilities, sample_weight=w
    ),
    "f1": lambda s, w: f1_score(s.target, s.predicted, average="macro", sample_weight=w),
    "mcc": lambda s, w: matthews_corrcoef(s.target, s.predicted, sample_weight=w),
    "brier": lambda s, w: brier_score_loss(
        s.target, s.probabilities, sample_weight=w, labels=range(4)
    ),
    "log_loss": lambda s, w: log_loss(s.target, s.probabilities, sample_weight=w),
}


@pytest.mark.parametrize(
    ("classes", "name"), [*((2, name) for name in TWO), *((4, name) for name in MORE)]
)
def test_value_and_every_resample_are_those_of_scikit_learn(classes, name):
    sample = make_sample(classes)
    weights = resample(60, 25, np.random.default_rng(1))
    reference = (TWO if classes == 2 else MORE)[name]
    found = all_estimates(sample, 1, weights, 0.95)[name]
    assert found.value == pytest.approx(reference(sample, np.ones(90)), rel=1e-4)
    expected = [reference(sample, column[sample.unit]) for column in weights.T]
    assert found.replicates == pytest.approx(expected, rel=2e-4)


@pytest.mark.parametrize("name", [*TWO, "calibration_intercept"])
def test_influence_is_the_derivative_by_a_units_weight(name):
    sample = make_sample()
    ones = np.ones((60, 1), np.float32)
    found = all_estimates(sample, 1, ones, 0.95)[name].influence
    step = 2.0**-6
    for unit in (0, 7, 31):
        up, down = ones.copy(), ones.copy()
        up[unit] += step
        down[unit] -= step
        weights = np.hstack([up, down])
        high, low = all_estimates(sample, 1, weights, 0.95)[name].replicates
        assert found[unit] == pytest.approx((high - low) / (2 * step), abs=2e-4)


def test_the_intercept_makes_the_mean_probability_the_share_of_positives():
    sample = make_sample(cases=300, units=300)
    one = np.ones((300, 1), np.float32)
    intercept = all_estimates(sample, 1, one, 0.95)["calibration_intercept"].value
    logit = np.log(sample.probabilities[:, 1] / sample.probabilities[:, 0])
    assert np.mean(1 / (1 + np.exp(-logit - intercept))) == pytest.approx(sample.target.mean())


def test_probabilities_that_are_what_they_say_have_slope_one_and_intercept_zero():
    rng = np.random.default_rng(0)
    share = rng.uniform(0.02, 0.98, 20_000)
    target = (rng.uniform(size=20_000) < share).astype(int)
    both = np.stack([1 - share, share], 1)
    sample = Sample(np.arange(20_000), target, both, decide(both, 1))
    found = all_estimates(sample, 1, np.ones((20_000, 1), np.float32), 0.95)
    assert found["calibration_slope"].value == pytest.approx(1, abs=0.05)
    assert found["calibration_intercept"].value == pytest.approx(0, abs=0.05)
    assert calibration_error(sample, 1) < 0.02


def test_the_calibration_error_of_bins_by_hand():
    share = np.repeat([0.2, 0.9], 5)
    target = np.array([0, 0, 1, 0, 0, 1, 0, 1, 1, 0])  # one of five, three of five
    both = np.stack([1 - share, share], 1)
    sample = Sample(np.arange(10), target, both, decide(both, 1))
    assert calibration_error(sample, 1) == pytest.approx((0 + 0.3) / 2)


def test_separated_classes_have_no_slope():
    sample = make_sample(sharpness=40.0)
    found = all_estimates(sample, 1, np.ones((60, 1), np.float32), 0.95)
    assert np.isnan(found["calibration_slope"].value)
    assert found["average_precision"].value == 1


def test_where_no_case_is_called_positive_there_is_no_predictive_value():
    sample = make_sample()
    none = Sample(sample.unit, sample.target, sample.probabilities, np.zeros(90, int))
    found = all_estimates(none, 1, np.ones((60, 1), np.float32), 0.95)
    assert np.isnan(found["ppv"].value) and found["mcc"].value == 0 and found["f1"].value == 0
