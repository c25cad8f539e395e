"""Modules run one after another in one Python process, which imports torch and MONAI only once.

For tests of what is installed elsewhere or of another library's command line, where each process
of its own would take longer to import than to work.
"""

import json
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


class PythonSession:
    """A Python process that runs modules as ``python -m`` does, until the ``with`` block ends.

    Args:
        python: the interpreter, of whatever environment.
        cwd: where the process works.
        environ: its environment variables.
    """

    def __init__(self, python: str | Path, cwd: Path, environ: Mapping[str, str]) -> None:
        command = [str(python), "-P", __file__]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, cwd=cwd, env=dict(environ), **pipes)

    def __enter__(self) -> "PythonSession":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()  # its input ends, so it does

    def run(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What ``python -m module arguments`` returns and prints."""
        self.process.stdin.write(json.dumps([module, *arguments]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"{module} {arguments} ended the process"
        return subprocess.CompletedProcess([module, *arguments], *json.loads(answer))


def serve() -> None:
    """Read commands from standard input, a JSON list a line; answer by [status, output, errors]."""
    commands, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for line in commands:
        with diverted(sys.stdout) as output, diverted(sys.stderr) as errors:
            status = run_module(*json.loads(line))
        print(json.dumps([status, *output, *errors]), file=answers, flush=True)


def run_module(module: str, *arguments: str) -> int:
    """The exit status of ``python -m module arguments`` in this process."""
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


@contextmanager
def diverted(stream: TextIO) -> Iterator[list[str]]:
    """A list that gets what is written to the stream's file meanwhile, by whatever library."""
    written: list[str] = []
    kept = os.dup(stream.fileno())
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), stream.fileno())
        try:
            yield written
        finally:
            stream.flush()
            os.dup2(kept, stream.fileno())
            os.close(kept)
            file.seek(0)
            written.append(file.read().decode())


if __name__ == "__main__":
    serve()
