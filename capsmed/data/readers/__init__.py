"""File formats: each module opens one kind of file as a lazy Volume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from capsmed import config
from capsmed.data.checks import judge
from capsmed.data.readers import array, dicom, nifti, picture
from capsmed.data.volume import Volume
from capsmed.errors import DataError

FOLDER = "folder"

READERS: dict[str, Callable[[Path], Volume]] = {
    ".nii": nifti.open_volume,
    ".nii.gz": nifti.open_volume,
    ".png": picture.open_volume,
    ".jpg": picture.open_volume,
    ".jpeg": picture.open_volume,
    ".npy": array.open_volume,
    FOLDER: dicom.open_volume,
}


def register(suffix: str, reader: Callable[[Path], Volume]) -> None:
    """Add a reader for files ending in ``suffix`` (with its dot, lower case).

    Raises:
        ValueError: the suffix already belongs to another reader.
    """
    if READERS.setdefault(suffix, reader) is not reader:
        raise ValueError(f"readers: the suffix {suffix!r} is already taken")


def open_volume(path: Path, checks: config.Checks | None = None) -> Volume:
    """Open an image file, or a folder holding one DICOM series.

    Args:
        path: file or folder.
        checks: what happens when the image is odd; default: the policies of the schema.

    Raises:
        CheckFailed: a check fails whose policy is not 'warn'.
        DataError: the file is missing, of no known format, or not what its name says.
    """
    path = Path(path)
    return judge(_reader(path)(path), checks or config.Checks(), path)


def _reader(path: Path) -> Callable[[Path], Volume]:
    if not path.exists():
        raise DataError(f"{path}: not found")
    if path.is_dir():
        return READERS[FOLDER]
    name = path.name.lower()
    for suffix in sorted(READERS, key=len, reverse=True):
        if suffix != FOLDER and name.endswith(suffix):
            return READERS[suffix]
    if name.endswith(".dcm"):
        raise DataError(f"{path}: expected a DICOM series, got one slice; name its folder")
    known = ", ".join(suffix for suffix in READERS if suffix != FOLDER)
    raise DataError(f"{path}: expected {known} or a DICOM folder, got '{path.suffix}'")
