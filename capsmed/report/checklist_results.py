"""A run's results as sentences for a checklist; every number is one of metrics.json."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from capsmed.errors import CheckpointError
from capsmed.metrics.tables import HELD_OUT, included, read_table
from capsmed.report import cohort, words
from capsmed.report.run import RunFiles, read_json

_DECISIONS = ("sensitivity", "specificity", "ppv", "npv")
_CALIBRATION = ("brier", "calibration_slope", "calibration_intercept", "calibration_error")


def results(run: RunFiles) -> dict[str, str]:
    """Sentences by key; '' where the run has no such result."""
    model, baselines = run.metrics["model"], run.metrics["baselines"]
    compared = [words.comparison(run.metrics, name) for name in baselines]
    return {
        "performance": _told(run, ("auc", "error", "accuracy", "balanced_accuracy")),
        "decisions": _told(run, _DECISIONS) or _by_class(model),
        "calibration": _told(run, _CALIBRATION),
        "comparisons": " ".join(compared),
        "noted": words.sentence(run.metrics.get("note", "")),
        "characteristics": _characteristics(run),
        "robustness": _spread(run, model["per_seed"], "runs (repeats and seeds)"),
        "clusters": _clusters(run),
        "subgroups": _subgroups(model.get("subgroups") or {}),
        "internal": _internal(run),
        "external": _external(run),
        "failures": _failures(run),
        "explained": _explained(run),
        "weights": _weights(run),
        **_thresholds(run, model),
        **_updating(model.get("recalibrated") or {}),
    }


def _told(run: RunFiles, keys: tuple[str, ...]) -> str:
    names = {**words.metric_rows(run.metrics), **words.more_rows(run.metrics)}
    model = run.metrics["model"]
    found = [f"{names[k]} {words.span(model[k], k == 'error')}" for k in keys if k in names]
    return f"{_capital('; '.join(found))}." if found else ""


def _by_class(model: dict[str, Any]) -> str:
    """Of more than two classes each against the rest."""
    texts = [
        f"{label}: "
        + ", ".join(
            f"{key.upper() if key in ('ppv', 'npv') else key} {words.span(entry[key])}"
            for key in _DECISIONS
        )
        for label, entry in (model.get("one_vs_rest") or {}).items()
    ]
    return f"Each class against the rest: {'; '.join(texts)}." if texts else ""


def _characteristics(run: RunFiles) -> str:
    texts = []
    for name, cases, patients, diameter in cohort.class_rows(run):
        people = "" if patients == "unknown" else f" of {patients} patients"
        size = "" if diameter == "–" else f", median diameter {diameter} mm"
        texts.append(f"{name}: {cases} cases{people}{size}")
    return f"Classes: {'; '.join(texts)}."


def _spread(run: RunFiles, entries: list[dict[str, Any]], what: str) -> str:
    """The least and largest AUC (or error) of several runs or folds."""
    key, name = ("auc", "AUC") if len(run.classes) == 2 else ("error", "error")
    values = [e[key]["value"] for e in entries if e[key]["value"] is not None]
    if len(values) < 2:
        return ""
    low, high = (words.number(value) for value in (min(values), max(values)))
    return f"{_capital(name)} of {len(values)} {what}: {low} to {high}."


def _clusters(run: RunFiles) -> str:
    column = (run.config.get("split") or {}).get("leave_out")
    if not column or run.evaluation:
        return ""
    return _spread(run, run.metrics["model"]["per_fold"], f"folds, one for each '{column}'")


def _subgroups(groups: dict[str, list[dict[str, Any]]]) -> str:
    texts = [
        f"{column} {group['group']} ({group['n_cases']:,} cases): "
        + ("too few to say" if group.get("too_few") else f"AUC {words.span(group['auc'])}")
        for column, entries in groups.items()
        for group in entries
        if group.get("too_few") or "auc" in group
    ]
    return f"Groups: {'; '.join(texts)}." if texts else ""


def _internal(run: RunFiles) -> str:
    """Cross-validation, and a held-out part that is a share of the same patients."""
    if run.evaluation == HELD_OUT and not _by_column(run):
        return f"This page: the part held out of all folds. {_told(run, ('auc', 'error'))}"
    if run.evaluation or not len(run.splits):
        return ""
    tested = run.splits["case_id"][run.splits["part"] == "test"].nunique()
    held = "" if _by_column(run) else "; ".join(_evaluated(run, HELD_OUT))
    return f"{tested:,} cases, each predicted by networks in whose test part it stands." + (
        f" Held out of all folds: {held}." if held else ""
    )


def _external(run: RunFiles) -> str:
    """Other cohorts, and a held-out part that a column marks, such as another site."""
    if run.evaluation == HELD_OUT and not _by_column(run):
        return ""
    if run.evaluation:
        return f"This page: the cohort '{run.evaluation}'. {_told(run, ('auc', 'error'))}"
    folders = sorted(path.name for path in (run.folder / "evaluations").glob("*"))
    names = [name for name in folders if name != HELD_OUT or _by_column(run)]
    names = [name for name in names if not _in_the_folds(run, name)]
    texts = [text for name in names for text in _evaluated(run, name)]
    return f"Evaluated on cases in no fold: {'; '.join(texts)}." if texts else ""


def _in_the_folds(run: RunFiles, name: str) -> bool:
    """Whether an evaluation has cases that the run's folds have too, by their ids or patients."""
    path = run.folder / "evaluations" / name / "cohort.csv"
    if not path.exists() or not len(run.splits):
        return False
    there, own = included(read_table(path)), included(run.cohort)
    patients = set(own["patient"]) - {""} if "patient" in own else set()
    known = there["patient"].isin(patients).any() if "patient" in there else False
    return bool(known or there["case_id"].isin(set(run.splits["case_id"])).any())


