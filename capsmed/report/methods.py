"""The methods paragraph, put together from the run's own config and records."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from capsmed.metrics.tables import HELD_OUT, SCORE
from capsmed.report.run import RunFiles
from capsmed.report.tuned import replaced, tuned_sentence

_BASELINES = {
    "size_only": "Size only: logistic regression on the logarithm of the diameter, classes "
    "weighted equally, fitted in the same training parts.",
    "radiomics": "Radiomics: logistic regression on intensity and shape features of the lesion, "
    "found by its half-maximum; penalty chosen by an inner cross-validation in the training part.",
    "ordinary_head": "Ordinary head: the same encoder with linear layers, trained with "
    "cross-entropy in the same folds, with the same augmentation and epochs.",
    "average_head": "Average head: the same with each channel's mean before the linear layer.",
    "densenet121": "DenseNet-121 (MONAI): trained from chance with cross-entropy in the same "
    "folds, with the same augmentation, sampling, optimiser and epochs.",
    "resnet18": "ResNet-18 (MONAI): trained from chance with cross-entropy in the same folds, with "
    "the same augmentation, sampling, optimiser and epochs; inputs of fewer than 32 along an axis "
    "are not pooled after its first convolution.",
}


def methods(run: RunFiles) -> list[str]:
    """Sentences that say how the numbers were made; only what the run folder records."""
    return [sentence for sentences in topics(run).values() for sentence in sentences]


def topics(run: RunFiles) -> dict[str, list[str]]:
    """The sentences of `methods` by what they are about, in order; [] where nothing is recorded."""
    config = run.config
    found = {
        **_data(config.get("data") or {}, config.get("patch") or {}),
        **_splits(config.get("split") or {}, run),
        **_training(config),
        "start": _start(config),
        **_folds(run),
        **_statistics(run),
    }
    learning = ("network", "loss", "optimizer", "schedule", "training")
    found["training"].append(replaced(run, *learning))
    found["augmentation"].append(replaced(run, "augmentation"))
    return {name: [text for text in texts if text] for name, texts in found.items()}


def _data(data: dict[str, Any], patch: dict[str, Any]) -> dict[str, list[str]]:
    source = PurePath(str(data.get("cohort", "unknown")).replace("\\", "/")).name
    size = " × ".join(str(n) for n in patch.get("size") or ())
    unit = "voxels" if len(patch.get("size") or ()) == 3 else "pixels"
    spacing = patch.get("spacing")
    steps = spacing if isinstance(spacing, list) else [spacing]
    at = f" at {' × '.join(f'{s:g}' for s in steps)} mm" if spacing else " at their own resolution"
    window = patch.get("window")
    span = f", intensities {window[0]:g} to {window[1]:g} mapped to 0 to 1" if window else ""
    inputs = f"Inputs of {size} {unit}{at}{span}." if size else ""
    return {"source": [f"Cohort '{source}'."], "inputs": [inputs]}


def _splits(split: dict[str, Any], run: RunFiles) -> dict[str, list[str]]:
    splits = run.splits
    if run.evaluation == HELD_OUT:
        return {"split": _held_out(split)}
    if not len(splits):
        return {"split": ["Predictions of the run's trained networks on another cohort."]}
    folds, repeats = splits.groupby("repeat")["fold"].nunique().max(), splits["repeat"].nunique()
    if folds == 1:
        text = "One split into training and test part."
    elif split.get("leave_out"):
        text = f"One fold for each value of the column '{split['leave_out']}'."
    elif split.get("column") or run.environment.get("split_column"):
        column = split.get("column") or run.environment["split_column"]
        text = f"Cross-validation in the {folds} folds of the table's column '{column}'."
    else:
        times = f", {repeats} times" if repeats > 1 else ""
        drawn = f", split seed {split['seed']}" if "seed" in split else ""
        text = f"Cross-validation in {folds} folds by {split.get('by', 'patient')}{times}{drawn}."
    return {
        "split": [*_held_out(split), text],
        "selection": [_epoch_choice(run), tuned_sentence(run)],
    }


def _held_out(split: dict[str, Any]) -> list[str]:
    """Say who is in no fold."""
    asked = split.get("held_out") or {}
    if asked.get("share"):
        whom = f"{asked['share']:.0%} of the {split.get('by', 'patient')}s, drawn by class"
    elif asked.get("column"):
        whom = f"those marked in the column '{asked['column']}'"
        if asked.get("value"):
            whom = f"those with '{asked['value']}' in the column '{asked['column']}'"
    else:
        return []
    how = "predicted by the mean of the folds' networks, when all were finished"
    return [f"Held out of all folds: {whom}; {how}."]


def _epoch_choice(run: RunFiles) -> str:
    """Say which epoch's weights predict, and what the inner part was for."""
    counts = run.splits["part"].value_counts()
    inner = int(counts.get("inner", 0))
    if not inner:
        return "The last epoch predicts."
    share = f"{100 * inner / (inner + int(counts.get('train', 0))):.0f}% of each training part"
    if (run.config.get("training") or {}).get("select") == "last":
        return f"{share} was kept aside and watched; the last epoch predicts."
    return f"{share} was kept aside to choose the epoch."


