"""Turn pydantic's errors into lines for the user: place, key, expected, got, nearest name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from capsmed.config.fields import Component
from capsmed.config.parse import Document, Key, dotted
from capsmed.config.schema import Experiment
from capsmed.errors import did_you_mean

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "keys and values",
    "model_type": "a section with keys of its own",
    "string_too_short": "a name",
}
_COMPARED = {
    "greater_than": (">", "gt"),
    "greater_than_equal": (">=", "ge"),
    "less_than": ("<", "lt"),
    "less_than_equal": ("<=", "le"),
}


def mistakes(error: ValidationError, document: Document) -> list[tuple[str, str]]:
    """Every mistake as (place, 'key: expected ..., got ...; do this'), one for each key."""
    found: dict[Key, list[Mapping[str, Any]]] = {}
    for detail in error.errors(include_url=False):
        found.setdefault(_written(detail, document.data), []).append(detail)
    return [_mistake(key, details, document) for key, details in found.items()]


def one_message(lines: Sequence[tuple[str, str]], name: str) -> str:
    """All mistakes in one message, in the order of the file."""
    texts = [_joined(place, text) for place, text in sorted(lines, key=_by_line)]
    if len(texts) == 1:
        return texts[0]
    return "\n  ".join([f"{name}: {len(texts)} mistakes", *texts])


def shown(value: Any) -> str:
    """A value as it would stand in YAML, cut to 60 characters."""
    if isinstance(value, str):
        text = repr(value)
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _joined(place: str, text: str) -> str:
    option = place.removeprefix("--set ")
    if option != place and text.startswith(f"{option}:"):
        return f"--set {text}"
    return f"{place}: {text}"


def _by_line(item: tuple[str, str]) -> tuple[str, int]:
    name, _, line = item[0].rpartition(":")
    return (name, int(line)) if line.isdigit() else (item[0], 0)


def _written(detail: Mapping[str, Any], data: Any) -> Key:
    """The error's place without the parts that pydantic adds for unions; missing keys stay."""
    key: list[str | int] = []
    for part in detail["loc"]:
        if isinstance(data, dict) and part in data:
            data = data[part]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        elif detail["type"] != "missing":
            break
        key.append(part)
    return tuple(key)


def _mistake(key: Key, details: list[Mapping[str, Any]], document: Document) -> tuple[str, str]:
    detail = details[0]
    if detail["type"] == "extra_forbidden":
        return document.place(key), _unknown(key)
    if detail["type"] == "missing":
        return document.place(key), f"{dotted(key)}: expected a value, got none; add it"
    if detail["type"] == "value_error":
        return _from_validator(key, str(detail["ctx"]["error"]), document)
    expected = " or ".join(dict.fromkeys(_expected(each) for each in details))
    value = detail["input"]
    text = f"{dotted(key)}: expected {expected}, got {shown(value)}{_advice(detail, value)}"
    return document.place(key), text


def _from_validator(key: Key, message: str, document: Document) -> tuple[str, str]:
    """Validators of a section write 'key: expected ...': point at that key."""
    inner = (*key, message.partition(":")[0])
    return document.place(inner), ".".join([*map(str, key), message])


def _unknown(key: Key) -> str:
    section, name = key[:-1], str(key[-1])
    known = _fields(section)
    advice = did_you_mean(name, known) or _elsewhere(name)
    return f"{dotted(section)}: expected one of {', '.join(known)}, got {name!r}{advice}"


def _expected(detail: Mapping[str, Any]) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _COMPARED:
        sign, name = _COMPARED[kind]
        return f"a number {sign} {context[name]:g}"
    if kind == "literal_error":
        return str(context["expected"])
    if kind == "string_pattern_mismatch":
        return f"text like {context['pattern']}"
    if kind == "too_short":
        return f"at least {context['min_length']} entries"
    return _EXPECTED.get(kind, detail["msg"])


def _advice(detail: Mapping[str, Any], value: Any) -> str:
    if detail["type"] == "string_type" and isinstance(value, int | float):
        return "; put it in quotes"
    if detail["type"] == "literal_error" and isinstance(value, str):
        choices = str(detail["ctx"]["expected"]).replace(" or ", ", ").split(", ")
        return did_you_mean(value, [choice.strip("'") for choice in choices])
    return ""


def _fields(section: Key) -> list[str]:
    model: type[BaseModel] = Experiment
    for part in section:
        model = model.model_fields[str(part)].annotation  # type: ignore[assignment]
    return list(model.model_fields)


def _elsewhere(name: str) -> str:
    """Where ``name`` would be right: a key written one level too high is a usual slip."""
    for section, info in Experiment.model_fields.items():
        model = info.annotation
        if not (isinstance(model, type) and issubclass(model, BaseModel)) or model is Component:
            continue
        if name in model.model_fields:
            return f"; {name!r} belongs in {section!r}"
    return f"; {name!r} is a section of its own" if name in Experiment.model_fields else ""