def _by_column(run: RunFiles) -> bool:
    """Whether a column of the table says who is held out."""
    return bool(((run.config.get("split") or {}).get("held_out") or {}).get("column"))


def _evaluated(run: RunFiles, name: str) -> list[str]:
    """The result of an evaluation of the run; [] where there is none."""
    path = run.folder / "evaluations" / name / "metrics.json"
    if not path.exists():
        return []
    key = "auc" if len(run.classes) == 2 else "error"
    found = read_json(path)["model"]
    value = words.span(found[key], key == "error")
    return [f"{name}: {key.replace('auc', 'AUC')} {value}, {words.who(found)}"]


def _failures(run: RunFiles) -> str:
    accuracy = run.metrics["model"]["accuracy"]["value"]
    if accuracy is None:
        return ""
    return (
        f"{100 * (1 - accuracy):.1f}% of cases are called wrongly; the report's table of cases "
        "has each, the most wrong first."
    )


def _explained(run: RunFiles) -> str:
    texts = []
    if not run.evaluation and (run.folder / "inspect" / "health.json").exists():
        texts.append("couplings, reconstructions and routing tests of `capsmed inspect`")
    names = _pictures(run)
    if any(name.endswith("_decoded") for name in names):
        texts.append("reconstructions of test cases")
    if "coupling_class" in names:
        texts.append("coupling maps of test cases")
    return f"Shown in the report: {', '.join(texts)}." if texts else ""


def _pictures(run: RunFiles) -> set[str]:
    """Names of the arrays in the first fold's cuts.npz."""
    for path in _of_folds(run, "cuts.npz"):
        try:
            with zipfile.ZipFile(path) as file:
                return {name.removesuffix(".npy") for name in file.namelist()}
        except (OSError, zipfile.BadZipFile) as error:
            raise CheckpointError(
                f"{path}: expected pictures of a finished run, got none that can be read; delete "
                "this file, and the report goes without them"
            ) from error
    return set()


def _weights(run: RunFiles) -> str:
    count = len(_of_folds(run, "checkpoints/best.pt") or _of_folds(run, "checkpoints/last.pt"))
    return f"{count:,} trained networks lie in the run folder's checkpoints." if count else ""


def _of_folds(run: RunFiles, name: str) -> list[Path]:
    folders = [run.folder / f"repeat-{f.repeat}/seed-{f.seed}/fold-{f.fold}" for f in run.folds]
    return [folder / name for folder in folders if (folder / name).exists()]


def _thresholds(run: RunFiles, model: dict[str, Any]) -> dict[str, str]:
    at = _called_from(run) if len(run.classes) == 2 else ""
    points = model.get("operating_points") or []
    wanted = ", ".join(f"{point['wanted']:g}" for point in points)
    chosen = (
        f"Also at thresholds chosen in the inner parts for sensitivity {wanted}." if wanted else ""
    )
    told = [
        f"for sensitivity {p['wanted']:g}: sensitivity {words.span(p['sensitivity'])}, specificity "
        f"{words.span(p['specificity'])}"
        for p in points
    ]
    return {
        "thresholds_method": " ".join(filter(None, (at, chosen))),
        "thresholds": f"At thresholds chosen in the inner parts {'; '.join(told)}." if told else "",
    }


def _called_from(run: RunFiles) -> str:
    records = [fold.record for fold in run.folds if fold.record.get("threshold_method")]
    if not records:
        return ""
    ways = ", ".join(sorted({str(record["threshold_method"]) for record in records}))
    values = sorted({float(record["threshold"]) for record in records if "threshold" in record})
    ends = " to ".join(words.number(value, 2) for value in dict.fromkeys(values[:1] + values[-1:]))
    return f"Called {run.positive} from {ends or 'a threshold of each fold'} on ({ways})."


def _updating(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    scores = {name.replace("platt", "Platt"): entry["brier"] for name, entry in found.items()}
    told = "; ".join(f"{name}: Brier score {words.span(brier)}" for name, brier in scores.items())
    method = (
        "Corrections of the probabilities, fitted to the inner parts and tried on the test parts "
        f"({', '.join(scores)}); no other result uses them."
    )
    return {
        "updating_method": method if scores else "",
        "updating": f"{_capital(told)}." if told else "",
    }


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
