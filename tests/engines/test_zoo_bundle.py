"""A classification bundle laid out as the MONAI model zoo's takes capsules by a changed key."""

import csv
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.python_session import PythonSession

pytest.importorskip("fire", reason="monai.bundle's command line needs fire: pip install fire")

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = Path(__file__).with_name("zoo_bundle")
SMALL = {"init_features": 8, "growth_rate": 8, "block_config": [2, 2]}
OWN_HEAD = {"_target_": "DenseNet", "spatial_dims": 2, "in_channels": 1, "out_channels": 2, **SMALL}


def write_cases(folder: Path, part: str, count: int) -> None:
    """Blobs of two sizes as PNG files and the list of them that the bundle reads."""
    rng = np.random.default_rng(count)
    x, y = np.mgrid[:24, :24] - 11.5
    cases = []
    for number in range(count):
        radius = 3.5 + 3.0 * (number % 2) + rng.normal(0, 0.7)
        picture = 120.0 * (np.hypot(x, y) < radius) + rng.normal(60, 20, (24, 24))
        path = folder / f"{part}{number}.png"
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(path)
        cases.append({"image": str(path), "label": number % 2})
    (folder / "label" / f"{part}_samples.json").write_text(json.dumps(cases))


@pytest.fixture(scope="module")
def zoo(tmp_path_factory) -> Path:
    """The bundle with its data; its network is a small DenseNet with its own head."""
    folder = tmp_path_factory.mktemp("zoo") / "nodule_classification"
    shutil.copytree(BUNDLE, folder)
    (folder / "label").mkdir()
    for part, count in (("train", 64), ("val", 40)):
        write_cases(folder, part, count)
    (folder / "configs" / "small.json").write_text(json.dumps({"network_def": OWN_HEAD}))
    backbone = {"network_def#backbone": ["densenet121", SMALL]}
    backbone["network_def#level"] = "features.denseblock2"
    (folder / "configs" / "small_capsules.json").write_text(json.dumps(backbone))
    return folder


@pytest.fixture(scope="module")
def session(zoo: Path) -> Iterator[PythonSession]:
    """A process in the bundle's folder."""
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environ = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    with PythonSession(sys.executable, zoo, environ) as started:
        yield started


def run_bundle(session: PythonSession, folder: Path, *configs: str) -> dict[str, float]:
    """Run ``python -m monai.bundle run`` on the bundle's files ``configs``; return its metrics."""
    output = folder / "eval" / "-".join(configs)
    files = [f"configs/{name}.json" for name in ("train", *configs)]
    command = ["monai.bundle", "run", "--config_file", json.dumps(files)]
    command += ["--meta_file", "configs/metadata.json", "--logging_file", "configs/logging.conf"]
    command += ["--bundle_root", ".", "--output_dir", str(output), "--ckpt_dir", str(output)]
    command += ["--image_size", "[24, 24]", "--num_epochs", "5", "--lr", "0.01"]
    done = session.run(*command)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (output / "model.pt").exists()
    with open(output / "metrics.csv", encoding="utf-8", newline="") as file:
        return {name: float(value) for name, value in csv.reader(file)}


@pytest.mark.parametrize(
    "configs",
    [("small",), ("capsules", "small_capsules"), ("capsules", "small_capsules", "margin")],
    ids=["own-head", "capsule-head", "margin-loss"],
)
def test_the_bundle_learns_with_each_head(session, zoo, configs):
    metrics = run_bundle(session, zoo, *configs)
    print(configs, metrics)
    assert metrics["val_auc"] > 0.9


def test_only_the_network_is_replaced():
    replaced = json.loads((BUNDLE / "configs" / "capsules.json").read_text())
    assert list(replaced) == ["network_def"]
