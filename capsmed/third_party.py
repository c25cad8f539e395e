"""Which installed plugins could not be loaded, so that messages about missing names can say so."""

from __future__ import annotations

_failures: list[str] = []


def note_failures(failures: list[str]) -> None:
    """Remember the plugins that could not be loaded, in place of those known before.

    Args:
        failures: one line each, 'the plugin NAME (PACKAGE) failed to load: REASON'.
    """
    _failures[:] = failures


def failed() -> str:
    """'; ' and the failures, to end a message about an unknown name with; '' when all loaded.

    >>> note_failures(["the plugin mine (third-party) failed to load: ZeroDivisionError"])
    >>> failed()
    '; the plugin mine (third-party) failed to load: ZeroDivisionError'
    >>> note_failures([])
    """
    return "".join(f"; {failure}" for failure in _failures)
