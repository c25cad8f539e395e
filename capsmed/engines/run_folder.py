"""The run folder: the only interface between capsmed's verbs."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from capsmed import atomic
from capsmed.errors import CheckpointError
from capsmed.metrics import tables


@dataclass(frozen=True)
class RunFolder:
    """Paths and whole-file writes of one run."""

    path: Path

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Write a CSV with the column ``schema_version`` last."""
        write_table(self.path / name, table)

    def read_table(self, name: str) -> pd.DataFrame:
        """Read a CSV of the run; ids and labels stay text.

        Raises:
            CheckpointError: the file is missing.
        """
        return read_table(self.path / name)

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write ``content`` with its schema version."""
        atomic.write_json(self.path / name, {"schema_version": 1, **content})

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file of the run.

        Raises:
            CheckpointError: the file is missing or damaged.
        """
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(_missing(self.path / name)) from error

    def write_private(self, name: str, table: pd.DataFrame) -> None:
        """Write a table where nothing that is shared looks (mode 600 in a folder of mode 700)."""
        private = self.path / "private"
        private.mkdir(parents=True, exist_ok=True)
        os.chmod(private, 0o700)
        write_table(private / name, table)
        os.chmod(private / name, 0o600)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a CSV in one step, with the column ``schema_version`` last."""
    text = table.assign(schema_version=1).to_csv(index=False, lineterminator="\n")
    atomic.write_text(path, text)


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV of a run; ids, labels and reasons stay text.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    try:
        return tables.read_table(path).drop(columns="schema_version", errors="ignore")
    except (OSError, ValueError) as error:
        raise CheckpointError(_missing(path)) from error


def _missing(path: Path) -> str:
    return (
        f"{path}: expected this file of a finished run, got none that can be read; "
        "finish the run with `capsmed train --resume RUN`"
    )
