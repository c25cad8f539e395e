"""Folders written whole or not at all, and the cache on the user's machine."""

from __future__ import annotations

import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from capsmed.errors import DataError

STALE_SECONDS = 6 * 3600


def cache_folder() -> Path:
    """Return CAPSMED_CACHE if set, else ``capsmed`` in the platform's folder for caches."""
    if os.environ.get("CAPSMED_CACHE"):
        return Path(os.environ["CAPSMED_CACHE"]).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "capsmed"


def vacant(folder: Path) -> Path:
    """Return ``folder`` when nothing is there; an empty folder is taken away to make room.

    Raises:
        DataError: something is there, or the empty folder cannot be removed.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise DataError(f"{folder}: expected a new or empty folder, got one in use; name another")
    try:
        if folder.is_dir():
            folder.rmdir()
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder


def whole(folder: Path, fill: Callable[[Path], object], shared: bool = True) -> Path:
    """Let ``fill`` make ``folder`` in one step: it is there with everything in it, or not at all.

    A folder that exists is taken as it is. The work is done in a temporary folder beside it,
    then renamed.

    Args:
        folder: to be made.
        fill: called with the temporary folder.
        shared: whether a folder that another process has made meanwhile serves as well.

    Raises:
        DataError: the disk is full, the parent folder cannot be written, or another process was
            faster and ``shared`` is false.
    """
    if shared and folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder.parent, f".{folder.name}.")
        temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
        temporary.mkdir()
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        fill(temporary)
        os.replace(temporary, folder)
    except OSError as error:
        if not folder.is_dir():
            raise _unwritable(folder, error) from error
        if not shared:
            raise DataError(
                f"{folder}: expected a new folder, got one that another process has made "
                "meanwhile; name another"
            ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _sweep(parent: Path, prefix: str) -> None:
    """Remove what a killed process left behind, unless it may still be at work."""
    for left in parent.glob(f"{prefix}*"):
        if time.time() - left.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)


def _unwritable(folder: Path, error: OSError) -> DataError:
    reason = error.strerror or str(error)
    return DataError(
        f"{folder}: cannot be written ({reason}); free some space or name another folder"
    )
