"""Running the checks of a component's kind, and telling of each what came of it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch

from capsmed.plugins.contracts import (
    backbone,
    data_source,
    importer,
    loss,
    network,
    reader,
    routing,
)

#: By kind: a module with ``CHECKS``, functions of a case, and ``cases(name)``.
CONTRACTS: dict[str, ModuleType] = {
    "networks": network,
    "routings": routing,
    "backbones": backbone,
    "losses": loss,
    "data sources": data_source,
    "image files": reader,
    "importers": importer,
}
_LONGEST = 300


@dataclass(frozen=True)
class Result:
    """What came of one check of one component.

    Attributes:
        kind: the kind's name.
        name: the component's.
        sentence: what was checked.
        reason: why the check failed; '' when it passed.
    """

    kind: str
    name: str
    sentence: str
    reason: str = ""


def check(kind: str, name: str) -> list[Result]:
    """Run every check of the component ``name`` of ``kind``, each on all of its cases.

    A check that several cases break is told of the first. What a component prints goes to stderr.
    """
    contract = CONTRACTS[kind]
    with warnings.catch_warnings(), redirect_stdout(sys.stderr), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        reason = _reason(lambda _: contract.cases(name), None)
        if reason:
            return [Result(kind, name, "Can be built for the checks.", reason)]
        return list(_results(kind, name, contract))


def _results(kind: str, name: str, contract: ModuleType) -> Iterator[Result]:
    cases = contract.cases(name)
    for test in contract.CHECKS:
        reasons = (_reason(test, case) for case in cases)
        yield Result(kind, name, sentence(test), next(filter(None, reasons), ""))
        if "torch._dynamo" in sys.modules:
            torch.compiler.reset()  # or it logs, on stderr, that it has compiled often enough


def sentence(test: Callable[..., Any]) -> str:
    """What a check checks: the first line of its docstring."""
    return (test.__doc__ or test.__name__).partition("\n")[0]


def _reason(test: Callable[[Any], Any], case: Any) -> str:
    torch.manual_seed(0)
    try:
        test(case)
    except Exception as error:  # a component may raise anything; it fails the check
        kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
        where = f"{case.kind}: " if getattr(case, "kind", "") else ""
        text = " ".join(str(error).split()) or "the assertion does not hold"
        return f"{where}{kind}{text[:_LONGEST]}"
    return ""
