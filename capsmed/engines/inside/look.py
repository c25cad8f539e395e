"""`capsmed inspect`: open a finished run, look inside its networks, keep what was seen."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import torch

from capsmed.data.progress import shown
from capsmed.engines.fits import Fit
from capsmed.engines.inside import files
from capsmed.engines.inside.health import Measured, measure, variants
from capsmed.engines.inside.pictures import (
    choose_moved,
    choose_shown,
    draw_cases,
    draw_perturbed,
)
from capsmed.engines.inside.probe import Call, watched
from capsmed.engines.inside.reopen import Opened, reopen
from capsmed.engines.inside.summary import pooled
from capsmed.engines.precision import choose_device
from capsmed.errors import ConfigError


def inspect_run(
    run: Path,
    *,
    cases: int = 8,
    measured: int = 500,
    fold: int | None = None,
    seed: int | None = None,
    data_root: Path | None = None,
    device: str = "auto",
    allow_import: Collection[str] = (),
) -> dict[str, Any]:
    """Measure the capsules of a run's networks, each on its own test cases, into ``RUN/inspect``.

    Args:
        run: a finished run folder of a capsule network.
        cases: cases to draw at most; of one fold.
        measured: cases to measure on, all folds together, drawn at random where there are more.
        fold: the fold whose cases are drawn; default the first.
        seed: the run's seed whose networks are looked at; default the first. Of several repeats
            the first is taken.
        data_root: folder that the table's image paths are relative to.
        device: where to compute.
        allow_import: packages that dotted component names may come from.

    Returns:
        The content of ``RUN/inspect/health.json``. Beside it lie ``cases.npz`` and, of networks
        with a decoder, ``perturbed.npz``.

    Raises:
        CheckpointError: the run is unfinished or damaged.
        ConfigError: its network has no capsules, or it has no such fold or seed.
        DataError: its cohort has changed or cannot be read.
    """
    opened = reopen(
        run,
        measured=measured,
        fold=fold,
        seed=seed,
        data_root=data_root,
        device=choose_device(device),
        allow_import=allow_import,
    )
    network = opened.networks[opened.shown]
    call = _class_layer(opened)
    found = _measure(opened)
    rows = variants(network)
    trained = next(row.name for row in rows if row.trained)
    mine, ids = found[opened.shown], opened.cases[opened.shown]
    chosen = choose_shown(mine.target, mine.tests[trained], cases)
    health = {
        **_facts(opened, call),
        **pooled(found, rows, opened.labels.classes, opened.labels.positive),
        "shown": [ids[place] for place in chosen],
        "wrong_in_fold": int((mine.tests[trained].argmax(1) != mine.target).sum()),
        "decoder": getattr(network, "decoder", None) is not None,
    }
    files.write(Path(run), health, _pictures(opened, health["shown"]))
    return health


def _class_layer(opened: Opened) -> Call:
    """The routing that makes the class capsules: the last one called."""
    network: Any = opened.networks[opened.shown]
    images, _ = opened.images(opened.cases[opened.shown][:2])
    with torch.no_grad(), watched(network) as calls:
        _, scores = network.capsules(images)
    if not calls or calls[-1].activations.shape != scores.shape:
        made = list(calls[-1].activations.shape[1:]) if calls else "none"
        raise ConfigError(
            f"network ({opened.experiment.network.name}): expected a last routing that makes "
            f"{scores.shape[1]} class capsules, got {made}; such a network cannot be inspected"
        )
    return calls[-1]


def _measure(opened: Opened) -> dict[Fit, Measured]:
    done, total = 0, sum(map(len, opened.cases.values()))
    found = {}
    with shown(True, "looking inside") as step:

        def count(cases: int) -> None:
            nonlocal done
            done += cases
            step(done, total)

        for fit in opened.cases:
            found[fit] = measure(opened.networks[fit], opened.batches(fit), count)
    return found


def _facts(opened: Opened, call: Call) -> dict[str, Any]:
    return {
        "network": opened.experiment.network.name,
        "classes": list(opened.labels.classes),
        "positive": opened.labels.positive,
        "layer": call.name,
        "routing": type(call.routing).__name__,
        "reference": call.routing.reference,
        "iterations": call.routing.passes if call.routing.iterative else None,
        "grid": list(call.votes.grid),
        "repeat": opened.shown.repeat,
        "seed": opened.shown.seed,
        "fold": opened.shown.fold,
        "tested": opened.tested,
    }


def _pictures(opened: Opened, ids: list[str]) -> dict[str, dict[str, np.ndarray]]:
    network: Any = opened.networks[opened.shown]
    images, target = opened.images(ids)
    drawn = draw_cases(network, images, target)
    pictures = {"cases": {"case_id": np.array(ids, dtype=str), **drawn}}
    if getattr(network, "decoder", None) is not None:
        few = choose_moved(drawn["target"], drawn["predicted"])
        moved = draw_perturbed(network, images[few], target[few])
        moved["predicted"] = drawn["predicted"][few]
        pictures["perturbed"] = {"case_id": np.array([ids[k] for k in few], dtype=str), **moved}
    return pictures
