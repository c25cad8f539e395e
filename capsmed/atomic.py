"""Files that are either whole or not there: write beside, then rename."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from capsmed.errors import CapsmedError


def write(path: Path, writer: Callable[[Path], None]) -> None:
    """Let ``writer`` fill a temporary file in the folder of ``path``, then rename it to ``path``.

    ``os.replace`` is used, so this holds on Windows too. An interrupted write leaves ``path`` as
    it was.

    Raises:
        CapsmedError: the disk is full or the folder cannot be written; ``path`` is untouched.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer(temporary)
        _replace(temporary, path)
    except OSError as error:
        raise CapsmedError(_cannot_write(path, error)) from error
    finally:
        with contextlib.suppress(NotADirectoryError):  # its folder is a file
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 ``text`` with Unix line ends to ``path`` in one step."""
    write(path, lambda temporary: _dump(temporary, text))


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as indented JSON to ``path`` in one step; NaN is refused."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _dump(path: Path, text: str) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)


def _replace(temporary: Path, path: Path) -> None:
    """Rename; on Windows another program may hold ``path`` open for a moment."""
    for wait in (0.1, 0.4, 1.5):
        try:
            os.replace(temporary, path)
            return
        except PermissionError:
            time.sleep(wait)
    os.replace(temporary, path)


def _cannot_write(path: Path, error: OSError) -> str:
    reason = error.strerror or str(error)
    if isinstance(error, FileExistsError | NotADirectoryError | IsADirectoryError):
        advice = "choose another place"
    elif isinstance(error, PermissionError):
        advice = "close it in other programs, or choose a folder that you may write to"
    else:
        advice = "free some space or choose another folder"
    return f"{path}: cannot be written ({reason}); {advice}"
