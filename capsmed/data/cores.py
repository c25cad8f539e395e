"""How many threads are worth starting."""

from __future__ import annotations

import os


def cores() -> int:
    """The cores that this process may use, which a container may have fewer of."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
