"""What `capsmed inspect` has left in a run folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from capsmed.errors import CheckpointError
from capsmed.report.run import RunFiles, read_arrays, read_json


@dataclass(frozen=True)
class Inside:
    """The files of ``RUN/inspect``: numbers, drawn cases, moved capsules; empty where absent."""

    health: dict[str, Any]
    cases: dict[str, np.ndarray]
    perturbed: dict[str, np.ndarray]

    @property
    def classes(self) -> list[str]:
        """The classes in order."""
        return list(self.health["classes"])

    @property
    def mapped(self) -> bool:
        """Whether the lower capsules have locations, so that couplings can be drawn."""
        return "couplings" in self.cases


def read_inside(run: RunFiles) -> Inside | None:
    """The inspection of ``run``; None where there is none, or this is another cohort's evaluation.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    folder = run.folder / "inspect"
    if run.evaluation or not (folder / "health.json").exists():
        return None
    try:
        health = read_json(folder / "health.json")
        moved = read_arrays(folder / "perturbed.npz") if health.get("decoder") else {}
        return Inside(health, read_arrays(folder / "cases.npz"), moved)
    except CheckpointError as error:
        raise CheckpointError(
            f"{folder}: expected the files of an inspection, got damaged ones; write them again "
            f"with `capsmed inspect {run.folder}`"
        ) from error
