"""The result of a comparison, in words and as tables for console and page."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from capsmed.report.words import (
    RESEARCH_USE,
    level,
    metric_rows_of,
    number,
    p_value,
    sentence,
    span,
    who,
)

Comparison = dict[str, Any]


def headline(found: Comparison) -> str:
    """The whole result in one or two sentences."""
    count = who(next(iter(found["models"].values())))
    pairs = found["pairs"]
    if len(pairs) == 1:
        return f"{verdict(pairs[0], found)}, on {count}."
    told = [verdict(pair, found) for pair in pairs if _better(pair, found)]
    if not told:
        return f"These data tell none of the {len(pairs)} pairs apart, on {count}."
    rest = len(pairs) - len(told)
    others = f" {rest} of {len(pairs)} pairs {'is' if rest == 1 else 'are'} not told apart."
    return f"{'; '.join(told)}, on {count}.{others if rest else ''}"


def verdict(pair: dict[str, Any], found: Comparison) -> str:
    """Which of two ranks better, with the difference of the AUC and its interval."""
    area, better = pair["auc"], _better(pair, found)
    if area["value"] is None:
        return f"The AUCs of {pair['first']} and {pair['second']} cannot be compared"
    if better is None:
        names = f"{pair['first']} and {pair['second']}"
        return f"These data do not tell {names} apart: AUC difference {_interval(area, found)}"
    if better == pair["first"]:
        worse = pair["second"]
    else:  # told the way round that is positive
        worse = pair["first"]
        area = {"value": -area["value"], "low": -area["high"], "high": -area["low"]}
    return f"{better} ranks better than {worse}: AUC difference {_interval(area, found)}"


def _interval(entry: dict[str, Any], found: Comparison) -> str:
    return span(entry).replace("(", f"({level(found)} interval ")


def _better(pair: dict[str, Any], found: Comparison) -> str | None:
    """The model that ranks better: no interval holds zero, nor is the adjusted p too large."""
    area = pair["auc"]
    intervals = [entry for entry in (area, area["delong"]) if entry and entry["low"] is not None]
    p = pair["p_adjusted"]["auc"]
    if not intervals or (p is not None and p >= 1 - found["confidence"]):
        return None
    if all(entry["low"] > 0 for entry in intervals):
        return str(pair["first"])
    if all(entry["high"] < 0 for entry in intervals):
        return str(pair["second"])
    return None


def model_table(found: Comparison) -> tuple[list[str], list[list[str]]]:
    """Heads, and a row a model."""
    shown = metric_rows_of(next(iter(found["models"].values())), found["classes"])
    heads = ["", *shown.values(), "runs"]
    rows = [
        [
            name,
            *(span(entry[key], key == "error") for key in shown),
            str(len(entry["per_seed"])),
        ]
        for name, entry in found["models"].items()
    ]
    return heads, rows


def pair_table(found: Comparison) -> tuple[list[str], list[list[str]]]:
    """Heads, and a row a pair; of p values the adjusted ones where there are several pairs."""
    heads = ["first − second", "AUC", "p", "accuracy", "balanced accuracy", "only one right", "p"]
    return heads, [_pair_row(pair) for pair in found["pairs"]]


def _pair_row(pair: dict[str, Any]) -> list[str]:
    decided, adjusted = pair["decisions"], pair["p_adjusted"]
    counts = (decided["first_only"], decided["second_only"]) if decided else ()
    whole = all(float(count).is_integer() for count in counts)
    return [
        f"{pair['first']} − {pair['second']}",
        span(pair["auc"]),
        p_value(adjusted["auc"]),
        span(pair["accuracy"]),
        span(pair["balanced_accuracy"]),
        "\u00a0:\u00a0".join(number(count, 0 if whole else 1) for count in counts) or "–",
        p_value(adjusted["decisions"]),
    ]


def p_values(found: Comparison) -> str:
    """What the p values are, in a sentence; '' where there are none."""
    pairs = found["pairs"]
    kinds = sorted({pair["decisions"]["method"] for pair in pairs if pair["decisions"]})
    parts = ["of the AUC by DeLong"] if any(pair["auc"]["delong"] for pair in pairs) else []
    parts += [f"of the decisions by {' and '.join(kinds)}"] if kinds else []
    if not parts:
        return ""
    adjusted = f", adjusted for {len(pairs)} comparisons (Holm)" if len(pairs) > 1 else ""
    return f"P values{adjusted}: {'; '.join(parts)}."


def comparison_table(found: Comparison) -> RenderableType:
    """The comparison for `rich.print`."""
    title = f"{who(next(iter(found['models'].values())))}, {level(found)} intervals"
    heads, rows = pair_table(found)
    few = [0, 1, 2, 3, 5, 6]  # columns for which a terminal has room
    return Group(
        _table(title, *model_table(found)),
        _table("differences", [heads[k] for k in few], [[row[k] for k in few] for row in rows]),
        Text(headline(found)),
        Text(p_values(found)),
        *[Text(sentence(text), style="yellow") for text in found["remarks"]],
        Text(RESEARCH_USE, style="bold"),
    )


def _table(title: str, heads: list[str], rows: list[list[str]]) -> Table:
    table = Table(title=title, title_justify="left")
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
