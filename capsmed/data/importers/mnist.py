"""MNIST: its four IDX files as one array and a table."""

from __future__ import annotations

from pathlib import Path

from capsmed.data.importers import stack
from capsmed.data.importers.contract import Imported, Options, Progress
from capsmed.data.whole_sets import idx


def read(source: Path, out: Path, options: Options, progress: Progress | None) -> Imported:
    """Import the folder of IDX files ``source``; see `capsmed.data.whole_sets.idx`.

    Raises:
        DataError: a file is missing, truncated or not IDX, or ``out`` is in use.
    """
    found = idx.read(source)
    rows, columns = found.images.shape[1:]
    return Imported(
        table=stack.write(found, out),
        rows=len(found.labels),
        notes=(stack.UNKNOWN_PATIENTS,),
        settings={"patch.size": f"[{columns}, {rows}]"} if (rows, columns) != (28, 28) else {},
        config="mnist_fast",
    )
