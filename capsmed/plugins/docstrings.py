"""Reading Google-style docstrings: what a component is, its arguments, where it is published."""

from __future__ import annotations

import inspect
import re
from typing import Any

_ARGUMENT = re.compile(r"^(\w+)(?: \([^)]*\))?:\s*(.*)$")
_PAPER = re.compile(
    r"[A-Z][\w-]+(?:(?:, | & | and | )[A-Z][\w-]+)*(?: et al\.)? (?:19|20)\d\d\b"
    r"(?: \(arXiv \d{4}\.\d{4,5}\))?"
    r"(?:,(?: (?:equation|section|procedure|algorithm|figure|table)s? [\d.]*\d(?:,| and| to)?)+)?"
)
_SECTION = re.compile(r"^(?:Args|Returns|Raises|Attributes|Examples?):|^>>> ", re.M)
_LINK = re.compile(r"https?://arxiv\.org/abs/(\d{4}\.\d{4,5})")


def summary(part: Any) -> str:
    """The first line of the docstring, without markup.

    >>> summary(summary)
    'The first line of the docstring, without markup.'
    """
    return re.sub(r"``|`|\*\*", "", _text(part).partition("\n")[0].strip())


def about(part: Any) -> str:
    """What stands between the first line and the arguments, each paragraph in one line."""
    sections = _SECTION.split(_text(part))
    paragraphs = re.split(r"\n\s*\n", sections[0].partition("\n")[2].strip())
    return "\n\n".join(map(_reflowed, paragraphs)).replace("``", "")


def _reflowed(paragraph: str) -> str:
    """One line, unless it is a formula or a list."""
    kept = re.match(r"\.\. |[-*] ", paragraph) or re.search(r"\n\s", paragraph)
    return paragraph if kept else " ".join(paragraph.split())


def reference(part: Any) -> str:
    """Where the component is published: its attribute ``reference``, else what the text cites.

    >>> def decoder(): "As in Sabour et al. 2017 (arXiv 1710.09829), figure 2: 512, 1024, pixels."
    >>> reference(decoder)
    'Sabour et al. 2017 (arXiv 1710.09829), figure 2'
    """
    declared = getattr(part, "reference", "")
    if isinstance(declared, str) and declared:
        return declared
    text = " ".join(_text(part).split())
    if paper := _PAPER.search(text):
        return paper.group().rstrip(",")
    link = _LINK.search(text)
    return f"arXiv {link.group(1)}" if link else ""


def arguments(part: Any) -> dict[str, str]:
    """The meaning of each argument, from the section ``Args``; a base class may hold some.

    >>> arguments(arguments)
    {}
    """
    found: dict[str, str] = {}
    for cls in reversed(part.__mro__) if inspect.isclass(part) else [part]:
        if cls.__module__.partition(".")[0] != "builtins":
            found |= _section(inspect.cleandoc(cls.__doc__ or ""))
    return found


def _section(text: str) -> dict[str, str]:
    _, _, section = f"\n{text}".partition("\nArgs:\n")
    found: dict[str, str] = {}
    name, indent = "", 0
    for line in section.splitlines():
        depth = len(line) - len(line.lstrip())
        if line.strip() and depth == 0:
            break
        match = _ARGUMENT.match(line.strip())
        if match and depth <= (indent or depth):
            name, indent = match.group(1), depth
            found[name] = match.group(2)
        elif name and line.strip():
            found[name] = f"{found[name]} {line.strip()}".strip()
    return {name: meaning.replace("``", "") for name, meaning in found.items()}


def _text(part: Any) -> str:
    """The docstring of ``part`` itself; one that it inherits would tell of another."""
    return inspect.cleandoc(part.__doc__ or "")
