"""Telling the user how far the reading of many images has come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

Progress = Callable[[int, int], None]


@contextmanager
def shown(progress: Progress | bool | None, what: str = "reading images") -> Iterator[Progress]:
    """The function that takes (cases done, cases in all); True shows a bar on stderr."""
    if callable(progress):
        yield progress
    elif not progress:
        yield lambda done, total: None
    else:
        from rich.console import Console
        from rich.progress import Progress as Bars

        with Bars(console=Console(stderr=True), transient=True) as bars:
            task = bars.add_task(what, total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total or None)


def tell(lines: Iterable[str]) -> None:
    """Print what the user should know about the images, on stderr like the bar."""
    from rich.console import Console

    console = Console(stderr=True)
    for line in lines:
        console.print(line, style="yellow", highlight=False, markup=False, soft_wrap=True)
