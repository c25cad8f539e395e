"""Train in processes of their own, and kill each without warning at a chosen moment.

Usage: python train_in_child.py COHORT TRAININGS

TRAININGS is a JSON list of [OUT, WORKERS, MOMENT, NUMBER]. MOMENT 'step' kills the process in
optimiser step NUMBER, 'write' half-way through checkpoint write NUMBER, by SIGKILL
(TerminateProcess on Windows): nothing can be cleaned up. Where processes can be forked, they
share what was imported. Prints the JSON list of their exit codes.
"""

import json
import multiprocessing
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


def train_until_killed(cohort: str, out: str, workers: int, moment: str, number: int) -> None:
    {"step": kill_at_step, "write": kill_at_write}[moment](number)
    experiment = tiny(cohort, training={"workers": workers})
    train(experiment, base=Path(cohort).parent, out=Path(out))


def main() -> None:
    cohort, trainings = sys.argv[1], json.loads(sys.argv[2])
    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    start = multiprocessing.get_context(method).Process
    children = [start(target=train_until_killed, args=(cohort, *each)) for each in trainings]
    for child in children:
        child.start()
    for child in children:
        child.join()
    print(json.dumps([child.exitcode for child in children]))


if __name__ == "__main__":
    main()
