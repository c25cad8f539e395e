"""Elements as pydicom converts them, in the few forms that capsmed needs.

Absent and empty elements, and text where a number belongs, are None or ''. What pydicom cannot
convert at all raises one of its many exceptions.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import MutableSequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataelem import RawDataElement

_SHORT = 256  # bytes of a value that is worth remembering


def text(data: Dataset, keyword: str) -> str:
    r"""The text; of several values all, joined by a backslash."""
    parts = [str(part) for part in _all(data, keyword) if isinstance(part, str | int | float)]
    return sys.intern("\\".join(parts).strip())


def number(data: Dataset, keyword: str) -> float | None:
    """A number (the first, of several)."""
    return _float(_first(data, keyword))


def numbers(data: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """Exactly ``count`` finite numbers."""
    found = [_float(part) for part in _all(data, keyword)]
    sound = tuple(part for part in found if part is not None and math.isfinite(part))
    return sound if len(found) == len(sound) == count else None


def whole(data: Dataset, keyword: str) -> int | None:
    """A whole number (the first, of several)."""
    value = _first(data, keyword)
    return int(value) if isinstance(value, int) else None


def word(data: Dataset, keyword: str, signed: bool) -> int | None:
    """A 16-bit number of the value representation 'US or SS', which implicit files leave open."""
    value = _first(data, keyword)
    if isinstance(value, bytes) and value:
        value = int.from_bytes(value[:2], "little")
    if not isinstance(value, int):
        return None
    value %= 2**16
    return value - 2**16 if signed and value >= 2**15 else value


def _all(data: Dataset, keyword: str) -> list[Any]:
    value = _value(data, keyword)
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, MutableSequence) else [value]


def _value(data: Dataset, keyword: str) -> Any:
    """The converted value; a series says most things once a slice in the same bytes."""
    tag = _tag(keyword)
    if tag not in data:
        return None
    raw = data.get_item(tag)
    if not raw.is_raw or raw.value is None or len(raw.value) > _SHORT or raw.VR == "SQ":
        return data[tag].value
    encodings = data.original_character_set
    named = encodings if isinstance(encodings, str) else tuple(encodings or ())
    return _converted(raw._replace(value_tell=0), named)


@functools.cache
def _tag(keyword: str) -> Any:
    from pydicom.tag import Tag

    return Tag(keyword)


@functools.lru_cache(maxsize=8192)
def _converted(raw: RawDataElement, encodings: str | tuple[str, ...]) -> Any:
    from pydicom.dataelem import convert_raw_data_element

    named = encodings if isinstance(encodings, str) else list(encodings)
    return convert_raw_data_element(raw, encoding=named).value


def _first(data: Dataset, keyword: str) -> Any:
    return next(iter(_all(data, keyword)), None)


def _float(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
