"""Run command lines of capsmed in turn in each process that torchrun starts.

Usage: torchrun commands_on_ranks.py OUT COMMANDS

COMMANDS is a JSON list of lists of arguments; OUT/rank<r>.json becomes the list of what each gave,
[exit status, standard output, errors]. Only the last may open a process group: another one in the
same processes would meet what the first left at torchrun's meeting point.
"""

import json
import os
import sys
from pathlib import Path

from click.testing import CliRunner

from capsmed.cli import main


def run(arguments: list[str]) -> tuple[int, str, str]:
    """What the command ``capsmed arguments`` gives."""
    done = CliRunner().invoke(main, arguments)
    return done.exit_code, done.stdout, done.stderr


if __name__ == "__main__":
    out, commands = Path(sys.argv[1]), json.loads(sys.argv[2])
    content = json.dumps([run(arguments) for arguments in commands])
    (out / f"rank{os.environ['RANK']}.json").write_text(content, encoding="utf-8")
