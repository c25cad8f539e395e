"""Which classes there are, which one is positive, and what each row's label comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from capsmed.data.problems import Problem
from capsmed.errors import DataError


def class_order(labels: Sequence[str], listed: Sequence[str] | None, file: str) -> tuple[str, ...]:
    """The listed classes, or all labels found: numbers by value, text by alphabet.

    Of labels that differ only in case the commonest is the class; ``judge`` finds the others.

    Raises:
        DataError: a listed class without a row, fewer than two classes, or a class listed twice.
    """
    found = sorted(set(labels) - {""}, key=by_value) if listed is not None else _spelling(labels)
    classes = tuple(name.strip() for name in listed) if listed is not None else tuple(found)
    if len(set(classes)) != len(classes):
        raise DataError(f"data.classes: expected each class once, got {', '.join(classes)}")
    if len(classes) < 2:
        got = ", ".join(classes) or "none"
        raise DataError(f"{file}: expected labels of at least two classes, got {got}")
    folded = {name.casefold() for name in found}
    absent = [name for name in classes if name.casefold() not in folded]
    if absent:
        raise DataError(
            f"data.classes: no row of {file} has the label {', '.join(map(repr, absent))}; "
            f"its labels are {', '.join(found[:20]) or 'all empty'}"
        )
    return classes


def positive_class(classes: Sequence[str], positive: str | None) -> str:
    """The class whose probability is ranked: as given, the last of two, else '' (none).

    Raises:
        DataError: ``positive`` is not one of the classes.
    """
    if positive is None:
        return classes[-1] if len(classes) == 2 else ""
    if positive not in classes:
        raise DataError(f"data.positive: expected one of {', '.join(classes)}, got {positive!r}")
    return positive


def judge(labels: Sequence[str], classes: Sequence[str]) -> tuple[dict[int, str], list[Problem]]:
    """Reasons to leave rows out by position, and rows whose label is a mistake."""
    by_case = {name.casefold(): name for name in classes}
    left_out: dict[int, str] = {}
    problems = []
    for position, label in enumerate(labels):
        if label in classes:
            continue
        near = by_case.get(label.casefold())
        if not label:
            problems.append(Problem(position, "label is empty", "label is empty"))
        elif near is not None:
            text = f"label '{label}' differs from '{near}' only in case"
            advice = f"{text}; write one of them throughout, or list both in data.classes"
            problems.append(Problem(position, advice, text))
        else:
            left_out[position] = f"label '{label}' not listed"
    return left_out, problems


def _spelling(labels: Sequence[str]) -> list[str]:
    """The labels found, each in its commonest spelling; the others are mistakes of their rows."""
    counts = Counter(label for label in labels if label)
    commonest: dict[str, str] = {}
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        commonest.setdefault(name.casefold(), name)
    return sorted(commonest.values(), key=by_value)


def by_value(label: str) -> tuple[int, int, str]:
    """Sorting key: whole numbers by value, then text by alphabet.

    >>> sorted(["b", "10", "9", "a"], key=by_value)
    ['9', '10', 'a', 'b']
    """
    return (0, int(label), label) if label.isdecimal() else (1, 0, label)
