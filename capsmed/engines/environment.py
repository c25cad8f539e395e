"""What a run was made with: versions, commit, command, device, seeds, data digest."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from capsmed import __version__

PACKAGES = (
    "torch", "monai", "pytorch-ignite", "numpy", "scipy", "pandas", "scikit-learn", "nibabel",
    "pydicom", "matplotlib", "pydantic",
)  # fmt: skip


def describe(command: str, device: torch.device, world_size: int, **facts: Any) -> dict[str, Any]:
    """Return a JSON-ready description of this process's environment and ``facts``."""
    return {
        "capsmed": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
        "command": command,
        "device": str(device),
        "processes": world_size,
        "threads": torch.get_num_threads(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        **facts,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of the checkout that this module belongs to; None in an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    call = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(call, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
