"""What a long training shows: one live bar over all folds, and a line when a fold ends."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from capsmed.engines.fits import Fit

QUIET_SECONDS = 30.0  # between lines where there is no terminal to draw a bar on


class Display:
    """A progress bar over the epochs of all trainings, with the time left; silent off rank 0.

    Where the output is no terminal (a log file), a line appears now and then instead.

    Args:
        total_epochs: epochs of all trainings together, if none stops early.
        enabled: False on every process but the first.
    """

    def __init__(self, total_epochs: int, enabled: bool = True) -> None:
        self.console = Console(quiet=not enabled)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} epochs"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not enabled or not self.console.is_terminal,
            speed_estimate_period=600,
        )
        self.task = self.progress.add_task("training", total=total_epochs)
        self.started = self.logged = time.monotonic()

    def __enter__(self) -> Display:
        """Start drawing."""
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the last state on the screen."""
        self.progress.stop()

    def epoch(self, fit: Fit, row: dict[str, Any]) -> None:
        """Advance by one epoch and show its losses."""
        inner = f" inner {row['inner_loss']:.3f}" if row["inner_loss"] != "" else ""
        text = f"{_name(fit)} loss {row['train_loss']:.3f}{inner}"
        self.progress.update(self.task, advance=1, description=text)
        if not self.console.is_terminal:
            self._log(text)

    def _log(self, text: str) -> None:
        now, task = time.monotonic(), self.progress.tasks[0]
        if now - self.logged < QUIET_SECONDS:
            return
        self.logged = now
        left = (now - self.started) / task.completed * ((task.total or 0) - task.completed)
        epochs = f"{task.completed:.0f} of {counted(int(task.total or 0), 'epoch')}"
        self.line(f"{text}; {epochs}, {duration(left)} left")

    def skip(self, epochs: int) -> None:
        """Take epochs that will not be run (early stop, finished fold) off the total."""
        total = self.progress.tasks[0].total or 0
        self.progress.update(self.task, total=max(total - epochs, 0))

    def line(self, text: str) -> None:
        """Print a line above the bar."""
        self.console.print(text, highlight=False, soft_wrap=True)


def counted(number: int, what: str) -> str:
    """A number and its noun.

    >>> counted(1, "epoch"), counted(1200, "step")
    ('1 epoch', '1,200 steps')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """A rough time in words.

    >>> duration(2), duration(100)
    ('less than a minute', 'about 1.7 min')
    """
    return "less than a minute" if seconds < 60 else f"about {seconds / 60:.1f} min"


def _name(fit: Fit) -> str:
    repeat = f"repeat {fit.repeat} " if fit.repeat else ""
    seed = f"seed {fit.seed} " if fit.seed else ""
    return f"{fit.model} {repeat}{seed}fold {fit.fold}"
