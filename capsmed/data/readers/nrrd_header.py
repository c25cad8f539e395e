"""The text that opens an NRRD file: fields of the format, and the file's own keys.

Format: https://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from capsmed.errors import DataError

_LONGEST = 1 << 20
_LINE = re.compile(r"([^:]*)(:=|:|$)(.*)", re.DOTALL)


@dataclass(frozen=True)
class Header:
    """What the text says.

    Attributes:
        file: where it stands.
        fields: of the format, by name in lower case without spaces ('spacedirections').
        pairs: the file's own ``key:=value``, for example Slicer's ``Segment0_Name``.
        end: byte of the file after it.
    """

    file: Path
    fields: Mapping[str, str]
    pairs: Mapping[str, str]
    end: int

    def field(self, name: str) -> str:
        """A field that every file has.

        Raises:
            DataError: this one has not.
        """
        if name not in self.fields:
            raise DataError(f"{self.file}: expected the field '{name}' in its header, got none")
        return self.fields[name]

    def wholes(self, name: str, default: str | None = None) -> list[int]:
        """The whole numbers of a field.

        Raises:
            DataError: they are missing or something else.
        """
        text = self.field(name) if default is None else self.fields.get(name, default)
        try:
            return [int(word) for word in text.split()]
        except ValueError as error:
            raise self._wrong(name, text, "whole numbers") from error

    def vectors(self, name: str) -> list[list[float] | None]:
        """The vectors ``(a,b,c)`` of a field, None for each 'none'; [] without the field.

        Raises:
            DataError: they are something else.
        """
        text = self.fields.get(name, "")
        words = re.findall(r"\([^()]*\)|[^\s()]+", text)
        try:
            found = [
                None if word == "none" else [float(part) for part in word.strip("()").split(",")]
                for word in words
            ]
        except ValueError as error:
            raise self._wrong(name, text, "vectors (a,b,c)") from error
        return [None if vector and vector[0] != vector[0] else vector for vector in found]

    def _wrong(self, name: str, text: str, expected: str) -> DataError:
        return DataError(
            f"{self.file}: expected {expected} in the field '{name}', got '{text[:60]}'"
        )


def read_header(path: Path) -> Header:
    """Read the text up to the first blank line.

    Raises:
        DataError: the file is no NRRD, is damaged, or says a thing twice.
    """
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    with path.open("rb") as file:
        if not re.match(rb"NRRD000\d\s*$", file.readline(80)):
            raise DataError(f"{path}: cannot be read as NRRD (it does not begin with 'NRRD000')")
        while line := file.readline(_LONGEST).decode("utf-8", "replace").strip():
            if line.startswith("#"):
                continue
            name, mark, value = _LINE.fullmatch(line).groups()  # type: ignore[union-attr]
            if not mark or file.tell() > _LONGEST:
                raise DataError(f"{path}: cannot be read as NRRD (its header is damaged)")
            known, key = (pairs, name) if mark == ":=" else (fields, name.lower().replace(" ", ""))
            if key in known:
                raise DataError(f"{path}: expected '{name}' once in its header, got it twice")
            known[key] = value.strip()
        return Header(path, fields, pairs, file.tell())
