"""Parts of a network by name, as ``named_modules`` and ``named_parameters`` give them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from torch import nn

from capsmed.errors import did_you_mean


def belongs(name: str, part: str) -> bool:
    """Whether ``name`` is ``part`` or lies in it; every name lies in the network itself, ''.

    >>> belongs("head.primary.weight", "head"), belongs("header.weight", "head")
    (True, False)
    """
    return not part or name == part or name.startswith(f"{part}.")


def longest(name: str, parts: Iterable[str]) -> str | None:
    """The longest of ``parts`` that ``name`` belongs to, or None."""
    return max((part for part in parts if belongs(name, part)), key=len, default=None)


def names(network: nn.Module) -> set[str]:
    """The names of all modules and parameters that can be meant."""
    found: set[str] = set()
    for name, _ in network.named_parameters():
        words = name.split(".")
        found |= {".".join(words[:length]) for length in range(1, len(words) + 1)}
    return found


def check(network: nn.Module, parts: Collection[str], option: str) -> None:
    """Check that each of ``parts`` names a module with parameters, or a parameter.

    Raises:
        ValueError: one does not; the message starts with ``option`` and tells the nearest name.
    """
    known = names(network) if parts else set()
    for part in parts:
        if part not in known:
            top = ", ".join(sorted(name for name in known if "." not in name and name))
            near = did_you_mean(part, sorted(known))
            raise ValueError(
                f"{option}: expected the name of a part ({top}, or inside one), got {part!r}{near}"
            )


def freeze(network: nn.Module, parts: Collection[str]) -> None:
    """Let the parameters of ``parts`` of the network learn no more.

    Their modules must also be kept in evaluation mode, or batch norms go on changing:
    `TrainingWrapper` does so with its option ``frozen``.

    Args:
        network: is changed.
        parts: names of modules or parameters, such as ``backbone``.

    Raises:
        ValueError: a name is unknown, or no parameter is left to learn.
    """
    check(network, parts, "freeze")
    for name, parameter in network.named_parameters():
        if longest(name, parts) is not None:
            parameter.requires_grad_(False)
    if parts and not any(parameter.requires_grad for parameter in network.parameters()):
        raise ValueError(
            f"freeze: expected a part that still learns, got every parameter frozen by "
            f"{list(parts)}; name fewer parts"
        )


def rest(network: nn.Module, parts: Collection[str]) -> None:
    """Put the modules of ``parts`` into evaluation mode: no dropout, statistics as they are."""
    for name, module in network.named_modules():
        if longest(name, parts) is not None:
            module.training = False