def _training(config: dict[str, Any]) -> dict[str, list[str]]:
    training, seeds = config.get("training") or {}, config.get("seeds") or []
    network, loss, optimiser = (_name(config.get(k)) for k in ("network", "loss", "optimizer"))
    stop = training.get("patience")
    early = f", stopped after {stop} epochs without a better inner score" if stop else ""
    changed = {k: v for k, v in (config.get("augmentation") or {}).items() if v}
    augmentation = ", ".join(f"{k} {v}" if v is not True else k for k, v in changed.items())
    text = (
        f"Network {network}, loss {loss}, optimiser {optimiser}, at most "
        f"{training.get('epochs', '?')} epochs of batches of {training.get('batch_size', '?')}"
        f"{early}; {training.get('sampling', 'natural')} sampling; seeds "
        f"{', '.join(str(s) for s in seeds)}."
    )
    changes = f"Augmentation: {augmentation}." if augmentation else "No augmentation."
    return {"training": [text], "augmentation": [changes]}


def _start(config: dict[str, Any]) -> list[str]:
    """Say what did not learn from chance at one rate: a checkpoint, frozen parts, scaled rates."""
    weights, training = config.get("weights") or {}, config.get("training") or {}
    frozen, scaled = training.get("freeze") or [], training.get("lr_scale") or {}
    part = weights.get("into") or "the whole network"
    rates = ", ".join(f"{name} × {factor:g}" for name, factor in scaled.items())
    return [
        f"Weights of {part} started from '{weights['file']}'." if weights.get("file") else "",
        f"Frozen: {', '.join(frozen)}." if frozen else "",
        f"Learning rate: {rates}." if rates else "",
    ]


def _folds(run: RunFiles) -> dict[str, list[str]]:
    records = [fold.record for fold in run.folds if fold.record]
    parameters = {r["parameters"] for r in records if r.get("parameters")}
    ways = sorted({str(r["threshold_method"]) for r in records if r.get("threshold_method")})
    chosen = [r["chosen_epoch"] for r in records if r.get("chosen_epoch") is not None]
    threshold = f"Threshold of each fold: {', '.join(ways)}." if ways not in ([], ["fixed"]) else ""
    return {
        "parameters": [f"{max(parameters):,} parameters." if parameters else ""],
        "epochs": [f"Weights of epoch {_between(chosen)}." if chosen else ""],
        "threshold": [threshold],
    }


def _statistics(run: RunFiles) -> dict[str, list[str]]:
    model = run.metrics["model"]
    used = sorted({model[k]["method"] for k in ("auc", "accuracy") if k in model})
    runs = len(model["per_seed"])
    which = "predictions of these cases" if run.evaluation else "pooled test predictions"
    pooled = f"Each value is the metric on the {which}"
    mean = f", averaged over {runs} runs (repeats and seeds)" if runs > 1 else ""
    by_class = (
        "Each class is told against the rest; macro is the mean over classes, micro ranks all "
        "pairs of case and class together."
        if "one_vs_rest" in model
        else ""
    )
    baselines = run.metrics["baselines"]
    told = [_BASELINES[name] for name in baselines if name in _BASELINES]
    if "clinical" in baselines:
        columns = (run.config.get("baselines") or {}).get("clinical") or []
        told.append(
            f"Clinical: logistic regression on {', '.join(map(str, columns))}, classes weighted "
            "equally; penalty chosen by an inner cross-validation in the training part."
        )
    if "combined" in baselines:
        told.append(
            "Combined: log odds of the clinical model (fitted on the train part) and of the "
            "network, weighed by logistic regression on each fold's inner part."
        )
    scores = [name.removeprefix(SCORE) for name in baselines if name.startswith(SCORE)]
    if scores:
        told.append(f"Scores of the table: {', '.join(scores)}, scaled in the same training parts.")
    if baselines:
        rivals = [entry.get("auc_difference") or {} for entry in baselines.values()]
        delong = "; p values by DeLong" if any(gap.get("delong") for gap in rivals) else ""
        told.append(f"Differences: on the same cases, resampled together{delong}.")
    return {
        "values": [f"{pooled}{mean}."],
        "auc": [f"AUC: {run.metrics.get('auc_definition', '')}.", by_class],
        "intervals": [f"Intervals: {'; '.join(used)}."],
        "baselines": told,
    }


def _between(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low} to {high} over the folds"


def _name(component: Any) -> str:
    if isinstance(component, dict):
        return str(component.get("name", "?"))
    return str(component or "?")
