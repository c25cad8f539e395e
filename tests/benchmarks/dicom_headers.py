"""How fast DICOM headers are read in one thread, in eight, in processes; and what opening costs.

    python -m tests.benchmarks.dicom_headers [--rounds 9]

Of 300 drawn slices of 512 x 512 in the operating system's cache. The ways take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pydicom

from capsmed.data.dicom import indexing, scan
from capsmed.data.dicom.parsing import read_header
from capsmed.data.readers import open_volume
from tests.benchmarks.chest import write_chest

BOX = (slice(200, 264), slice(200, 264), slice(100, 164))


def fresh(folder: Path) -> None:
    """Open a series that this process has not seen."""
    scan._FOLDERS.clear()
    indexing._SERIES.clear()
    open_volume(folder)


def measured(ways: dict[str, Callable[[], Any]], rounds: int) -> None:
    """Print the median of each way's times, the first round left out."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append(1000 * (time.perf_counter() - start))
    for name, found in times.items():
        print(f"{name:24} {statistics.median(found[1:]):7.1f} ms")


def main() -> None:
    """Measure everything once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as made, ThreadPoolExecutor(8) as threads:
        folder = Path(made) / "chest"
        write_chest(folder, 300)
        paths = sorted(folder.iterdir())
        with ProcessPoolExecutor() as processes:
            ways = {
                "one thread": lambda: list(map(read_header, paths)),
                "eight threads": lambda: list(threads.map(read_header, paths)),
                "processes": lambda: list(processes.map(read_header, paths, chunksize=32)),
            }
            measured(ways, rounds)
        volume = open_volume(folder)
        ways = {
            "opening, first": lambda: fresh(folder),
            "opening, again": lambda: open_volume(folder),
            "box of 64 x 64 x 64": lambda: volume.read(BOX),
            "the same by pydicom": lambda: [pydicom.dcmread(p).pixel_array for p in paths[:64]],
            "whole series": lambda: volume.read(None),
        }
        measured(ways, rounds)
        print(f"{len(paths)} slices, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
