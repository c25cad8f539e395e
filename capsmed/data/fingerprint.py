"""A cohort's digest: it changes with every row and with the size of every image."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

import pandas as pd

from capsmed.data.images import located


def digest(rows: pd.DataFrame, root: Path) -> str:
    """sha256 over the rows and the sizes of the files that they name."""
    sizes = lru_cache(maxsize=None)(_sizes)
    total = hashlib.sha256()
    for row in rows.to_dict("records"):
        total.update(repr(sorted((k, str(v)) for k, v in row.items())).encode())
        total.update(repr(sizes(located(row["image"], root))).encode())
    return total.hexdigest()


def _sizes(path: Path) -> list[int]:
    """Bytes of a file, or of all files below a folder."""
    if not path.is_dir():
        return [path.stat().st_size] if path.exists() else []
    found = []
    seen = set()
    for folder, folders, files in os.walk(path, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # folders linked to one another
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        paths = (os.path.join(folder, name) for name in sorted(files))
        found += [os.stat(name).st_size for name in paths if os.path.exists(name)]
    return found
