"""What the searches for hyper-parameters chose in each fold, as the page shows it."""

from __future__ import annotations

from typing import Any

from capsmed.report import words
from capsmed.report.run import RunFiles

_METRICS = {"auc": "AUC", "log_loss": "log loss"}


def tuned_content(run: RunFiles) -> dict[str, Any] | None:
    """The keys that were searched and a row for each search; None for a run without one."""
    if not run.tuned:
        return None
    keys = sorted({key for each in run.tuned for key in each["values"]})
    rows = [
        {
            "place": _place(each, run),
            "values": [str(each["values"].get(key, "–")) for key in keys],
            "scores": [_score(each, key) for key in ("score", "configured_score")],
            "trials": _trials(each),
        }
        for each in run.tuned
    ]
    return {"keys": keys, "rows": rows, "metric": _METRICS.get(_metric(run.tuned[0]), "score")}


def tuned_sentence(run: RunFiles) -> str:
    """How hyper-parameters were chosen, for the methods; '' for a run without a search."""
    if not run.tuned:
        return ""
    asked = run.config.get("tuning") or {}
    inner = "its inner part" if asked.get("folds") == 1 else f"{asked.get('folds')} inner folds"
    metric = _METRICS.get(str(asked.get("metric")), "score")
    return (
        f"In each fold {', '.join(asked.get('space') or {})} were chosen from "
        f"{asked.get('trials')} trials (tree-structured Parzen estimator, Optuna) by the mean "
        f"{metric} in {inner}, drawn by patient from the fold's training part; for each trained "
        "baseline apart, likewise."
    )


def replaced(run: RunFiles, *sections: str) -> str:
    """That what is told of these sections is the configuration, not what folds were trained with.

    '' for a run that has searched none of their keys.
    """
    keys = [
        key
        for key in (run.config.get("tuning") or {}).get("space") or {}
        if key.partition(".")[0] in sections
    ]
    if not run.tuned or not keys:
        return ""
    return f"This is as configured; in each fold a search replaced {', '.join(keys)}."


def _place(each: dict[str, Any], run: RunFiles) -> str:
    several = any(other["repeat"] != each["repeat"] for other in run.tuned)
    repeat = f"repeat {each['repeat']}, " if several else ""
    return f"{words.label_of(each['model'])}, {repeat}fold {each['fold']}"


def _score(each: dict[str, Any], key: str) -> str:
    value = each[key]
    if value is None:
        return "–"
    return words.number(-value if _metric(each) == "log_loss" else value)


def _metric(each: dict[str, Any]) -> str:
    return str(each.get("metric", "auc"))


def _trials(each: dict[str, Any]) -> str:
    ended = ", ".join(f"{each[key]} {key}" for key in ("pruned", "failed") if each[key])
    return f"{each['trials']} ({ended})" if ended else str(each["trials"])
