"""The layout 'one folder a class': which classes there are, and the files below each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from capsmed.errors import DataError

PARTS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
LINK = "link to a folder or to nothing"
OUTSIDE = "file outside the class folders"
_NO_CLASSES = (
    "image",
    "images",
    "mask",
    "masks",
    "label",
    "labels",
    "annotations",
    "segmentations",
)
_OF_THE_SYSTEM = ("thumbs.db", "desktop.ini", "__macosx")


@dataclass(frozen=True)
class ClassFolder:
    """One class, and the part of the set that its folder belongs to ('' without parts)."""

    path: Path
    label: str
    part: str = ""


def class_folders(source: Path, left_out: Counter[str]) -> list[ClassFolder]:
    """The class folders; a first level of nothing but train, val and test is taken as parts.

    Files beside the class folders are counted in ``left_out``; hidden ones are passed over.

    Raises:
        DataError: ``source`` is no folder, has fewer than two classes, or folders such as
            'images' and 'masks', which are none.
    """
    if not source.is_dir():
        raise DataError(f"{source}: expected a folder with one folder a class, got a file")
    inner = _folders(source, left_out)
    if len(inner) > 1 and all(path.name.lower() in PARTS for path in inner):
        classes = [
            ClassFolder(path, path.name, PARTS[part.name.lower()])
            for part in inner
            for path in _folders(part, left_out)
        ]
    else:
        classes = [ClassFolder(path, path.name) for path in inner]
    labels = sorted({folder.label for folder in classes})
    if len(labels) < 2:
        got = ", ".join(labels) or "none"
        raise DataError(f"{source}: expected two or more folders, one a class, got {got}")
    foreign = [label for label in labels if label.lower() in _NO_CLASSES]
    if foreign:
        raise DataError(
            f"{source}: expected one folder a class, got {', '.join(foreign)}, where "
            "every class may be; write a table with their labels instead"
        )
    return classes


def files(folder: Path, left_out: Counter[str]) -> Iterator[Path]:
    """All files below ``folder`` but hidden ones, in the order of their names.

    Links to files are files; links to folders are not followed, since they may lead into another
    class, and are counted.
    """
    for path in shown(folder):
        if path.is_file():
            yield path
        elif path.is_symlink() or not path.is_dir():
            left_out[LINK] += 1
        else:
            yield from files(path, left_out)


def shown(folder: Path) -> list[Path]:
    """What lies in ``folder``, by name, without what is hidden or the operating system's own."""
    return [
        path
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".") and path.name.lower() not in _OF_THE_SYSTEM
    ]


def _folders(folder: Path, left_out: Counter[str]) -> list[Path]:
    found = shown(folder)
    left_out[OUTSIDE] += sum(not path.is_dir() for path in found)
    return [path for path in found if path.is_dir()]
