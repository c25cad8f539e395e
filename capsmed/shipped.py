"""The configs and pipelines that come with capsmed, in a wheel or in a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Kind = Literal["configs", "pipelines"]
_SUFFIX = {"configs": ".yaml", "pipelines": ".py"}


def folder(kind: Kind) -> Path:
    """The folder of ``kind``: inside the installed package, else beside it in the checkout.

    A wheel carries the folders under ``capsmed/_shipped``; an editable install does not.
    """
    package = Path(__file__).resolve().parent
    installed = package / "_shipped"
    return (installed if installed.is_dir() else package.parent) / kind


def names(kind: Kind) -> list[str]:
    """The shipped names of ``kind``, sorted; names that open with '_' are no entries."""
    found = folder(kind).glob(f"*{_SUFFIX[kind]}")
    return sorted(path.stem for path in found if not path.stem.startswith("_"))


def find(kind: Kind, name: str) -> Path | None:
    """The shipped file ``name`` (with or without its suffix), or None."""
    stem = name.removesuffix(_SUFFIX[kind])
    return folder(kind) / f"{stem}{_SUFFIX[kind]}" if stem in names(kind) else None


def is_shipped(path: Path) -> bool:
    """Whether ``path`` is one of the shipped files, whichever way it is written."""
    resolved = path.resolve()
    return any(resolved.parent == folder(kind) for kind in ("configs", "pipelines"))
