"""Third-party components: packages that declare an entry point in the group ``capsmed.plugins``."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from capsmed.errors import CapsmedError

GROUP = "capsmed.plugins"


def load() -> list[str]:
    """Import every installed plugin, which registers its components; return their names.

    An entry point may name a module (importing it registers) or a function without arguments.

    Raises:
        CapsmedError: plugins that cannot be loaded, each with its package and the reason.
    """
    names, failures = [], []
    for entry in sorted(entry_points(group=GROUP)):
        try:
            part = entry.load()
            if callable(part):
                part()
        except Exception as error:  # a plugin may raise anything; say which one it was
            failures.append(f"{_origin(entry)}: {type(error).__name__}: {error}")
        else:
            names.append(entry.name)
    if failures:
        listed = "\n  ".join(failures)
        raise CapsmedError(
            f"plugins: expected all to load, got {len(failures)} that cannot; "
            f"update or uninstall\n  {listed}"
        )
    return names


def _origin(entry: EntryPoint) -> str:
    package = entry.dist.name if entry.dist is not None else "unknown package"
    return f"{entry.name} ({package})"
