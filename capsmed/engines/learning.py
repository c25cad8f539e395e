"""What a training has learnt, measured once at its end for ``fold.json``."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import numpy as np
import torch
from torch import Tensor, nn

from capsmed.config import Experiment
from capsmed.data.patches import PatchSet
from capsmed.engines import build, components, diverged
from capsmed.engines.fit import Fitted
from capsmed.engines.fits import Fit
from capsmed.engines.inside.probe import without_input
from capsmed.engines.predict import collect, predict
from capsmed.engines.run_data import RunData
from capsmed.engines.run_folder import read_table
from capsmed.losses.class_weights import ClassWeights
from capsmed.metrics.advice import OPTIONS, SETS
from capsmed.metrics.diagnosis import diagnose, span
from capsmed.metrics.learning import activation_facts, part_facts, spread
from capsmed.networks import TrainingWrapper, probabilities

MOST_CASES = 500  # of a part that are looked at


class LossTerms:
    """A loss that also sums its weighted parts over all cases that it is called with.

    Losses tell their parts by a method ``terms(output, target)``, one value a case for each name.
    """

    def __init__(self, loss: nn.Module) -> None:
        self.loss = loss
        self._sums: dict[str, float] = {}
        self._cases = 0

    def __call__(self, output: Any, target: Tensor) -> Tensor:
        """The loss itself; of a loss that tells its parts, their sum."""
        terms: Any = getattr(self.loss, "terms", None)
        if terms is None:
            return self.loss(output, target).mean()
        parts: dict[str, Tensor] = terms(output, target)
        for name, values in parts.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(values.sum())
        self._cases += len(target)
        return torch.stack(list(parts.values())).sum(0).mean()

    def means(self) -> dict[str, float]:
        """Mean of each part over the cases of all processes; empty for a loss that tells none."""
        cases = float(idist.all_reduce(self._cases))
        return {n: float(idist.all_reduce(value)) / cases for n, value in self._sums.items()}


def learning_facts(
    fit: Fit,
    experiment: Experiment,
    data: RunData,
    fitted: Fitted,
    device: torch.device,
    test: np.ndarray,
) -> dict[str, Any]:
    """Measure the chosen network on training, inner and test part; all processes call this.

    At most `MOST_CASES` of the training and of the inner part are looked at, the classes alike
    and none augmented.

    Args:
        fit: which training.
        experiment: the configuration.
        data: the run's cohort and patches.
        fitted: the trained network and its loss.
        device: where to compute.
        test: probabilities of the test part, as `predict` gives them.
    """
    patches = data.patches
    units = _units(data)
    train = sample(patches.targets.numpy(), data.positions(fit, "train"))
    inner = sample(patches.targets.numpy(), data.positions(fit, "inner"))
    facts, values = training_facts(fitted.wrapper, fitted.loss, patches, train, experiment, device)
    parts = {"train": (train, values), "test": (data.positions(fit, "test"), test)}
    if len(inner):
        view = patches.view(inner, augment=False, seed_key=())
        found = predict(
            fitted.wrapper,
            view,
            batch_size=_batch(experiment),
            device=device,
            precision=experiment.training.precision,
        )
        parts["inner"] = (inner, found)
    cases, shares = zip(*(parts[name] for name in ("inner", "test") if name in parts), strict=True)
    parts["held_out"] = (np.concatenate(cases), np.concatenate(shares))
    for name, (cases, shares) in parts.items():
        targets = patches.targets.numpy()[cases]
        facts[name] = part_facts(targets, shares, units[cases], data.cohort.classes)
    facts["loss"] |= _history(fit.folder / "history.csv", fitted)
    facts |= settings(experiment, fit.model, fitted.loss, data.cohort.classes)
    return facts


def training_facts(
    wrapper: TrainingWrapper,
    loss: nn.Module,
    patches: PatchSet,
    cases: np.ndarray,
    experiment: Experiment,
    device: torch.device,
) -> tuple[dict[str, Any], np.ndarray]:
    """What a network makes of ``cases`` that it is trained on, and their probabilities."""
    told = LossTerms(loss)
    collector = collect(
        wrapper,
        patches.view(cases, augment=False, seed_key=()),
        batch_size=_batch(experiment),
        device=device,
        precision=experiment.training.precision,
        loss_function=told,
    )
    kind = wrapper.score_kind
    values = probabilities(collector.scores.double(), kind).numpy()
    diverged.check_predictions("training part", values)
    target = patches.targets.numpy()[cases]
    active = None
    if kind != "logits":
        some = patches.view(cases[:2], augment=False, seed_key=()).batch(cases[:2], 0)
        silent = without_input(wrapper.network.eval(), some.to(device))
        active = activation_facts(target, collector.scores.numpy(), silent.cpu().numpy())
    facts: dict[str, Any] = {
        "spread": spread(values),
        "activations": active,
        "loss": {"value": _finite(collector.loss), "terms": told.means()},
    }
    return facts, values


def sample(targets: np.ndarray, positions: np.ndarray, most: int = MOST_CASES) -> np.ndarray:
    """At most ``most`` of ``positions``, the classes alike, evenly spaced in their order.

    Args:
        targets: class index of every case of the cohort.
        positions: the part's places in ``targets``, ascending.
        most: cases in all.
    """
    if len(positions) <= most:
        return positions
    classes = np.unique(targets[positions])
    share = max(most // len(classes), 1)
    kept = []
    for k in classes:
        own = positions[targets[positions] == k]
        kept.append(own[np.linspace(0, len(own) - 1, min(share, len(own))).astype(int)])
    return np.sort(np.concatenate(kept))


def settings(
    experiment: Experiment, model: str, loss: nn.Module, classes: Sequence[str]
) -> dict[str, Any]:
    """What advice depends on: ``options``, ``learning_rate``, and classes of weight 0."""
    rate = experiment.optimizer.options.get("lr")
    weights = [m.values for m in loss.modules() if isinstance(m, ClassWeights)]
    none = [values.tolist() for values in weights if values is not None]
    return {
        "options": options(experiment, model),
        "learning_rate": None if rate is None else float(rate),
        "unweighed": [name for k, name in enumerate(classes) if any(v[k] == 0 for v in none)],
    }


def options(experiment: Experiment, model: str) -> list[str]:
    """Those options, of all that advice names, which this model's network and loss have.

    Without those that are set to what the advice would set them to.
    """
    found = []
    for kind, component in zip(
        ("network", "loss"), build.specification(experiment, model), strict=True
    ):
        parameters = inspect.signature(components.resolve(kind, component.name)).parameters
        for name, parameter in parameters.items():
            key, value = f"{kind}.{name}", component.options.get(name, parameter.default)
            value = value[0] if isinstance(value, (list, tuple)) and value else value
            if key not in SETS or _text(value) != _text(SETS[key]):
                found.append(key)
    return sorted(OPTIONS & set(found))


def lines(facts: Mapping[str, Any]) -> list[str]:
    """What to print of a finished fold: what is wrong with it, or its AUCs in one line."""
    found = [finding.sentence for finding in diagnose(facts)]
    if found:
        return found
    areas = [
        f"{name} AUC {span(facts[name]['auc'])}"
        for name in ("train", "test")
        if facts[name]["auc"] is not None
    ]
    return [", ".join(areas).replace("train ", "training ")] if areas else []


def _units(data: RunData) -> np.ndarray:
    patients = data.cohort.included["patient_id"].fillna("").astype(str)
    if (patients == "").any():
        return np.arange(len(patients))
    return np.unique(patients, return_inverse=True)[1]


def _history(path: Path, fitted: Fitted) -> dict[str, Any]:
    """Training losses of the first and of the last epoch, and which epoch was chosen."""
    losses = read_table(path)["train_loss"].astype(float)
    return {
        "first": float(losses.iloc[0]),
        "last": float(losses.iloc[-1]),
        "epochs": fitted.stopped_epoch,
        "chosen_epoch": fitted.chosen_epoch,
    }


def _text(value: Any) -> str:
    return str(value).upper()


def _batch(experiment: Experiment) -> int:
    return max(experiment.training.batch_size, 64)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
