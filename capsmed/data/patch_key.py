"""The name of a cached patch: a digest of everything that its values depend on."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import capsmed
from capsmed import config
from capsmed.data.dicom import decoders
from capsmed.data.volume import Volume

_CODE = (
    "checks.py",
    "cut.py",
    "dicom/*.py",
    "fitting.py",
    "images.py",
    "masks/*.py",
    "patch_*.py",
    "readers/*.py",
    "reading.py",
    "resample.py",
    "volume.py",
)
_PACKAGES = ("nibabel", "numpy", "pydicom", "pylibjpeg", "scipy", *decoders.PACKAGES)


def folder_identity(folder: Path) -> str:
    """Digest of the files below a folder, '' where they cannot be listed.

    A file that is added, changed or removed changes it. Nothing is opened, so that a series of
    300 slices costs 300 looks into the directory instead of 300 parsed headers.
    """
    try:
        return _digest(os.path.realpath(folder), list(_below(str(folder))))
    except OSError:
        return ""


def file_identity(path: Path) -> str:
    """Digest of one file, or of a folder of files; '' where it cannot be seen."""
    try:
        return folder_identity(path) if path.is_dir() else _digest(_file(str(path)))
    except OSError:
        return ""


def volume_identity(volume: Volume) -> str:
    """Digest of the files of an open volume, '' where its patches are not to be cached.

    Those are pictures and arrays, which are read as fast as they are looked up, and volumes of
    readers outside capsmed, whose version is not known here.
    """
    own = volume.read.__module__.partition(".")[0] == "capsmed"
    if not (own and volume.has_mm and volume.files):
        return ""
    try:
        return _digest([_file(str(path)) for path in volume.files])
    except OSError:
        return ""


def patch_key(
    source: str,
    series: str,
    point: Sequence[float],
    patch: config.Patch,
    margin: tuple[int, ...],
    checks: config.Checks,
) -> str:
    """Name of one patch, 64 hexadecimal digits.

    Args:
        source: identity of the files.
        series: SeriesInstanceUID that the table names, or ''.
        point: RAS+ mm; empty for the image's centre.
        patch: what is cut.
        margin: voxels more on each side.
        checks: their policies decide what is made of an odd image.
    """
    where = [float(mm).hex() for mm in point]
    return _digest(
        code_version(), source, series, where, patch.model_dump(), margin, checks.model_dump()
    )


@functools.cache
def code_version() -> str:
    """Digest of the code that reads and cuts, capsmed's own and that of its decoders.

    A number to be raised by hand would be forgotten once; this cannot be.
    """
    own = Path(__file__).parent
    files = sorted(path for pattern in _CODE for path in own.glob(pattern))
    sources = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    return _digest(capsmed.__version__, sources, [_installed(name) for name in _PACKAGES])


def _installed(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _digest(*content: Any) -> str:
    return hashlib.sha256(repr(content).encode("utf-8", "surrogateescape")).hexdigest()


def _file(path: str) -> tuple[str, int, int, int]:
    """What tells a file from another and from its own later state.

    The time of its last change of any sort is in it because a program may set the time of
    modification back.
    """
    found = os.stat(path)
    return os.path.realpath(path), found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _below(folder: str, seen: set[tuple[int, int]] | None = None) -> Iterator[Any]:
    """Identity of each file in a folder and the folders in it; each folder counts once.

    Folders may be linked to one another.
    """
    here = os.stat(folder)
    seen = set() if seen is None else seen
    if (here.st_dev, here.st_ino) in seen:
        return
    seen.add((here.st_dev, here.st_ino))
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _below(entry.path, seen)
        elif entry.is_symlink():
            yield entry.path, _file(entry.path)
        else:
            found = entry.stat()
            yield entry.path, found.st_size, found.st_mtime_ns, found.st_ctime_ns
