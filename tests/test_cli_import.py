"""`capsmed cohort import`: what it prints, and that the command it prints next really trains."""

import re
import shlex
from dataclasses import fields
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from capsmed.cli import main
from capsmed.cli.cohort_import import import_cohort
from capsmed.data.importers import IMPORTERS, Options

TINY = (
    *("--device", "cpu", "--set", "split.folds=2", "--set", "training.epochs=1"),
    *("--set", "network={channels: [4], kernel_sizes: [3], strides: [2], primary_capsules: 2}"),
    *("--set", "network.primary_kernel=3", "--set", "network.decoder_widths=[8, 8]"),
    *("--set", "evaluation.bootstrap=100", "--set", "baselines.models=[]"),
)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def printed(done: Result, start: str) -> list[str]:
    """The words of the command that a line beginning with ``start`` gives, 'capsmed' left out."""
    line = next(line for line in done.output.splitlines() if line.startswith(start))
    return shlex.split(line.partition(":")[2])[1:]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """16 noisy pictures of two classes, two of each patient, in a folder with spaces."""
    rng = np.random.default_rng(0)
    for number in range(16):
        label = "양성" if number % 4 < 2 else "악성"
        path = tmp_path / "나의 그림" / label / f"p{number // 2}_{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 24), np.uint8)).save(path)
    return tmp_path / "나의 그림"


def test_an_import_says_what_the_table_holds_and_what_comes_next(pictures, tmp_path) -> None:
    (pictures / "양성" / "notes.txt").write_text("no image")
    out = tmp_path / "새 표"
    done = run(
        "cohort", "import", "folder", str(pictures), str(out), "--patient-pattern", r"(p\d+)"
    )
    assert done.exit_code == 0, done.output
    for line in ("16 cases, 8 patients", "8 악성", "8 양성", "left out:", "1 file of a kind"):
        assert line in done.output
    assert printed(done, "check it") == ["cohort", "check", str(out / "cohort.csv")]


def test_an_imported_folder_trains_by_the_command_that_is_printed(pictures, tmp_path) -> None:
    done = run(*("cohort", "import", "folder", str(pictures), str(tmp_path / "out")))
    assert "NO PATIENT IS NAMED" in done.output
    command = printed(done, "train on it")
    assert "patch.size=[24, 20]" in command
    trained = run(*command, *TINY, "--out", str(tmp_path / "run"))
    assert trained.exit_code == 0, trained.output
    assert (tmp_path / "run" / "report.html").is_file()


def test_imported_affnist_trains_by_the_command_that_is_printed(tmp_path, small_mnist) -> None:
    done = run(
        "cohort", "import", "affnist", str(small_mnist), str(tmp_path / "out"), "--seed", "3"
    )
    assert "not the official file" in done.output
    assert "patients unknown" in done.output
    tiny = (*TINY, "--set", "seeds=[0]", "--set", "training.precision=float32")
    trained = run(*printed(done, "train on it"), *tiny, "--out", str(tmp_path / "run"))
    assert trained.exit_code == 0, trained.output
    assert (tmp_path / "run" / "report.html").is_file()


@pytest.fixture
def small_mnist(tmp_path: Path) -> Path:
    """An IDX folder of 60 + 20 noisy pictures of two classes."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "mnist"
    folder.mkdir()
    for stem, count in (("train", 60), ("t10k", 20)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 2
        for name, values in (("images-idx3", images), ("labels-idx1", labels)):
            header = bytes((0, 0, 8, values.ndim)) + np.array(values.shape, ">u4").tobytes()
            (folder / f"{stem}-{name}-ubyte").write_bytes(header + values.tobytes())
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("foldr", "{}", "{}/out"), "got 'foldr'; did you mean 'folder'?"),
        (("folder", "{}/lost", "{}/out"), "lost: not found; expected what `cohort import folder`"),
        (("folder", "{}", "{}"), "expected a new or empty folder, got one in use"),
        (("mnist", "{}", "{}/o", "--seed", "1"), "expected no options, got --seed; leave it out"),
    ],
)
def test_a_mistake_is_one_message(arguments, message, pictures) -> None:
    done = run("cohort", "import", *(word.format(pictures) for word in arguments))
    assert done.exit_code == 1
    assert message in done.output
    assert "Traceback" not in done.output


def test_the_help_names_every_kind() -> None:
    text = re.sub(r"\s+", " ", run("cohort", "import", "--help").output)
    kinds = re.search(r"KIND is (.*), or a plugin's", text)
    assert kinds is not None
    assert kinds[1].split(", ") == sorted(IMPORTERS)


def test_the_command_has_exactly_the_options_of_the_importers() -> None:
    given = {param.name for param in import_cohort.params if isinstance(param, click.Option)}
    assert given == {entry.name for entry in fields(Options)}
    assert given == {name for importer in IMPORTERS.values() for name in importer.uses}


def test_the_list_of_parts_has_the_importers() -> None:
    words = set(re.findall(r"\w+", run("list", "importers").output))
    assert {"affnist", "dicom", "folder", "medmnist", "mnist"} <= words
