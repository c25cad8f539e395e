"""Peak memory of a step by the system, in a new process.

    python -m tests.benchmarks.peaks tests.benchmarks.capsule_layer:contestants NAME

The system sees all, rounded to pages; torch's profiler (`capsmed.engines.memory`) sees every tensor
of one thread and nothing that a library takes for itself.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from tests.benchmarks.contest import Contestant, listener

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
ROOT = Path(__file__).resolve().parents[2]
# Freed memory goes back to the system at once, so that what lives can be read from outside.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}


def fresh_peak(where: str, name: str) -> int | None:
    """Growth of a new process's peak resident memory, from all built to after one step.

    Where the system lets a process reset its peak (Linux), another copy has made a step before,
    so that the libraries' own start does not count; otherwise it does.

    Args:
        where: module and function that lists the contestants, as ``"package.module:function"``.
        name: which of them.

    Returns:
        Bytes; None where the system does not tell.
    """
    if not STATUS.exists():
        return None
    listener.get()(f"memory of {name} in a new process")
    command = [sys.executable, "-m", "tests.benchmarks.peaks", where, name]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **ALLOCATOR},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{where} {name}: {done.stderr.strip()[-2000:]}")
    return int(json.loads(done.stdout.splitlines()[-1]))


def resettable() -> bool:
    """Whether this process may reset its own peak."""
    try:
        CLEAR.write_text("5")
    except OSError:
        return False
    return True


def listed(where: str, fast: bool = False) -> list[Contestant]:
    """The contestants that a function gives; fast: of tiny sizes."""
    module, _, function = where.partition(":")
    listing = getattr(importlib.import_module(module), function)
    return list(listing(fast=True) if fast else listing())


def find(where: str, name: str) -> Contestant:
    """The contestant ``name`` of those that ``where`` lists."""
    return next(contestant for contestant in listed(where) if contestant.name == name)


def growth(contestant: Contestant) -> int:
    """Bytes by which this process's peak grows in one step."""
    if resettable():
        contestant.build()()
        _let_go()
    step = contestant.build()
    _let_go()
    CLEAR.write_text("5") if resettable() else None
    before = _read("VmRSS")
    step()
    return _read("VmHWM") - before


def _let_go() -> None:
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _read(key: str) -> int:
    """A line of the process's status, which is in kB, as bytes."""
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{key}:"):
            return 1024 * int(line.split()[1])
    raise KeyError(key)


def main() -> None:
    """Print the bytes of one contestant."""
    parser = argparse.ArgumentParser()
    parser.add_argument("where")
    parser.add_argument("name")
    given = parser.parse_args()
    torch.manual_seed(0)
    print(growth(find(given.where, given.name)))


if __name__ == "__main__":
    main()
