import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap, norm

from capsmed.metrics import auc, bca, newcombe, percentile, wilson
from capsmed.metrics.estimate import area, proportion, resample


@pytest.mark.parametrize("hits", [0, 1, 27, 53, 54])
def test_wilson_agrees_with_scipy(hits):
    expected = binomtest(hits, 54).proportion_ci(0.9, method="wilson")
    assert wilson(hits / 54, 54, 0.9) == pytest.approx(tuple(expected), abs=1e-12)


def test_wilson_refuses_no_cases():
    with pytest.raises(ValueError, match=r"wilson: expected n >= 1 .*, got 0"):
        wilson(0.5, 0)


def test_newcombe_limits_are_where_the_score_test_just_rejects():
    low, high = newcombe(0.9, 22, 32)
    for limit in (low, high):
        shape = 1 + 26 * ((1 - limit) / (2 - limit) + limit / (1 + limit))
        error = np.sqrt(limit * (1 - limit) * shape / (22 * 32))
        assert abs(0.9 - limit) == pytest.approx(norm.isf(0.025) * error, abs=1e-8)


def test_a_perfect_area_on_few_cases_keeps_a_lower_limit():
    low, high = newcombe(1.0, 5, 6)
    assert high == 1.0 and 0.5 < low < 0.75
    assert newcombe(1.0, 50, 60)[0] > 0.95


def test_newcombe_is_symmetric_about_chance():
    low, high = newcombe(0.8, 17, 23)
    assert newcombe(0.2, 17, 23) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_newcombe_refuses_a_class_without_cases():
    with pytest.raises(ValueError, match="newcombe: expected .* both classes, got 0.5, 0 positive"):
        newcombe(0.5, 0, 4)


def test_percentile_ignores_resamples_without_a_value():
    replicates = np.append(np.linspace(0, 1, 101), np.nan)
    assert percentile(replicates, 0.9) == pytest.approx((0.05, 0.95))


def test_bca_agrees_with_scipys_on_a_skewed_mean():
    values = np.random.default_rng(0).exponential(size=41)
    expected = bootstrap(
        (values,), np.mean, n_resamples=9999, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    draws = np.random.default_rng(1).integers(0, 41, (9999, 41))
    found = bca(values.mean(), values[draws].mean(axis=1), values - values.mean())
    assert found == pytest.approx(tuple(expected), abs=0.02)
    assert found[0] > percentile(values[draws].mean(axis=1))[0]  # the skew is corrected


def test_bca_has_no_answer_when_all_cases_are_right():
    assert bca(1.0, np.ones(200), np.zeros(50)) is None


def test_bca_has_no_answer_when_all_replicates_lie_on_one_side():
    assert bca(0.5, np.linspace(0.6, 0.9, 50), np.linspace(-1, 1, 9)) is None


def test_bca_covers_a_true_auc_of_95_percent_at_50_patients_where_percentile_does_not():
    rng = np.random.default_rng(5)
    positive, unit, weights = np.arange(50) < 25, np.arange(50), resample(50, 500, rng)
    covered = np.zeros(2)
    for _ in range(300):
        score = rng.normal(size=50) + norm.ppf(0.95) * np.sqrt(2) * positive
        found = area(positive, score, unit, weights, 0.95)
        corrected = bca(found.value, found.replicates, found.influence) or found.bounds
        for k, (low, high) in enumerate((corrected, percentile(found.replicates))):
            covered[k] += low <= 0.95 <= high
    assert 0.92 <= covered[0] / 300 <= 0.98
    assert covered[1] < covered[0] - 6


def test_score_intervals_cover_on_the_eleven_patients_of_one_fold():
    rng = np.random.default_rng(6)
    positive = np.arange(11) < 4
    shift = norm.ppf(0.85) * np.sqrt(2) * positive
    limits = [newcombe(auc(positive, rng.normal(size=11) + shift), 4, 7) for _ in range(400)]
    assert 0.93 <= np.mean([low <= 0.85 <= high for low, high in limits]) <= 0.995


def test_accuracy_by_bootstrap_over_patients_widens_with_dependent_cases():
    rng = np.random.default_rng(7)
    weights = resample(40, 1000, rng)
    alone = proportion(np.arange(40) % 4 > 0, np.arange(40), weights, 0.95)
    copied = proportion(
        np.repeat(np.arange(40) % 4 > 0, 5), np.repeat(np.arange(40), 5), weights, 0.95
    )
    assert copied.replicates == pytest.approx(alone.replicates)
    assert copied.bounds == alone.bounds  # over 40 patients, not 200 cases
