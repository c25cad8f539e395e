"""Measure in a process of its own, so that nothing a benchmark sets or keeps reaches the next.

    python -m tests.benchmarks.process tests.benchmarks.suite:measure '["growth", 3, true]'

What the function tells of its progress comes to the listener of the process that asked.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from typing import IO, Any

from tests.benchmarks.contest import listener
from tests.benchmarks.peaks import ROOT

_PATIENCE_S = 10  # for a process that is told to end


def call(where: str, *arguments: Any) -> Any:
    """What a function returns in a new process.

    Args:
        where: the function, as ``"package.module:function"``.
        arguments: of it; they and the result go through JSON.

    Raises:
        RuntimeError: it failed there; the message ends with what it wrote.
    """
    command = [sys.executable, "-m", "tests.benchmarks.process", where, json.dumps(arguments)]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        child = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True, encoding="utf-8"
        )
        try:
            assert child.stdout is not None
            answer = _listen(child.stdout)
            child.wait()
        finally:
            _end(child)
        if child.returncode or not answer:
            errors.seek(0)
            raise RuntimeError(f"{where} {arguments}: {errors.read().strip()[-2000:]}")
    return answer["result"]


def _listen(lines: Iterable[str]) -> dict[str, Any]:
    """Pass on what is told; return the last line, which holds the result."""
    said: dict[str, Any] = {}
    for line in lines:
        said = json.loads(line)
        if "progress" in said:
            listener.get()(said["progress"])
    return said if "result" in said else {}


def _end(child: subprocess.Popen[str]) -> None:
    """Let nothing live on, whatever ended the wait."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    if child.stdout is not None:
        child.stdout.close()


def _answer(where: str, arguments: list[Any], out: IO[str]) -> None:
    """Run the function and write a line of JSON for all that it tells, then one for the result."""

    def say(**line: Any) -> None:
        print(json.dumps(line), file=out, flush=True)

    listener.set(lambda text: say(progress=text))
    module, _, function = where.partition(":")
    say(result=getattr(importlib.import_module(module), function)(*arguments))


def main() -> None:
    """Answer on standard output, which is kept from everybody else."""
    parser = argparse.ArgumentParser()
    parser.add_argument("where")
    parser.add_argument("arguments", type=json.loads)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends its own processes as Ctrl-C
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        _answer(given.where, given.arguments, out)
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(130)


if __name__ == "__main__":
    main()
