"""Downloading a public set: its size, licence and checksum are shown, and a break is resumed."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capsmed.errors import DataError

_BLOCK = 1 << 18
_TIMEOUT_S = 30


@dataclass(frozen=True)
class File:
    """One file of a public set.

    Attributes:
        name: its name, below the source's address.
        md5: checksum of the content, unpacked where the name ends in .gz.
        size: bytes of the official download; None where only the server knows.
    """

    name: str
    md5: str
    size: int | None = None


@dataclass(frozen=True)
class Source:
    """A public set.

    Attributes:
        title: what it is.
        licence: under what it may be used.
        homepage: where it is officially had.
        url: folder that the files are fetched from.
        files: what belongs to it.
    """

    title: str
    licence: str
    homepage: str
    url: str
    files: tuple[File, ...]


SOURCES: dict[str, Source] = {
    "mnist": Source(
        title="MNIST, 60,000 + 10,000 handwritten digits (LeCun, Cortes, Burges)",
        licence="CC BY-SA 3.0, as commonly stated",
        homepage="http://yann.lecun.com/exdb/mnist",
        url="https://ossci-datasets.s3.amazonaws.com/mnist",
        files=(
            File("train-images-idx3-ubyte.gz", "6bbc9ace898e44ae57da46a324031adb", 9912422),
            File("train-labels-idx1-ubyte.gz", "a25bea736e30d166cdddb491f175f624", 28881),
            File("t10k-images-idx3-ubyte.gz", "2646ac647ad5339dbf082846283269ea", 1648877),
            File("t10k-labels-idx1-ubyte.gz", "27ae3e4e09519cfbb04c329615203637", 4542),
        ),
    ),
    "nodulemnist3d": Source(
        title="NoduleMNIST3D, 1,633 lung nodules of LIDC-IDRI at 28x28x28 (MedMNIST v2)",
        licence="CC BY 4.0",
        homepage="https://medmnist.com",
        url="https://zenodo.org/records/10519652/files",
        files=(File("nodulemnist3d.npz", "8755a7e9e05a4d9ce80a24c3e7a256f3"),),
    ),
}


def get(
    name: str,
    out: Path | None = None,
    source_url: str | None = None,
    *,
    by_hand: Path | None = None,
    say: Callable[[str], None] = print,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Fetch a set into ``out``; files already there with the right content are kept.

    An interrupted download goes on where it broke off. A file fetched by hand is used when it
    lies in ``out``, or is named (it, or its folder) by ``by_hand``; .gz files may be unpacked.

    Args:
        name: one of SOURCES.
        out: the folder to fill; made when missing; default ``data/NAME``.
        source_url: folder of a mirror; default: the set's own.
        by_hand: a file, or a folder of files, fetched in another way.
        say: takes each line for the user.
        progress: called with (bytes done, bytes in all or 0) while downloading.

    Returns:
        What ``data.cohort`` is to name: the one file, or the folder of several.

    Raises:
        DataError: unknown set, no connection, or content that does not match its checksum.
    """
    if name not in SOURCES:
        raise DataError(f"data get: expected one of {', '.join(SOURCES)}, got {name!r}")
    source, out = SOURCES[name], Path(out or Path("data") / name)
    url = (source_url or source.url).rstrip("/")
    out.mkdir(parents=True, exist_ok=True)
    say(f"{source.title}\nlicence: {source.licence}\nofficial source: {source.homepage}")
    _check_name(source, by_hand)
    for file in source.files:
        given = _given(file, out, by_hand)
        target = given or out / file.name
        if given is None:
            say(f"{file.name}: {_size(file)} from {url}, md5 of the content {file.md5}")
            _download(f"{url}/{file.name}", target, source, progress)
            _verify(file, target, source)
        say(f"{target}: content matches its checksum" + (", kept" if given else ""))
    return target if len(source.files) == 1 else out


def digest(path: Path) -> str:
    """md5 of a file's content, unpacked where it is gzipped.

    Raises:
        DataError: the file is a truncated or damaged gzip file.
    """
    total = hashlib.md5(usedforsecurity=False)
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            while block := file.read(_BLOCK):
                total.update(block)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: cannot be unpacked (truncated?)") from error
    return total.hexdigest()


def _given(file: File, out: Path, by_hand: Path | None) -> Path | None:
    """The file, if it is already in ``out`` or was fetched by hand, and its content is right."""
    names = [file.name, file.name.removesuffix(".gz")]
    places = [out / name for name in names]
    if by_hand is not None:
        places = [by_hand / name for name in names] if by_hand.is_dir() else [by_hand]
        places = [place for place in places if place.name in names]
    for place in places:
        if place.is_file():
            if digest(place) == file.md5:
                return _kept(place, out / place.name)
            raise DataError(
                f"{place}: expected content with md5 {file.md5}, got {digest(place)}; "
                "remove it and fetch it again"
            )
    return None


def _check_name(source: Source, by_hand: Path | None) -> None:
    """Refuse a file fetched by hand of which it cannot be told which of the set's it is."""
    if by_hand is None or by_hand.is_dir():
        return
    names = [file.name for file in source.files]
    if by_hand.is_file() and by_hand.name in {*names, *(n.removesuffix(".gz") for n in names)}:
        return
    got = "a file of another name" if by_hand.is_file() else "no such file"
    raise DataError(f"{by_hand}: expected {' or '.join(names)}, or their folder, got {got}")


def _kept(place: Path, target: Path) -> Path:
    if place.resolve() != target.resolve():
        shutil.copyfile(place, target)
    return target


def _verify(file: File, path: Path, source: Source) -> None:
    found = digest(path)
    if found != file.md5:
        path.unlink()
        raise DataError(
            f"{file.name}: expected content with md5 {file.md5}, got {found}; it was removed. "
            f"Try again, or fetch it by hand from {source.homepage}"
        )


def _download(
    url: str, target: Path, source: Source, progress: Callable[[int, int], None] | None
) -> None:
    part = target.with_name(target.name + ".part")
    try:
        _resume(url, part, progress)
    except urllib.error.HTTPError as error:
        if error.code == 416 and part.exists():  # nothing is left to send: checked by its content
            part.replace(target)
            return
        raise DataError(
            _unreachable(url, f"{error.code} {error.reason}", source, target)
        ) from error
    except (OSError, urllib.error.URLError) as error:
        raise DataError(_unreachable(url, str(error), source, target)) from error
    part.replace(target)


def _resume(url: str, part: Path, progress: Callable[[int, int], None] | None) -> None:
    done = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "capsmed", "Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
        done = done if answer.status == 206 else 0
        total = done + int(answer.headers.get("Content-Length") or 0)
        with open(part, "ab" if done else "wb") as file:
            done = _copy(answer, file, done, total, progress)
    if total and done < total:
        raise OSError(f"the connection broke off after {done} of {total} bytes")


def _copy(
    answer: Any, file: Any, done: int, total: int, progress: Callable[[int, int], None] | None
) -> int:
    while block := answer.read(_BLOCK):
        file.write(block)
        done += len(block)
        if progress is not None:
            progress(done, total)
    return done


def _size(file: File) -> str:
    return f"{file.size / 1e6:.1f} MB" if file.size else "size as the server says"


def _unreachable(url: str, reason: str, source: Source, target: Path) -> str:
    return (
        f"{url}: cannot be fetched ({reason}); run the command again to go on where it broke off, "
        f"or fetch it by hand from {source.homepage}, put it at {target}, and run it again"
    )
