"""Numbers and sentences that the console and the page share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from capsmed.metrics.tables import HELD_OUT, SCORE

RESEARCH_USE = "Research use only. Not for diagnosis."

#: Metrics in the order of the tables.
ROWS = {
    "auc": "AUC",
    "accuracy": "accuracy",
    "error": "error",
    "balanced_accuracy": "balanced accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
}
#: More of them, on the page's second table.
MORE_ROWS = {
    "average_precision": "average precision",
    "ppv": "positive predictive value",
    "npv": "negative predictive value",
    "f1": "F1",
    "mcc": "Matthews correlation",
    "brier": "Brier score",
    "log_loss": "log loss",
    "calibration_slope": "calibration slope",
    "calibration_intercept": "calibration intercept",
    "calibration_error": "calibration error (ECE)",
}

_LABELS = {
    "size_only": "size only",
    "ordinary_head": "ordinary head",
    "average_head": "average head",
    "densenet121": "DenseNet-121",
    "resnet18": "ResNet-18",
}
_SUBJECTS = {
    "size_only": "Size alone",
    "clinical": "The clinical model",
    "combined": "The clinical model with the network's score",
    "radiomics": "The radiomics model",
    "densenet121": "DenseNet-121",
    "resnet18": "ResNet-18",
}


def label_of(model: str) -> str:
    """A model's name as readers see it."""
    return _LABELS.get(model, model.removeprefix(SCORE))


def number(value: float | None, digits: int = 3) -> str:
    """A number with a true minus sign; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def span(entry: dict[str, Any], percent: bool = False) -> str:
    """Value and limits: '0.843 (0.712–0.931)' or '0.40% (0.29–0.54)'.

    >>> span({"value": -0.5, "low": -0.75, "high": 0.0})
    '−0.500 (−0.750 to 0.000)'
    >>> span({"value": 0.25, "low": None, "high": None})  # too few cases for an interval
    '0.250'
    """
    if entry["value"] is None:
        return "–"
    scale, sign, digits = (100, "%", 2) if percent else (1, "", _digits(entry))
    if entry["low"] is None:
        return f"{number(scale * entry['value'], digits)}{sign}"
    value, low, high = (number(scale * entry[key], digits) for key in ("value", "low", "high"))
    dash = " to " if entry["low"] < 0 else "–"
    return f"{value}{sign} ({low}{dash}{high})"


def delong(entry: dict[str, Any] | None) -> str:
    """The interval without resampling, of a difference with its p value; '' where there is none.

    >>> delong({"low": -0.75, "high": 0.0, "p": 0.04951})
    '−0.750 to 0.000, p = 0.050'
    """
    if entry is None:
        return ""
    low, high = (number(entry[key], 3) for key in ("low", "high"))
    limits = f"{low}{' to ' if entry['low'] < 0 else '–'}{high}"
    if "p" not in entry:
        return limits
    p = p_value(entry["p"])
    return f"{limits}, p {p if p.startswith('<') else f'= {p}'}"


def p_value(p: float | None) -> str:
    """'0.050', '< 0.001', or a dash where there is none."""
    return "<\u00a00.001" if p is not None and p < 0.001 else number(p, 3)


def sentence(text: str) -> str:
    """A note with a capital and a full stop; '' stays ''."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def metric_rows(metrics: dict[str, Any]) -> dict[str, str]:
    """The metrics to tabulate, key to heading; error is for more than two classes."""
    return metric_rows_of(metrics["model"], metrics["classes"])


def more_rows(metrics: dict[str, Any]) -> dict[str, str]:
    """The metrics of the second table, key to heading; none in runs of earlier versions."""
    return {key: text for key, text in MORE_ROWS.items() if key in metrics["model"]}


def metric_rows_of(entry: dict[str, Any], classes: Sequence[str]) -> dict[str, str]:
    """`metric_rows` of one model."""
    hidden = set() if len(classes) > 2 else {"error"}
    return {k: text for k, text in ROWS.items() if k in entry and k not in hidden}


def level(metrics: dict[str, Any]) -> str:
    """The confidence in words: '95%'."""
    return f"{100 * metrics.get('confidence', 0.95):g}%"


def headline(metrics: dict[str, Any], scored: str) -> str:
    """The result in one sentence.

    Args:
        metrics: content of metrics.json.
        scored: how the cases came to be scored, to end the sentence with.
    """
    model, n_classes = metrics["model"], len(metrics["classes"])
    if n_classes == 2:
        what = f"AUC {_long(model['auc'], metrics)} for positive class '{metrics['positive']}'"
    else:
        what = f"Error {_long(model['error'], metrics, True)} over {n_classes} classes"
    runs = len(model["per_seed"])
    mean = f", mean of {runs} runs" if runs > 1 else ""
    return f"{what}{mean}, on {who(model)}, {scored}{_beside_size(metrics)}."


