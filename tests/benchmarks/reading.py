"""How fast patches are cut from DICOM, beside MONAI, and what loading costs in training.

    python -m tests.benchmarks.reading [--rounds 5] [--json FILE]

Both ways take turns in one process and use every core. Cold means that nothing is known of a
series: each round reads fresh hard links of the same files, so that the operating system's own
cache is warm for both and no index of ours or patch cache helps.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from capsmed import config
from capsmed.data.cohort import Cohort
from capsmed.data.cores import cores
from capsmed.data.cut import cut
from capsmed.data.patches import PatchSet
from capsmed.data.readers import open_volume
from tests.benchmarks import lung_loading
from tests.benchmarks.chest import write_chest
from tests.benchmarks.monai_way import crop

PATCH = config.Patch(size=(32, 32, 32), spacing=1.5, window=(-1000.0, 400.0))
REAL = Path(os.environ.get("CAPSMED_DATA") or "../shared/data") / "ct_chest_dicom"
MASS = (165, 301, 13)  # column, row and slice from the feet, from 0


@dataclass(frozen=True)
class Series:
    """A folder of slices and the point of its patch, RAS mm."""

    name: str
    folder: Path
    point: np.ndarray


@dataclass
class Times:
    """Seconds a patch, of each round."""

    capsmed: list[float]
    cached: list[float]
    monai: list[float]


def main() -> None:
    """Measure, print two tables, and write them as JSON when asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found: dict[str, object] = {"cores": cores(), "rounds": given.rounds}
    with tempfile.TemporaryDirectory() as folder:
        kept = dict(os.environ)
        os.environ.update(CAPSMED_CACHE=str(Path(folder) / "cache"), CAPSMED_CACHE_GB="0")
        found["cold"] = _cold(Path(folder), given.rounds)
        os.environ.clear()
        os.environ.update(kept)
    found["training"] = _training(given.rounds)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def _cold(folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    print(f"32^3 voxels at 1.5 mm, {cores()} cores: patches a second, median (best)")
    print(f"{'series':<32}{'MONAI':>14}{'capsmed':>16}{'ratio':>7}{'alike':>7}{'cached':>16}")
    results = {}
    for series in _series(folder):
        times, alike = _race(series, folder, rounds)
        middle = {name: 1 / statistics.median(found) for name, found in vars(times).items()}
        best = {name: 1 / min(found) for name, found in vars(times).items()}
        texts = {name: f"{middle[name]:.4g} ({best[name]:.4g})" for name in middle}
        print(
            f"{series.name:<32}{texts['monai']:>14}{texts['capsmed']:>16}"
            f"{middle['capsmed'] / middle['monai']:>7.1f}{alike:>7.3f}{texts['cached']:>16}",
            flush=True,
        )
        best = {f"{name}_best": rate for name, rate in best.items()}
        results[series.name] = {**middle, **best, "correlation": alike}
    return results


def _training(rounds: int) -> dict[str, float]:
    found = lung_loading.measure(rounds)
    step = found["loading_ms"] + found["augmentation_ms"] + found["network_ms"]
    print("\na training step of configs/lung.yaml, batch of 16, medians")
    for name in ("loading", "augmentation", "network"):
        print(f"{name:<34}{found[f'{name}_ms']:>10.2f} ms{found[f'{name}_ms'] / step:>10.1%}")
    print(f"{'240 patches from the images':<34}{found['cut_s']:>10.2f} s")
    print(f"{'240 patches from the cache':<34}{found['cached_s']:>10.2f} s", flush=True)
    return found


def _series(folder: Path) -> list[Series]:
    found = []
    if REAL.is_dir():
        affine = open_volume(REAL).affine
        found.append(Series("real, 30 slices of 8 mm", REAL, (affine @ [*MASS, 1])[:3]))
    write_chest(folder / "chest", slices=300)
    found.append(Series("synthetic, 300 slices of 1 mm", folder / "chest", np.array([60, 20, 160])))
    return found


def _race(series: Series, folder: Path, rounds: int) -> tuple[Times, float]:
    """Time both in turn; also how alike their patches are where MONAI has put its own."""
    times = Times([], [], [])
    for number in range(-1, rounds):
        scans = [_linked(series.folder, folder / series.name / f"{number}-{i}") for i in range(8)]
        ours, _ = _timed(_capsmed, scans, series.point)
        theirs, found = _timed(_monai, scans[:2], series.point)
        os.environ["CAPSMED_CACHE_GB"] = "1"
        _capsmed(scans, series.point)
        kept, _ = _timed(_capsmed, scans, series.point)
        os.environ["CAPSMED_CACHE_GB"] = "0"
        if number >= 0:  # the first round only warms up
            times.capsmed.append(ours)
            times.cached.append(kept)
            times.monai.append(theirs)
    patch, centre = found[0]
    same = cut(open_volume(series.folder), centre, PATCH)
    return times, float(np.corrcoef(patch.ravel(), same.ravel())[0, 1])


def _timed(
    way: Callable[[list[Path], np.ndarray], Any], scans: list[Path], point: np.ndarray
) -> tuple[float, Any]:
    """Seconds a scan, and what came of it."""
    started = time.perf_counter()
    found = way(scans, point)
    return (time.perf_counter() - started) / len(scans), found


def _linked(source: Path, target: Path) -> Path:
    target.mkdir(parents=True)
    for path in source.iterdir():
        try:
            os.link(path, target / path.name)
        except OSError:  # on another disk
            (target / path.name).write_bytes(path.read_bytes())
    return target


def _capsmed(scans: list[Path], point: np.ndarray) -> PatchSet:
    root = scans[0].parent
    where = ",".join(str(mm) for mm in point)
    lines = [f"{i},{i},{scan.name},{'ab'[i % 2]},{where}" for i, scan in enumerate(scans)]
    table = "\n".join(["case_id,patient_id,image,label,x,y,z", *lines])
    (root / "cohort.csv").write_text(table, encoding="utf-8")
    cohort = Cohort.read(config.Data(cohort="cohort.csv", frame="RAS"), root)
    return PatchSet.load(cohort, cohort.included, PATCH, config.Augmentation())


def _monai(scans: list[Path], point: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    with ThreadPoolExecutor(cores()) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(pool.map(lambda scan: crop(scan, point, PATCH), scans))


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
