"""'Did it learn?': one quiet sentence when all is well, else what is wrong in which folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from capsmed.metrics.diagnosis import DIAGNOSES, Finding, diagnose, one_answer, only_memorised
from capsmed.metrics.learning import part_facts
from capsmed.metrics.scores import decide
from capsmed.metrics.tables import probabilities, targets
from capsmed.report.run import Fold, RunFiles
from capsmed.report.words import label_of, number

LISTED = 6  # folds that are named in a sentence


@dataclass(frozen=True)
class Wrong:
    """One finding of one model: who has it, in which folds, the figures, what to try."""

    who: str
    says: str
    shown: str
    advice: tuple[str, ...]


def learning_content(run: RunFiles) -> dict[str, Any] | None:
    """What the section shows, or None where no fold recorded what it learnt (an older run)."""
    folds = measured(run.folds)
    if not folds:
        return None
    return {"summary": _summary(folds), "wrong": wrongs(run)}


def wrongs(run: RunFiles) -> list[Wrong]:
    """Everything that is wrong with the network and with the baselines trained beside it."""
    found = _of_model(run.model, measured(run.folds))
    if not any(wrong.says == DIAGNOSES["only_memorised"][0] for wrong in found):
        found += _over_all_folds(run)
    if not any(wrong.says.startswith("did not learn, ") for wrong in found):
        found += _one_answer_in_test(run)
    for model, folds in run.rivals.items():
        found += _of_model(model, measured(folds))
    return found


def measured(folds: Sequence[Fold]) -> list[Fold]:
    """The folds with a record of what they learnt."""
    return [fold for fold in folds if fold.record.get("learning")]


def name_of(fold: Fold, folds: Sequence[Fold]) -> str:
    """'fold 2', with repeat and seed where there are several."""
    parts = []
    if len({other.repeat for other in folds}) > 1:
        parts.append(f"repeat {fold.repeat}")
    if len({other.seed for other in folds}) > 1:
        parts.append(f"seed {fold.seed}")
    return ", ".join([*parts, f"fold {fold.fold}"])


def _of_model(model: str, folds: list[Fold]) -> list[Wrong]:
    held: dict[str, list[tuple[str, Finding]]] = {}
    for fold in folds:
        for finding in diagnose(fold.record["learning"]):
            held.setdefault(finding.name, []).append((name_of(fold, folds), finding))
    wrong = []
    for entries in held.values():
        names, findings = zip(*entries, strict=True)
        who = f"{label_of(model)}, {_listed(names)} of {len(folds)}"
        first = f"{names[0]}: " if len(names) > 1 else ""
        wrong.append(
            Wrong(who, findings[0].says, f"{first}{findings[0].shown}", findings[0].advice)
        )
    return wrong


def _over_all_folds(run: RunFiles) -> list[Wrong]:
    """Each fold may be too small to show it: the training parts' mean against all test parts."""
    areas = [_area(fold, "train") for fold in measured(run.folds)]
    present = [area for area in areas if area]
    test = run.metrics["model"].get("auc") or {}
    if not present or test.get("value") is None:
        return []
    mean = {key: float(np.mean([area[key] for area in present])) for key in present[0]}
    cases = {"auc": test, "cases": run.metrics["model"]["n_cases"]}
    shown = only_memorised({"train": {"auc": mean}, "held_out": cases})
    if shown is None:
        return []
    return [_together(run, "only_memorised", shown)]


def _one_answer_in_test(run: RunFiles) -> list[Wrong]:
    """The pooled test cases may show it where the training parts do not."""
    rows = run.of(run.model)
    target, chance = targets(rows, run.classes), probabilities(rows, run.classes)
    threshold = rows["threshold"].to_numpy(float) if "threshold" in rows else None
    positive = run.classes.index(run.positive) if len(run.classes) == 2 else 0
    decided = decide(chance, positive, threshold)
    shares = np.eye(len(run.classes))[decided]
    part = part_facts(
        target, shares, np.unique(rows["case_id"], return_inverse=True)[1], run.classes
    )
    shown = one_answer(part, "test predictions")
    name = "one_capsule" if _capsules(run) else "one_class"
    return [_together(run, name, shown)] if shown else []


def _capsules(run: RunFiles) -> bool:
    return any(fold.record["learning"].get("activations") for fold in measured(run.folds))


def _together(run: RunFiles, name: str, shown: str) -> Wrong:
    facts = measured(run.folds)[0].record["learning"]
    finding = Finding.of(name, shown, facts)
    return Wrong(f"{label_of(run.model)}, all folds together", finding.says, shown, finding.advice)


def _summary(folds: list[Fold]) -> str:
    parts = []
    for part, text in (("train", "training"), ("inner", "inner"), ("test", "test")):
        values = [area["value"] for area in (_area(fold, part) for fold in folds) if area]
        if values:
            parts.append(f"{text} part {number(float(np.mean(values)))}")
    mean = f" (mean of {len(folds)} trainings)" if len(folds) > 1 else ""
    return f"AUC{mean}: {', '.join(parts)}." if parts else "No AUC: each part lacks a class."


def _area(fold: Fold, part: str) -> dict[str, float] | None:
    return (fold.record["learning"].get(part) or {}).get("auc")


def _listed(names: Sequence[str]) -> str:
    shown = list(names[:LISTED])
    if len(names) > LISTED:
        shown.append(f"{len(names) - LISTED} more")
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else shown[0]