def _beside_size(metrics: dict[str, Any]) -> str:
    """How the network stands to size alone, with the paired difference; '' without that model."""
    gap = metrics["baselines"].get("size_only", {}).get("auc_difference", {})
    if gap.get("value") is None:
        return ""
    verdict = {1: "better than size alone", -1: "worse than size alone"}
    told = verdict.get(_sign(gap), "not distinguishable from size alone")
    what = "difference" if len(metrics["classes"]) == 2 else "AUC difference"
    return f"; {told}, {what} {span(gap)}"


def held_out(metrics: dict[str, Any]) -> str:
    """The result of the held-out part in one sentence.

    Args:
        metrics: content of its metrics.json.
    """
    model = metrics["model"]
    what = f"AUC {_long(model['auc'], metrics)}"
    if len(metrics["classes"]) > 2:
        what = f"error {_long(model['error'], metrics, True)}, one-vs-rest {what}"
    return f"Held out: {what} on {who(model)} in no fold, by the mean of the folds' networks."


def held_out_rows(metrics: dict[str, Any], held: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Metric, cross-validated, held out: of the network, then the AUC of each baseline."""
    rows = []
    for key, text in metric_rows(metrics).items():
        percent = key == "error"
        first, second = (span(each["model"][key], percent) for each in (metrics, held))
        rows.append((text, first, second))
    for name, entry in metrics["baselines"].items():
        other = held["baselines"].get(name)
        second = span(other["auc"]) if other else "–"
        rows.append((f"{label_of(name)}: AUC", span(entry["auc"]), second))
    return rows


def of_whom(evaluation: str) -> str:
    """What the name of an evaluation stands for."""
    return "the held-out part" if evaluation == HELD_OUT else f"another cohort, “{evaluation}”"


def who(entry: dict[str, Any]) -> str:
    """'54 patients', '60 nodules' being '60 cases of 54 patients', or '10,000 cases'."""
    cases = f"{entry['n_cases']:,} cases"
    if entry["n_patients"] is None:
        return f"{cases} (patients unknown)"
    if entry["n_patients"] == entry["n_cases"]:
        return f"{entry['n_patients']:,} patients"
    return f"{cases} of {entry['n_patients']:,} patients"


def comparison(metrics: dict[str, Any], baseline: str) -> str:
    """One baseline beside the network: its AUC, overlap, paired difference."""
    entry, model = metrics["baselines"][baseline], metrics["model"]
    gap = entry["auc_difference"]
    score = f"The score '{label_of(baseline)}'" if baseline.startswith(SCORE) else None
    name = _SUBJECTS.get(baseline) or score or f"The {label_of(baseline)}"
    partly = "" if entry["n_cases"] == model["n_cases"] else f" on the {who(entry)} it could score"
    first = f"{name} reaches AUC {span(entry['auc'])}{partly}"
    if gap["value"] is None or entry["auc"]["value"] is None:
        return f"{first}."
    unit = "cases" if entry["n_patients"] is None else "patients"
    overlap = "overlap" if _overlap(model["auc"], entry["auc"]) else "do not overlap"
    return (
        f"{first}; the intervals {overlap}. Network minus {label_of(baseline)} on the same "
        f"{unit}: {span(gap)}; {_verdict(gap, label_of(baseline))}."
    )


def no_size_only(metrics: dict[str, Any]) -> str:
    """Why no size-only model stands beside the network; '' where one does."""
    if "size_only" in metrics["baselines"]:
        return ""
    return (
        "No size-only model: it was not asked for, too few cases have a diameter, or cases were "
        "predicted out of fold."
    )


def _verdict(gap: dict[str, Any], baseline: str) -> str:
    """Which one ranks better, where no interval of the difference holds zero."""
    sign = _sign(gap)
    if sign:
        return "the network ranks better" if sign > 0 else f"{baseline} ranks better"
    apart = "these data do not tell the two apart"
    if not gap["low"] <= 0 <= gap["high"]:
        return f"{apart}, as DeLong's interval holds 0"
    return apart


def _sign(gap: dict[str, Any]) -> int:
    """1 or -1 where every interval of the difference lies on that side of zero, else 0."""
    intervals = [gap, *filter(None, [gap.get("delong")])]
    above = all(each["low"] > 0 for each in intervals)
    return int(above) - int(all(each["high"] < 0 for each in intervals))


def _overlap(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first["low"] <= second["high"] and second["low"] <= first["high"]


def _long(entry: dict[str, Any], metrics: dict[str, Any], percent: bool = False) -> str:
    return span(entry, percent).replace("(", f"({level(metrics)} interval ")


def _digits(entry: dict[str, Any]) -> int:
    return 5 if 0.9995 <= entry["value"] < 1 else 3
