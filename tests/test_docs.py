"""The reference pages name every key and every option, with what the code says of them."""

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

from capsmed.cli import main
from capsmed.config import Component, Experiment, Section

DOCS = Path(__file__).resolve().parents[1] / "docs"


def keys(model: type[BaseModel] = Experiment, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Each key of the schema with its default as in YAML and its description."""
    for name, info in model.model_fields.items():
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from keys(inner, f"{prefix}{name}.")
        else:
            default = "required" if info.is_required() else f"`{written(info.default)}`"
            yield f"{prefix}{name}", default, info.description or ""


def written(value: object) -> str:
    if isinstance(value, Component):
        return value.name
    return value if isinstance(value, str) else json.dumps(value)


def options(command: click.Command, path: str = "capsmed") -> Iterator[tuple[str, str]]:
    """Each command's path with each of its options."""
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield path, parameter.opts[-1]
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield f"{path} {name}", ""
            yield from options(inner, f"{path} {name}")


@pytest.mark.parametrize(("key", "default", "description"), list(keys()), ids=lambda v: v[:30])
def test_the_reference_has_every_key_with_its_default(
    key: str, default: str, description: str
) -> None:
    text = (DOCS / "reference" / "config.md").read_text(encoding="utf-8")
    assert f"| `{key}` | {default} | {description} |" in text


@pytest.mark.parametrize(("command", "option"), list(options(main)), ids="".join)
def test_the_reference_has_every_command_and_option(command: str, option: str) -> None:
    text = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    heading = "## " + " ".join(command.split()[:2]) if " " in command else "# "
    section = text.partition(f"{heading}")[2].partition("\n## ")[0]
    assert command in text
    assert option in section


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda path: path.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = [part.partition(")")[0] for part in page.read_text(encoding="utf-8").split("](")[1:]]
    files = [link.partition("#")[0] for link in links if not link.startswith("http")]
    assert [link for link in files if link and not (page.parent / link).exists()] == []
