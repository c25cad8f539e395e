"""Run benchmarks by name and keep what they found."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from capsmed import atomic
from capsmed.errors import ConfigError, DataError
from tests.benchmarks import machine, process
from tests.benchmarks.contest import Bar
from tests.benchmarks.standard import standard

NAMES = ("capsule_layer", "training_step", "inference", "lung_step", "epoch", "growth")
VERSION = 2
ROUNDS = 7


def chosen(names: Sequence[str]) -> tuple[str, ...]:
    """The benchmarks to run, in the suite's order; all where none is named.

    Raises:
        ConfigError: there is no such benchmark.
    """
    wrong = [name for name in names if name not in NAMES]
    if wrong:
        raise ConfigError(
            f"benchmark: expected one of {', '.join(NAMES)}, got {', '.join(wrong)}; "
            "leave the names out to run all"
        )
    return tuple(name for name in NAMES if not names or name in names)


def module(name: str) -> ModuleType:
    """The module of a benchmark."""
    return importlib.import_module(f"tests.benchmarks.{name}")


def title(name: str) -> str:
    """What a benchmark measures: the first line of its docstring."""
    return str(inspect.getdoc(module(name))).splitlines()[0].removesuffix(".")


def rounds_of(name: str) -> int:
    """How many rounds a benchmark has unless told otherwise; fewer where one is long."""
    return int(getattr(module(name), "ROUNDS", ROUNDS))


def measured(name: str, rounds: int | None, fast: bool) -> dict[str, Any]:
    """`measure` in a process of its own; fast: in this one, where figures mean nothing."""
    rounds = rounds or rounds_of(name)
    if fast:
        return measure(name, rounds, fast)
    result: dict[str, Any] = process.call(f"{__name__}:measure", name, rounds)
    return result


def measure(name: str, rounds: int, fast: bool = False) -> dict[str, Any]:
    """Everything that one benchmark finds, with the machine that it was found on."""
    facts = machine.facts()
    found = module(name)
    if hasattr(found, "measure"):
        result = found.measure(rounds, fast)
    else:
        where = f"{found.__name__}:contestants"
        result = standard(where, found.contestants(fast), rounds, fast=fast)
    return {"title": title(name), "rounds": rounds, "fast": fast, "machine": facts, **result}


def bars(name: str, result: dict[str, Any]) -> list[Bar]:
    """What the benchmark must show, beside what it shows."""
    return list(getattr(module(name), "bars", lambda result: [])(result))


def lines(name: str, result: dict[str, Any]) -> list[str]:
    """What the benchmark says below its table, in Markdown."""
    return list(getattr(module(name), "lines", lambda result: [])(result))


def start(folder: Path) -> None:
    """See before anything is measured that results can be kept in ``folder``.

    Raises:
        CapsmedError: it cannot be written to, or holds a file of something else.
    """
    _write(folder, kept(folder))


def keep(folder: Path, name: str, result: dict[str, Any]) -> dict[str, Any]:
    """Put a result beside the others of ``folder`` and return all, by benchmark."""
    results = kept(folder)
    results[name] = result
    results = {name: results[name] for name in NAMES if name in results}
    _write(folder, results)
    return results


def _write(folder: Path, results: dict[str, Any]) -> None:
    atomic.write_json(folder / "results.json", {"schema_version": VERSION, "benchmarks": results})


def kept(folder: Path) -> dict[str, Any]:
    """The results in a folder, by benchmark; none where there is no file.

    Raises:
        DataError: the file was not written by this suite.
    """
    path = folder / "results.json"
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema_version"] == VERSION:
            return dict(content["benchmarks"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise DataError(
        f"{path}: expected results of this suite, got something else; give another --out"
    )
