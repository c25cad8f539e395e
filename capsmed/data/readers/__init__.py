"""File formats: each module opens one kind of file as a lazy Volume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from capsmed import config
from capsmed.data.checks import judge, with_policy
from capsmed.data.readers import array, dicom, metaimage, nifti, nrrd, picture
from capsmed.data.volume import Volume
from capsmed.errors import CheckFailed, DataError

FOLDER = "folder"
_ARCHIVES = (".zip", ".tar", ".tgz", ".7z", ".rar", ".gz", ".bz2", ".xz")

READERS: dict[str, Callable[[Path], Volume]] = {
    ".nii": nifti.open_volume,
    ".nii.gz": nifti.open_volume,
    ".nrrd": nrrd.open_volume,
    ".nhdr": nrrd.open_volume,
    ".mhd": metaimage.open_volume,
    ".mha": metaimage.open_volume,
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


def open_volume(path: Path, checks: config.Checks | None = None, series: str = "") -> Volume:
    """Open an image file, or a folder holding one DICOM series.

    Args:
        path: file or folder; files without a known suffix are opened if they are DICOM.
        checks: what happens when the image is odd; default: the policies of the schema.
        series: the SeriesInstanceUID to take, of a folder that holds several.

    Raises:
        CheckFailed: a check fails whose policy is not 'warn'.
        DataError: the file is missing, of no known format, or not what its name says.
    """
    path, checks = Path(path), checks or config.Checks()
    reader = _reader(path)
    if series and reader is not dicom.open_volume:
        raise DataError(f"{path}: expected DICOM, of which a series_uid can be named; clear it")
    try:
        volume = dicom.open_volume(path, series) if series else reader(path)
    except CheckFailed as error:
        raise with_policy(error, checks) from error
    return judge(volume, checks, path)


def is_known(path: Path) -> bool:
    """Whether ``open_volume`` would try to open it."""
    try:
        return bool(_reader(Path(path)))
    except DataError:
        return False


def _reader(path: Path) -> Callable[[Path], Volume]:
    if not path.exists():
        raise DataError(f"{path}: not found")
    if path.is_dir():
        return READERS[FOLDER]
    if not path.is_file():
        raise DataError(f"{path}: expected a file, got a device or pipe")
    name = path.name.lower()
    for suffix in sorted(READERS, key=len, reverse=True):
        if suffix != FOLDER and name.endswith(suffix):
            return READERS[suffix]
    if name.endswith(_ARCHIVES):
        raise DataError(f"{path}: expected an image, got an archive; unpack it and name the scan")
    if name.endswith(dicom.SUFFIXES) or dicom.is_dicom(path):
        return dicom.open_volume
    known = ", ".join(suffix for suffix in READERS if suffix != FOLDER)
    raise DataError(f"{path}: expected {known}, DICOM or a folder of it, got '{path.suffix}'")
