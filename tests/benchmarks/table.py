"""Results as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.benchmarks import suite
from tests.benchmarks.contest import Bar

#: Heading, key of a row, how it is written.
COLUMNS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("median", "median_s", lambda value: duration(value)),
    ("fastest", "minimum_s", lambda value: duration(value)),
    ("times ours", "ratio", lambda value: f"{value:.2f}"),
    ("GFLOP/s", "gflops", lambda value: f"{value:.0f}" if value else ""),
    ("of SGEMM", "share", lambda value: f"{value:.0%}" if value else ""),
    ("peak memory", "peak_bytes", lambda value: size(value)),
    ("by the profiler", "profiled_bytes", lambda value: size(value)),
    ("by the system", "fresh_bytes", lambda value: size(value)),
)


def page(results: dict[str, dict[str, Any]]) -> str:
    """All benchmarks on one page."""
    parts = [f"## {result['title']}\n\n{block(name, result)}" for name, result in results.items()]
    return "# Benchmarks\n\n" + "\n\n".join(parts) + "\n"


def block(name: str, result: dict[str, Any]) -> str:
    """One benchmark: what it must show, its table, what it says of it, and where it ran."""
    parts = [
        *_filled(bar_table(suite.bars(name, result))),
        *_filled(row_table(result.get("rows", []))),
        *suite.lines(name, result),
        footer(result),
    ]
    return "\n\n".join(parts)


def row_table(rows: Sequence[dict[str, Any]]) -> str:
    """A row a contestant; columns that nobody fills are left out."""
    columns = [c for c in COLUMNS if any(c[2](row[c[1]]) for row in rows if c[1] in row)]
    body = [
        [row["name"], *(write(row[key]) if key in row else "" for _, key, write in columns)]
        for row in rows
    ]
    notes = [row.get("note", "") for row in rows]
    if any(notes):
        body = [[*cells, note] for cells, note in zip(body, notes, strict=True)]
    return markdown(["", *(c[0] for c in columns), *([""] if any(notes) else [])], body)


def bar_table(bars: Sequence[Bar]) -> str:
    """What is asked for, what was reached, and whether that will do."""
    body = [
        [
            bar.what,
            f"{'≤' if bar.most else '≥'} {bar.wanted:.3g}",
            f"{bar.reached:.3g}",
            "reached" if bar.met else "**missed**",
        ]
        for bar in bars
    ]
    return markdown(["bar", "wanted", "measured", ""], body)


def markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A Markdown table, or nothing where it would have no row."""
    if not body:
        return ""
    rule = "|".join(["---", *["---:"] * (len(head) - 1)])
    rows = [f"| {' | '.join(cells)} |" for cells in body]
    return "\n".join([f"| {' | '.join(head)} |", f"|{rule}|", *rows])


def footer(result: dict[str, Any]) -> str:
    """Where and when this was measured."""
    facts = result["machine"]
    sgemm = "; ".join(f"{n} {v:.0f} GFLOP/s" for n, v in result.get("sgemm", {}).items())
    flags = f", {' '.join(facts['flags'])}" if facts["flags"] else ""
    return (
        f"*{facts['accelerator'] or facts['cpu']}, {facts['threads']} threads{flags}; "
        f"torch {facts['torch']}; {sgemm + '; ' if sgemm else ''}{result['rounds']} rounds; "
        f"commit {facts['commit'] or 'unknown'}; {facts['started'][:10]}"
        f"{'; tiny sizes, figures mean nothing' if result['fast'] else ''}*"
    )


def duration(seconds: float) -> str:
    """Seconds with three digits, in the unit that suits.

    >>> duration(0.0123), duration(2.5)
    ('12.3 ms', '2.5 s')
    """
    return f"{1e3 * seconds:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def size(number: float | None) -> str:
    """Bytes in MB of a million, with three digits; empty where unknown."""
    if number is None:
        return ""
    megabytes = number / 1e6
    return f"{megabytes:,.0f} MB" if megabytes >= 100 else f"{megabytes:.3g} MB"


def _filled(text: str) -> list[str]:
    return [text] if text else []
