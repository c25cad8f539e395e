"""Reading a table of text: CSV, TSV or the first sheet of an .xlsx file."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capsmed.errors import DataError


@dataclass(frozen=True)
class Table:
    """The cells as trimmed text, with the number each row has in its file.

    Attributes:
        path: the file.
        columns: the header.
        rows: one dict a data row; blank rows are left out.
        numbers: each row's number as an editor shows it; the header's is usually 1.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    numbers: tuple[int, ...]


def read_table(path: Path, encoding: str = "utf-8") -> Table:
    """Read a table whose delimiter (comma, semicolon, tab) is taken from its header line.

    Raises:
        DataError: not a table, not in ``encoding``, empty, columns named twice, or rows whose
            number of cells differs from the header's (all of them listed).
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".tsv", ".xlsx"):
        raise DataError(f"{path}: expected a table (.csv, .tsv, .xlsx), got '{path.suffix}'")
    lines = _sheet_lines(path) if suffix == ".xlsx" else _text_lines(path, encoding, suffix)
    lines = [(number, cells) for number, cells in lines if any(cells)]
    if len(lines) < 2:
        raise DataError(f"{path}: expected a header and at least one row, the table is empty")
    columns = _header(path, lines[0][1])
    _check_widths(path, len(columns), lines[1:])
    rows = tuple(dict(zip(columns, cells, strict=False)) for _, cells in lines[1:])
    rows = tuple({name: row.get(name, "") for name in columns if name} for row in rows)
    return Table(path, tuple(n for n in columns if n), rows, tuple(n for n, _ in lines[1:]))


def _header(path: Path, cells: list[str]) -> list[str]:
    named = [name for name in cells if name]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise DataError(f"{path}: expected each column once, got {', '.join(twice)} twice")
    return cells


def _check_widths(path: Path, width: int, lines: list[tuple[int, list[str]]]) -> None:
    bad = [f"  row {n}: {len(c)} cells" for n, c in lines if len(c) > width and any(c[width:])]
    if bad:
        raise DataError(
            f"{path}: expected {width} cells a row, as in the header; a decimal comma in a "
            "comma-separated file needs quotes\n" + "\n".join(bad)
        )


def _text_lines(path: Path, encoding: str, suffix: str) -> list[tuple[int, list[str]]]:
    text = _decoded(path, encoding)
    header = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = "\t" if suffix == ".tsv" else max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        return [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        raise DataError(f"{path} row {reader.line_num}: cannot be read ({error})") from error


def _decoded(path: Path, encoding: str) -> str:
    try:
        name = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
        return path.read_bytes().decode(name)
    except LookupError as error:
        raise DataError(f"data.encoding: {encoding!r} is no known encoding") from error
    except UnicodeDecodeError as error:
        row = path.read_bytes()[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path} row {row}: expected {encoding}, got other bytes; name the file's encoding, "
            "for example data.encoding: cp1252"
        ) from error


def _sheet_lines(path: Path) -> list[tuple[int, list[str]]]:
    try:
        import openpyxl
    except ImportError as error:
        raise DataError(
            f"{path}: reading .xlsx needs openpyxl; pip install openpyxl, or save it as CSV"
        ) from error
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as error:  # a damaged zip or XML fails in many ways
        raise DataError(f"{path}: cannot be read as an .xlsx file (damaged?)") from error
    try:
        rows = book.worksheets[0].iter_rows()
        return [(n, [_cell(cell) for cell in row]) for n, row in enumerate(rows, start=1)]
    finally:
        book.close()


def _cell(cell: Any) -> str:
    """A cell as text: 7.0 is '7', and 7 shown by the format '0000' is '0007'."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip()
    shown = getattr(cell, "number_format", "") or ""
    return text.zfill(len(shown)) if isinstance(value, int) and set(shown) == {"0"} else text


def number(text: str) -> float | None:
    """The number a cell holds, with decimal point or comma; None when it holds none.

    >>> number("-12,5"), number("1e3"), number("")
    (-12.5, 1000.0, None)
    """
    try:
        return float(text.replace(",", ".") if "." not in text else text)
    except ValueError:
        return None
