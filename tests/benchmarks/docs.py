"""The page on speed: its tables are written from a run, between markers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from capsmed import atomic
from capsmed.errors import DataError
from tests.benchmarks import chart, table

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "explanation" / "speed.md"
PICTURE = ROOT / "docs" / "images" / "speed.svg"


def write(results: dict[str, dict[str, Any]], page: Path = PAGE, picture: Path = PICTURE) -> None:
    """Put each benchmark's block between its markers, and the picture beside; no other change.

    Raises:
        DataError: the results are of tiny sizes, or there are none.
    """
    if not results or any(result["fast"] for result in results.values()):
        raise DataError("--docs: expected measured results, got none or those of --fast; run again")
    text = page.read_text(encoding="utf-8")
    text = replaced(
        text, "picture", "![how many times as long as capsmed each takes](../images/speed.svg)"
    )
    for name, result in results.items():
        text = replaced(text, name, table.block(name, result))
    atomic.write_text(page, text)
    atomic.write_text(picture, chart.ratios(results))


def replaced(text: str, name: str, block: str) -> str:
    """``text`` with ``block`` between ``<!-- benchmark NAME -->`` and ``<!-- end -->``."""
    pattern = rf"(<!-- benchmark {re.escape(name)} -->\n).*?(<!-- end -->)"
    return re.sub(pattern, lambda found: f"{found[1]}{block}\n{found[2]}", text, flags=re.DOTALL)
