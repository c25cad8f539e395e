"""`capsmed train --smoke`: can it learn eight cases by heart? And the command that comes next."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from capsmed.config import Loaded


def run_smoke(
    loaded: Loaded, data_root: Path | None, allow_import: Sequence[str], command: str
) -> None:
    """Overfit a few cases, say how it went and what ``command`` trains in earnest.

    Raises:
        TrainingError: not all of the few cases could be learnt.
    """
    if os.environ.get("RANK", "0") != "0":  # under torchrun the first process works
        return
    click.echo("loading libraries ...", err=True)
    from capsmed import plugins
    from capsmed.engines.smoke import smoke

    plugins.load()
    result = smoke(
        loaded.experiment,
        base=loaded.base,
        data_root=data_root,
        allow_import=allow_import,
        tell=click.echo,
    )
    click.echo(result.sentence)
    click.echo(f"the whole training: {command}")


def whole_command(context: click.Context) -> str:
    """The command line of ``context`` without ``--smoke``."""
    words = ["capsmed", "train"]
    for option in context.command.params:
        value = context.params.get(str(option.name))
        if option.name == "smoke" or value in (None, False, ()):
            continue
        flag = option.opts[0]
        for one in value if isinstance(value, tuple) else (value,):
            words += [flag] if one is True else [flag, str(one)]
    return shlex.join(words)
