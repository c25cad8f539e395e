"""Train in a process of its own, and kill it without warning at a chosen moment.

Usage: python train_in_child.py COHORT OUT WORKERS MOMENT NUMBER

MOMENT 'step' kills the process in optimiser step NUMBER, 'write' half-way through checkpoint
write NUMBER, by SIGKILL (TerminateProcess on Windows): nothing can be cleaned up.
"""

import os
import signal
import sys
from pathlib import Path

import torch

from capsmed.engines.train import train
from tests.engines.blobs import tiny


def die() -> None:
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


def kill_at_step(number: int) -> None:
    calls = 0
    step = torch.optim.Adam.step

    def counted(self, *arguments, **options):
        nonlocal calls
        calls += 1
        if calls == number:
            die()
        return step(self, *arguments, **options)

    torch.optim.Adam.step = counted


def kill_at_write(number: int) -> None:
    calls = 0
    save = torch.save

    def counted(content, path):
        nonlocal calls
        calls += 1
        if calls == number:
            Path(path).write_bytes(b"PK half a checkpoint")
            die()
        save(content, path)

    torch.save = counted


def main() -> None:
    cohort, out, workers, moment, number = sys.argv[1:]
    {"step": kill_at_step, "write": kill_at_write}[moment](int(number))
    experiment = tiny(cohort, training={"workers": int(workers)})
    train(experiment, base=Path(cohort).parent, out=Path(out))


if __name__ == "__main__":
    main()
