import numpy as np
import pytest

from capsmed.metrics import auc
from capsmed.metrics.estimate import (
    area,
    average,
    complement,
    difference,
    proportion,
    resample,
    score_steps,
)

UNITS, ROWS, RESAMPLES = 13, 37, 29


@pytest.fixture
def rows():
    rng = np.random.default_rng(11)
    unit = np.append(np.arange(UNITS), rng.integers(0, UNITS, ROWS - UNITS))
    return rng.random(ROWS) < 0.4, rng.integers(0, 9, ROWS).astype(float), unit


@pytest.fixture
def weights():
    return resample(UNITS, RESAMPLES, np.random.default_rng(12))


def test_every_resample_draws_as_many_units_as_there_are(weights):
    assert weights.shape == (UNITS, RESAMPLES)
    assert (weights.sum(axis=0) == UNITS).all()


def test_area_of_every_resample_is_the_auc_of_the_repeated_rows(rows, weights):
    positive, score, unit = rows
    found = area(positive, score, unit, weights, 0.95).replicates
    for column in range(RESAMPLES):
        drawn = np.repeat(np.arange(ROWS), weights[unit, column].astype(int))
        assert found[column] == pytest.approx(auc(positive[drawn], score[drawn]), abs=1e-6)


def test_share_of_every_resample_is_the_mean_of_the_repeated_rows(rows, weights):
    hit, _, unit = rows
    found = proportion(hit, unit, weights, 0.95).replicates
    drawn = [np.repeat(hit, weights[unit, c].astype(int)).mean() for c in range(RESAMPLES)]
    assert found == pytest.approx(drawn, abs=1e-12)


@pytest.mark.parametrize("kind", ["area", "proportion"])
def test_influence_is_the_derivative_by_each_units_weight(rows, kind):
    positive, score, unit = rows
    step = 1e-2

    def value(weights):
        if kind == "area":
            return area(positive, score, unit, weights.astype(np.float32), 0.95).replicates
        return proportion(positive, unit, weights.astype(np.float32), 0.95).replicates

    slope = (value(1 + step * np.eye(UNITS)) - value(1 - step * np.eye(UNITS))) / (2 * step)
    hit = area if kind == "area" else proportion
    arguments = (positive, score, unit) if kind == "area" else (positive, unit)
    influence = hit(*arguments, np.ones((UNITS, 1), np.float32), 0.95).influence
    assert influence == pytest.approx(slope, abs=2e-4)


def test_a_resample_without_a_class_has_no_area():
    weights = np.array([[2, 1], [0, 1]], np.float32)
    found = area(np.array([True, False]), np.array([0.8, 0.3]), np.arange(2), weights, 0.95)
    assert np.isnan(found.replicates[0]) and found.replicates[1] == 1.0


def test_steps_join_neighbours_of_one_class_and_never_split_ties():
    positive = np.array([False, False, True, False, True, True])
    score = np.array([0.1, 0.2, 0.3, 0.3, 0.5, 0.6])
    positives, negatives = score_steps(positive, score, np.arange(6), 6)
    assert positives.sum(axis=1).tolist() == [0, 1, 2]
    assert negatives.sum(axis=1).tolist() == [2, 1, 0]


def test_the_average_leaves_out_what_has_no_value(rows, weights):
    positive, _, unit = rows
    one = proportion(positive, unit, weights, 0.95)
    none = proportion(positive[:0], unit[:0], weights, 0.95)
    assert average([none, one]) is one
    assert np.isnan(average([none, none]).value)


def test_error_mirrors_accuracy(rows, weights):
    positive, _, unit = rows
    right = proportion(positive, unit, weights, 0.95)
    wrong, expected = complement(right), proportion(~positive, unit, weights, 0.95)
    assert wrong.replicates == pytest.approx(expected.replicates)
    assert wrong.influence == pytest.approx(expected.influence)
    assert wrong.bounds == pytest.approx(expected.bounds)


def test_the_difference_of_equals_is_zero_in_every_resample(rows, weights):
    one = area(*rows, weights, 0.95)
    gap = difference(one, one)
    assert gap.value == 0 and (gap.replicates == 0).all() and (gap.influence == 0).all()
