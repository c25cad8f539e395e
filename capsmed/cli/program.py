"""How the program ends: one message for the user's mistakes, a traceback only for our own."""

from __future__ import annotations

import errno
import sys
from typing import Any

import click

from capsmed.errors import CapsmedError

_OF_THE_MACHINE = (errno.ENOSPC, errno.EACCES, errno.EPERM, errno.EROFS)
_HINT = (
    "This is a fault in capsmed, not in your data or configuration: "
    "please report it with the lines above."
)


class Stopped(click.ClickException):
    """The user pressed Ctrl-C."""

    exit_code = 130

    def show(self, file: Any = None) -> None:
        """Print the message without 'Error:': stopping is no error."""
        click.echo(self.message, file=file, err=file is None)


class Program(click.Group):
    """A group of commands that turns expected errors into one message and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; ``--debug`` lets every error through with its traceback."""
        _accept_any_text()
        if ctx.params.get("debug"):
            return super().invoke(ctx)
        try:
            return super().invoke(ctx)
        except CapsmedError as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt as error:
            raise Stopped("stopped") from error
        except OSError as error:
            if error.filename or error.errno in _OF_THE_MACHINE:
                raise click.ClickException(_of_the_machine(error)) from error
            raise
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            error.add_note(_HINT)
            raise


def _of_the_machine(error: OSError) -> str:
    place = error.filename or "a file"
    advice = "free some space or choose another file or folder"
    return f"{place}: cannot be used ({error.strerror}); {advice}"


def _accept_any_text() -> None:
    """A console of an old code page must not end a training over one character."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
