"""How often the bootstrap interval that is shown by default holds the true AUC.

Where patients have several cases DeLong's interval is shown instead: see test_delong.py.
"""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from capsmed.metrics.estimate import area, resample
from capsmed.metrics.runs import Plan, interval
from capsmed.metrics.units import Units

FRESH = 50  # draws that share their resamples


def covered(cases: int, true: float, draws: int, bootstrap: int) -> float:
    """Share of draws of normal scores, half of them positive, whose interval holds the area."""
    rng = np.random.default_rng([cases, int(100 * true)])
    positive, unit = np.arange(cases) % 2 == 0, np.arange(cases)
    units = Units(pd.Series(unit), patients_known=True)
    plan = Plan.of(("no", "yes"), "yes", bootstrap=bootstrap)
    shift, held = norm.ppf(true) * np.sqrt(2) * positive, 0
    for draw in range(draws):
        if draw % FRESH == 0:
            weights = resample(cases, bootstrap, rng)
        found = area(positive, rng.normal(size=cases) + shift, unit, weights, plan.confidence)
        limits = interval("auc", found, units, plan)
        held += limits["low"] <= true <= limits["high"]
    return held / draws


@pytest.mark.parametrize("true", [0.7, 0.86, 0.95])
@pytest.mark.parametrize("cases", [50, 100, 400])
def test_the_bootstrap_covers_what_it_says(cases, true):
    assert 0.93 <= covered(cases, true, draws=2000, bootstrap=1000) <= 0.975
