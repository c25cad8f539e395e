"""The exceptions a user may see: one line each, exit code 1, no traceback."""

import difflib
from collections.abc import Iterable


class CapsmedError(Exception):
    """Base of every error that is the user's to mend.

    The message reads 'where: expected ..., got ...; do this'.
    """


class ConfigError(CapsmedError):
    """The experiment's configuration is wrong, or asks for what is not there."""


class DataError(CapsmedError):
    """A table, an image or a label cannot be used as it is.

    Attributes:
        reason: the same in few words that many cases share, free of paths, values and patient
            ids; '' where only the caller knows what it was doing.
    """

    def __init__(self, message: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class CheckFailed(DataError):
    """An image fails one of the checks of ``data.checks``.

    Attributes:
        check: the check's name, a key of ``data.checks``.
        skips: whether the check's policy is to leave the case out rather than to stop.
    """

    def __init__(self, check: str, message: str, skips: bool = False) -> None:
        super().__init__(message, f"check {check}")
        self.check, self.skips = check, skips


class CheckpointError(CapsmedError):
    """A checkpoint or run folder does not fit what was asked of it."""


class TrainingError(CapsmedError):
    """A training cannot go on: something is not finite, or nothing fits into memory."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """'; did you mean ...?' with the nearest of ``known``, or nothing.

    >>> did_you_mean("epoch", ["epochs", "ema"])
    "; did you mean 'epochs'?"
    """
    folded = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    return f"; did you mean {folded[close[0]]!r}?" if close else ""
