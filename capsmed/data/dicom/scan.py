"""Walking a tree of folders for DICOM headers; a folder that has not changed is not read again."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from capsmed.data.dicom.header import Header
from capsmed.data.dicom.parsing import parse_header
from capsmed.data.dicom.reading import File, opened

Progress = Callable[[int, int], None]

_THREADS = 8  # they hide a network's delay
_PIECE = 8  # files a task; as many pieces as threads are open at once
_SETTLED = 2_000_000_000  # ns after which a change must have moved the folder's time


@dataclass(frozen=True, eq=False)
class Folder:
    """One folder as it was when it was scanned."""

    modified: int
    scanned: int
    folders: tuple[str, ...]
    linked_folders: tuple[str, ...]
    headers: tuple[Header, ...]
    damaged: tuple[tuple[str, str], ...]

    def still(self, modified: int) -> bool:
        """Whether its list of files is surely the same."""
        return self.modified == modified and self.modified + _SETTLED < self.scanned


_FOLDERS: dict[str, Folder] = {}


def scan(top: str, progress: Progress | None) -> list[Folder]:
    """Every folder from ``top`` (an absolute path) down, those already known from memory.

    Callers hold a lock: one scan at a time.
    """
    found: list[Folder | _Unread] = []
    visited: set[str] = set()
    waiting: list[str] = [top]
    links: list[str] = []
    while waiting or links:
        path, linked = (waiting.pop(), False) if waiting else (links.pop(), True)
        real = os.path.realpath(path)
        if real in visited or (linked and f"{top}{os.sep}".startswith(f"{real.rstrip('/')}/")):
            continue
        visited.add(real)
        folder = _known(path) or _unread(path)
        found.append(folder)
        waiting += reversed(folder.folders)
        links += folder.linked_folders
    return _read([one for one in found if isinstance(one, _Unread)], found, progress)


@dataclass(eq=False)
class _Unread:
    """A folder whose files are yet to be read."""

    path: str
    modified: int
    scanned: int
    folders: list[str]
    linked_folders: list[str]
    files: list[str]
    damaged: list[tuple[str, str]]


def _known(path: str) -> Folder | None:
    known = _FOLDERS.get(path)
    try:
        return known if known and known.still(os.stat(path).st_mtime_ns) else None
    except OSError:
        return None


def _unread(path: str) -> _Unread:
    folder = _Unread(path, 0, time.time_ns(), [], [], [], [])
    try:
        folder.modified = os.stat(path).st_mtime_ns
        with os.scandir(path) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_dir():
                    (folder.linked_folders if entry.is_symlink() else folder.folders).append(
                        entry.path
                    )
                elif entry.is_file():
                    folder.files.append(entry.path)
                elif entry.is_symlink() and not os.path.exists(entry.path):
                    folder.damaged.append((entry.path, "it is a link to a file that is not there"))
    except OSError as error:
        folder.damaged.append((path, f"cannot be read ({error.strerror})"))
    return folder


def _read(
    unread: list[_Unread], found: list[Folder | _Unread], progress: Progress | None
) -> list[Folder]:
    known = {header.path: header for one in unread for header in _headers_before(one.path)}
    paths = [path for one in unread for path in one.files]
    answers = dict(zip(paths, _answers(paths, known, progress), strict=True))
    for one in unread:
        headers = [h for path in one.files if isinstance(h := answers[path], Header)]
        bad = [(path, why) for path in one.files if isinstance(why := answers[path], str)]
        _FOLDERS[one.path] = Folder(
            one.modified,
            one.scanned,
            tuple(one.folders),
            tuple(one.linked_folders),
            tuple(headers),
            tuple(one.damaged + bad),
        )
    return [_FOLDERS[one.path] if isinstance(one, _Unread) else one for one in found]


def _headers_before(path: str) -> tuple[Header, ...]:
    folder = _FOLDERS.get(path)
    return folder.headers if folder else ()


def _answers(
    paths: list[str], known: dict[str, Header], progress: Progress | None
) -> list[Header | str | None]:
    """What each file is: threads wait for the disk, while this one parses what has come."""
    pieces = [paths[start : start + _PIECE] for start in range(0, len(paths), _PIECE)]
    answers: list[Header | str | None] = []
    with ThreadPoolExecutor(_THREADS) as threads:
        begun: deque[Future[list[Header | str | File]]] = deque()
        for piece in pieces:
            begun.append(threads.submit(_opened, piece, known))
            if len(begun) == _THREADS:
                _parse(begun.popleft().result(), answers, progress, len(paths))
        for future in begun:
            _parse(future.result(), answers, progress, len(paths))
    return answers


def _opened(paths: list[str], known: dict[str, Header]) -> list[Header | str | File]:
    """Files with their first bytes read; headers that are known already; what went wrong."""
    found: list[Header | str | File] = []
    for path in paths:
        try:
            old, status = known.get(path), os.stat(path)
            if old and (old.size, old.modified) == (status.st_size, status.st_mtime_ns):
                if old.modified + _SETTLED < time.time_ns():
                    found.append(old)
                    continue
            file = opened(path)
            file.peek()
            found.append(file)
        except OSError as error:
            found.append(_unreadable(error))
    return found


def _parse(
    found: list[Header | str | File],
    answers: list[Header | str | None],
    progress: Progress | None,
    total: int,
) -> None:
    for one in found:
        if isinstance(one, File):
            try:
                answers.append(parse_header(one))
            except OSError as error:
                answers.append(_unreadable(error))
        else:
            answers.append(one)
    if progress is not None:
        progress(len(answers), total)


def _unreadable(error: OSError) -> str:
    return f"cannot be read ({error.strerror})"


def forget(folder: str) -> None:
    """Read the folder again next time, every file of it."""
    _FOLDERS.pop(folder, None)
