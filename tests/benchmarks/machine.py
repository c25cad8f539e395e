"""The machine and the code that a figure belongs to."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from capsmed.data.cores import cores
from tests.benchmarks.peaks import resettable

ROOT = Path(__file__).resolve().parents[2]
_SHOWN = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8", "asimd", "sve")


def facts() -> dict[str, Any]:
    """What to know before comparing two machines' figures."""
    cpu, flags = _cpu()
    return {
        "cpu": cpu,
        "flags": [flag for flag in _SHOWN if flag in flags],
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "torch_cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "peak_reset": resettable(),
        "commit": _commit(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _cpu() -> tuple[str, set[str]]:
    """Model name and instruction sets; what the platform says where there is no /proc."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine(), set()
    pairs = [line.partition(":")[::2] for line in lines if ":" in line]
    known = {key.strip(): value.strip() for key, value in reversed(pairs)}
    flags = known.get("flags", known.get("Features", ""))
    return _family(known), set(flags.split())


def _family(known: dict[str, str]) -> str:
    """The model name, with the family's number where a virtual machine hides the rest."""
    name = known.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in known:
        name += f" (family {known['cpu family']}, model {known.get('model', '?')})"
    return name


def _commit() -> str | None:
    call = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(call, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
