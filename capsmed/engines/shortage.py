"""What torch and NumPy say when something does not fit into memory, in one plain line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from capsmed.config import Experiment
from capsmed.errors import ConfigError

_SIGNS = re.compile(
    r"can't allocate memory|out of memory|not enough memory|unable to allocate|"
    r"overflow when unpacking|overflowed",
    re.I,
)
_WANTED = (
    (re.compile(r"tried to allocate (\d+) bytes", re.I), 1),
    (re.compile(r"(?:tried|unable) to allocate ([\d.]+) GiB", re.I), 2**30),
)
ADVICE = "make patch.size, training.batch_size or the network smaller"


def shortage(error: BaseException) -> str | None:
    """What did not fit, in words, or None for any other error.

    >>> shortage(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate "
    ...                       "639948801024 bytes."))
    '596.0 GiB at once'
    >>> shortage(RuntimeError("shapes differ"))
    """
    text = str(error)
    if not isinstance(error, MemoryError) and not _SIGNS.search(text):
        return None
    for pattern, unit in _WANTED:
        found = pattern.search(text)
        if found:
            return f"{float(found[1]) * unit / 2**30:,.1f} GiB at once"
    return "more than can be counted" if "verflow" in text else "more than there is"


def one_line(error: BaseException) -> str:
    """An error's message for the user: its first line, or that memory does not suffice."""
    wanted = shortage(error)
    if wanted is not None:
        return f"expected what fits into memory, got a need of {wanted}; {ADVICE}"
    return (str(error).splitlines() or [type(error).__name__])[0]


@contextmanager
def memory_told(experiment: Experiment) -> Iterator[None]:
    """Turn a lack of memory within the block into one line.

    Raises:
        ConfigError: something did not fit.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if shortage(error) is None:
            raise
        size = " x ".join(str(n) for n in experiment.patch.size)
        batch = experiment.training.batch_size
        raise ConfigError(
            f"patch.size ({size}), training.batch_size ({batch}): {one_line(error)}"
        ) from error
