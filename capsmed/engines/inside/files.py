"""The files of ``RUN/inspect``: ``health.json`` is written last and says that all are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from capsmed import atomic

FOLDER = "inspect"
PICTURES = ("cases", "perturbed")


def write(run: Path, health: dict[str, Any], pictures: dict[str, dict[str, np.ndarray]]) -> None:
    """Replace what an earlier inspection has left.

    Args:
        run: the run folder.
        health: content of ``health.json``.
        pictures: arrays by file stem, of `PICTURES`; one that is absent leaves no file.
    """
    folder = run / FOLDER
    (folder / "health.json").unlink(missing_ok=True)
    for name in PICTURES:
        if name in pictures:
            _write_arrays(folder / f"{name}.npz", pictures[name])
        else:
            (folder / f"{name}.npz").unlink(missing_ok=True)
    atomic.write_json(folder / "health.json", {"schema_version": 1, **health})


def _write_arrays(path: Path, arrays: dict[str, Any]) -> None:
    def save(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            np.savez_compressed(file, schema_version=np.array(1), **arrays)

    atomic.write(path, save)
