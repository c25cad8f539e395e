"""A file in the MedMNIST layout, named by its path or by the set's name."""

from __future__ import annotations

import os
from pathlib import Path

from capsmed.data.fetch import SOURCES
from capsmed.data.importers import stack
from capsmed.data.importers.contract import Imported, Options, Progress
from capsmed.data.whole_sets import medmnist
from capsmed.data.whole_sets.whole_set import WholeSet
from capsmed.errors import DataError

_MEANINGS = {"nodulemnist3d": "label 0 is benign, 1 malignant: radiologists' median rating"}


def read(source: Path, out: Path, options: Options, progress: Progress | None) -> Imported:
    """Import the .npz ``source``, or the set of that name below CAPSMED_DATA or ``data``.

    Raises:
        DataError: no such file or set, not the layout, or ``out`` is in use.
    """
    path = source if source.is_file() else _find(source)
    found = medmnist.read(path)
    config, settings = _beginning(found)
    meaning = [text for name, text in _MEANINGS.items() if path.stem.startswith(name)]
    return Imported(
        table=stack.write(found, out),
        rows=len(found.labels),
        notes=(stack.UNKNOWN_PATIENTS, *meaning),
        settings=settings,
        config=config,
    )


def _find(source: Path) -> Path:
    name = source.name.lower().removesuffix(".npz")
    homes = [Path(os.environ.get("CAPSMED_DATA") or "data"), Path("data")]
    places = [home / inner / f"{name}.npz" for home in homes for inner in (name, "")]
    if len(source.parts) == 1 and source.name:
        for place in places:
            if place.is_file():
                return place
    how = (
        f"fetch it with: capsmed data get {name}"
        if name in SOURCES
        else "the sets are at https://medmnist.com"
    )
    raise DataError(f"{source}: expected a .npz file or the name of a set that is here; {how}")


def _beginning(found: WholeSet) -> tuple[str, dict[str, str]]:
    """A shipped configuration that suits, and what is to be changed in it."""
    shape = found.images.shape[1:]
    if len(shape) == 3 and shape[-1] != 3:
        size, config = list(shape), "nodulemnist3d"
    else:
        size, config = [shape[1], shape[0]], "luna16"
    binary = set(found.labels) == {"0", "1"}
    return config, {"patch.size": str(size)} | ({} if binary else {"data.positive": "null"})
