"""What is wrong with which row: gathered first, then raised together or skipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from capsmed.errors import ConfigError, DataError

OnBad = Literal["error", "skip"]


@dataclass(frozen=True)
class Problem:
    """One fault of one row.

    Attributes:
        position: the row's place among the data rows, from 0.
        detail: for the terminal; may name files and values.
        reason: for outputs that are shared; names no path and no patient.
    """

    position: int
    detail: str
    reason: str


@contextmanager
def told(what: str, reason: str) -> Iterator[None]:
    """Turn whatever is raised (each decoder fails in its own way) into a DataError with a reason.

    Errors that have a reason stand for themselves, and those of the configuration are no row's.

    Args:
        what: the first words of the message, such as "image 'a.nii'".
        reason: for outputs that are shared; see `Problem`.

    Raises:
        DataError: instead of anything else.
    """
    try:
        yield
    except DataError as error:
        if error.reason:
            raise
        raise DataError(f"{what}: {error}", reason) from error
    except ConfigError:
        raise
    except Exception as error:
        text = str(error) or type(error).__name__
        raise DataError(f"{what}: cannot be read ({text})", reason) from error


def settle(
    problems: Sequence[Problem], file: str, places: Mapping[int, str], on_bad: OnBad
) -> dict[int, str]:
    """Raise all problems as one error, or give each bad row's first reason when skipping.

    Args:
        problems: the faults found.
        file: name of the table or set, the first word of the message.
        places: text by position, such as 'row 4 (case c3)'.
        on_bad: 'error' raises, 'skip' returns.

    Raises:
        DataError: there is a problem and ``on_bad`` is 'error'; every bad row is listed.
    """
    if problems and on_bad == "error":
        ordered = sorted(problems, key=lambda problem: problem.position)
        lines = [f"  {places[p.position]}: {p.detail}" for p in ordered]
        count = len({p.position for p in problems})
        rows = "1 row" if count == 1 else f"{count} rows"
        raise DataError(
            f"{file}: {rows} cannot be used; mend what follows, or set data.on_bad_case: skip\n"
            + "\n".join(lines)
        )
    reasons: dict[int, str] = {}
    for problem in problems:
        reasons.setdefault(problem.position, problem.reason)
    return reasons
