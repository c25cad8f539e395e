"""Whether two models decide equally well, and a correction for many such questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from capsmed.metrics.runs import Plan
from capsmed.metrics.sample import samples_of
from capsmed.metrics.units import Units

#: Additions up to which the test is exact; beyond them the units are many, and a normal
#: distribution does.
MOST_ADDITIONS = 20_000_000


def decisions_compared(
    first: pd.DataFrame, second: pd.DataFrame, units: Units, plan: Plan
) -> dict[str, Any] | None:
    """In how many cases only one of two models is right, and whether that could be chance.

    With several runs a count is its mean over the pairs of one run of each model. See
    `sign_flip` for the p value; for one case a patient and one run a model it is McNemar's exact
    one.

    Args:
        first: rows of one model.
        second: rows of another on the same cases.
        units: of these cases.
        plan: class order and positive class.

    Returns:
        ``first_only``, ``second_only``, ``p`` and ``method``; None where runs predict different
        cases.
    """
    label = plan.classes[plan.positive]
    tables = [rows.sort_values("case_id") for rows in (first, second)]
    ours, theirs = (samples_of(rows, units.index, plan.classes, label) for rows in tables)
    unit, target = ours[0].unit, ours[0].target
    for run in (*ours, *theirs):
        if not (np.array_equal(run.unit, unit) and np.array_equal(run.target, target)):
            return None
    right, rival = (np.sum([run.predicted == target for run in runs], 0) for runs in (ours, theirs))
    surplus = len(theirs) * right - len(ours) * rival  # in whole numbers, for an exact test
    of_units = np.zeros(units.count, int)
    np.add.at(of_units, unit, surplus)
    share, other = right / len(ours), rival / len(theirs)
    single = len(unit) == units.count and len(ours) == len(theirs) == 1
    kind = "McNemar's exact test" if single else "sign-flip test"
    return {
        "first_only": float((share * (1 - other)).sum()),
        "second_only": float((other * (1 - share)).sum()),
        "p": sign_flip(of_units),
        "method": f"{kind} {units.described}",
    }


def sign_flip(surplus: np.ndarray) -> float:
    """Two-sided p value of a sum of differences, each of which could as well have the other sign.

    Under the null hypothesis the two models may be exchanged within each patient, so that every
    pattern of signs is as likely. For differences of -1, 0 and 1 this is McNemar's exact test
    (1947), a sign test of the discordant pairs; a patient with several cases enters with their sum
    (clustered pairs as in Yang, Sun & Hardin 2010, Biometrical Journal 52:638, without their normal
    distribution, which is taken only for very many units).

    Args:
        surplus: whole numbers [units], how much more often the first model is right.

    >>> sign_flip(np.array([1, 1, 1, 1, 1, -1]))  # 2 x (1 + 6) / 64
    0.21875
    """
    sizes = np.abs(surplus[surplus != 0])
    whole, reached = int(sizes.sum()), abs(int(surplus.sum()))
    if len(sizes) * (2 * whole + 1) > MOST_ADDITIONS:
        step = int(np.gcd.reduce(sizes))  # sums lie two of these apart: continuity correction
        spread = np.sqrt(np.sum(sizes.astype(float) ** 2))
        return float(min(1, 2 * norm.sf((reached - step) / spread)))
    chance = np.zeros(2 * whole + 1)  # of each sum, from -whole
    chance[whole] = 1
    for size in sizes:
        chance = (np.roll(chance, size) + np.roll(chance, -size)) / 2  # the ends are still zero
    away = np.abs(np.arange(-whole, whole + 1))
    return float(min(1, chance[away >= reached].sum()))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P values adjusted for being several (Holm 1979): rejecting below alpha errs at most so often.

    Args:
        p_values: None where there is none; it stays None and does not count.

    >>> holm([0.01, 0.04, None, 0.03])
    [0.03, 0.06, None, 0.06]
    """
    places = [place for place, p in enumerate(p_values) if p is not None]
    found: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(places, key=lambda k: p_values[k] or 0.0)):
        largest = max(largest, min(1.0, (len(places) - rank) * (p_values[place] or 0.0)))
        found[place] = largest
    return found
