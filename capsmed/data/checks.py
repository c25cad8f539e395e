"""What follows from an image's findings: the policies of ``data.checks``."""

from __future__ import annotations

from capsmed import config
from capsmed.data.volume import Volume
from capsmed.errors import CheckFailed


def judge(volume: Volume, checks: config.Checks, where: object) -> Volume:
    """Give the volume back when every finding is only to be warned of.

    Args:
        volume: as its reader gives it.
        checks: the policies.
        where: file or folder, the first word of the message.

    Raises:
        CheckFailed: the policy of one of the findings is 'error' or 'skip'.
    """
    for finding in volume.findings:
        refuse(finding.check, checks, f"{where}: {finding.detail}")
    return volume


def refuse(check: str, checks: config.Checks, message: str) -> None:
    """Raise unless the check's policy is 'warn'.

    Raises:
        CheckFailed: with what to do, and ``skips`` set where the policy is 'skip'.
    """
    policy = getattr(checks, check)
    if policy == "warn":
        return
    allowed = type(checks).model_fields[check].annotation
    choices = "warn or skip" if allowed == config.Policy else "skip"
    advice = f"mend it, or set data.checks.{check}: {choices}"
    raise CheckFailed(check, f"{message}; {advice}", skips=policy == "skip")


def with_policy(failed: CheckFailed, checks: config.Checks) -> CheckFailed:
    """A failure that leaves no right way to go on, with what the check's policy makes of it.

    'warn' cannot help here: the case is refused as with 'error'.
    """
    skips = getattr(checks, failed.check) == "skip"
    advice = f"mend it, or leave the case out with data.checks.{failed.check}: skip"
    return CheckFailed(failed.check, f"{failed}; {advice}", skips=skips)
