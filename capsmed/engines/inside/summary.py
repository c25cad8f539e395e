"""What was measured in the folds' networks, put together for ``inspect/health.json``."""

from __future__ import annotations

from typing import Any

import numpy as np

from capsmed.engines.fits import Fit
from capsmed.engines.inside.health import EQUAL, LEVELLED, Measured, Variant
from capsmed.metrics import scores
from capsmed.metrics.dead import DEAD_MARGIN


def pooled(
    found: dict[Fit, Measured], rows: list[Variant], classes: tuple[str, ...], positive: str
) -> dict[str, Any]:
    """Numbers over the cases of all folds; capsules are counted in each fold's network."""
    every = list(found.values())
    return {
        "cases": sum(len(one.target) for one in every),
        "dead_below": DEAD_MARGIN,
        "networks": [_network(fit, one, classes) for fit, one in found.items()],
        "passes": _passes(every),
        "activity": _activity(every, len(classes)),
        "tests": _tests(every, rows, classes.index(positive) if len(classes) == 2 else 0),
    }


def _network(fit: Fit, one: Measured, classes: tuple[str, ...]) -> dict[str, Any]:
    return {
        "fold": fit.fold,
        "cases": len(one.target),
        "types": len(one.lower),
        "without_input": [finite(value) for value in one.silent],
        "dead_types": one.dead_types,
        "dead_classes": [classes[k] for k in one.dead_classes],
    }


def _passes(every: list[Measured]) -> list[dict[str, Any]]:
    """Means over cases after each pass; what the first pass gains is what it starts with."""
    entropy = np.concatenate([one.entropy for one in every]).mean(0)
    agreement = np.concatenate([one.agreement for one in every]).mean(0)
    gained = np.diff(agreement, prepend=0)
    return [
        {
            "pass": number + 1,
            "entropy": finite(entropy[number]),
            "agreement": finite(agreement[number]),
            "gained": finite(gained[number]) if number else None,
        }
        for number in range(len(entropy))
    ]


def _activity(every: list[Measured], classes: int) -> list[list[float | None]]:
    target = np.concatenate([one.target for one in every])
    active = np.concatenate([one.activations for one in every])
    means = [active[target == k].sum(0) / max((target == k).sum(), 1) for k in range(classes)]
    return [
        [finite(value) if (target == k).any() else None for value in mean]
        for k, mean in enumerate(means)
    ]


def _tests(every: list[Measured], rows: list[Variant], positive: int) -> list[dict[str, Any]]:
    target = np.concatenate([one.target for one in every])
    trained = next(row.name for row in rows if row.trained)
    usual = scores.decide(_chance(every, trained), positive)
    tests: list[dict[str, Any]] = []
    for row in rows:
        chance = _chance(every, row.name) if row.applies else None
        reason = row.reason
        if chance is not None and not row.trained and float(np.ptp(chance, axis=1).max()) < EQUAL:
            reason = LEVELLED
        entry = {"routing": row.name, "trained": row.trained, "applies": reason is None}
        if reason is not None:
            entry["reason"] = reason
        elif chance is not None:
            decided = scores.decide(chance, positive)
            entry |= {
                "accuracy": finite(scores.accuracy(target, decided)),
                "auc": finite(_auc(target, chance, positive)),
                "changed": int((decided != usual).sum()),
            }
        tests.append(entry)
    return tests


def _chance(every: list[Measured], name: str) -> np.ndarray:
    return np.concatenate([one.tests[name] for one in every])


def _auc(target: np.ndarray, chance: np.ndarray, positive: int) -> float:
    if chance.shape[1] == 2:
        return scores.auc(target == positive, chance[:, positive])
    return scores.macro_auc(target, chance)


def finite(value: float) -> float | None:
    """A JSON number; None for NaN."""
    return float(value) if np.isfinite(value) else None
