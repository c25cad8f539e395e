"""A model-zoo bundle with its own head, with capsules, and with margin loss, on LUNA16 candidates.

The bundle of tests/engines/zoo_bundle, run by ``python -m monai.bundle run`` on the training part;
the AUC is that of the val part. Only ``network_def`` changes in the second run.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

BUNDLE = Path(__file__).parents[1] / "engines" / "zoo_bundle"
RUNS = {"own head": [], "capsules": ["capsules"], "margin loss": ["capsules", "margin"]}


def main(epochs: int = 5) -> None:
    """Print the three val AUCs; CAPSMED_DATA names the folder that holds luna16_2d."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "nodule_classification"
        shutil.copytree(BUNDLE, folder)
        _write_cases(folder / "label")
        for title, changes in RUNS.items():
            print(f"{title:<12} val AUC {_run(folder, changes, epochs)['val_auc']:.3f}", flush=True)


def _write_cases(folder: Path) -> None:
    folder.mkdir()
    source = Path(os.environ["CAPSMED_DATA"]) / "luna16_2d" / "luna16_candidates.npz"
    with np.load(source) as data:
        for part in ("train", "val"):
            cases = []
            for number, image in enumerate(data[f"{part}_images"]):
                path = folder / f"{part}{number}.png"
                Image.fromarray(image).save(path)
                label = int(data[f"{part}_labels"].ravel()[number])
                cases.append({"image": str(path), "label": label})
            (folder / f"{part}_samples.json").write_text(json.dumps(cases), encoding="utf-8")


def _run(folder: Path, changes: list[str], epochs: int) -> dict[str, float]:
    output = folder / "eval" / "-".join(["train", *changes])
    files = [f"configs/{name}.json" for name in ("train", *changes)]
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", json.dumps(files)]
    command += ["--meta_file", "configs/metadata.json", "--logging_file", "configs/logging.conf"]
    command += ["--bundle_root", ".", "--output_dir", str(output), "--ckpt_dir", str(output)]
    command += ["--num_epochs", str(epochs)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    with open(output / "metrics.csv", encoding="utf-8", newline="") as file:
        return {name: float(value) for name, value in csv.reader(file)}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
